"""Bytes of the tensors that are alive at once, for programs whose answer is plain."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pixelethogram.training.live_tensors import LiveTensors

MODES = [contextlib.nullcontext, FakeTensorMode]
KILO = 1000


def make(kilobytes: int) -> torch.Tensor:
    return torch.zeros(kilobytes * KILO, dtype=torch.uint8)


@pytest.mark.parametrize("mode", MODES)
class TestWithAndWithoutMemory:
    def test_tensors_that_are_kept_add_up(self, mode: Any) -> None:
        with mode(), LiveTensors() as live:
            kept = [make(1), make(2), make(3)]
        assert len(kept) == 3
        assert live.peak == 6 * KILO

    def test_the_peak_remembers_what_was_dropped(self, mode: Any) -> None:
        with mode(), LiveTensors() as live:
            first = make(5)
            del first
            second = make(3)
            third = make(1)
        assert len(second) + len(third) == 4 * KILO
        assert live.peak == 5 * KILO

    def test_views_and_changes_in_place_take_no_memory(self, mode: Any) -> None:
        with mode(), LiveTensors() as live:
            tensor = make(4)
            parts = [tensor[:10], tensor.view(4, KILO), tensor.add_(1), tensor.detach()]
        assert len(parts) == 4
        assert live.peak == 4 * KILO

    def test_a_view_keeps_all_of_its_memory(self, mode: Any) -> None:
        with mode(), LiveTensors() as live:
            view = make(4)[:1]
            other = make(1)
        assert len(view) + len(other) == 1 + KILO
        assert live.peak == 5 * KILO

    def test_ignored_tensors_and_views_of_them_do_not_count(self, mode: Any) -> None:
        with mode():
            before = make(7)
            with LiveTensors([before]) as live:
                seen = [before[:5], before.view(7, KILO), make(1)]
        assert len(seen) == 3
        assert live.peak == KILO

    def test_a_layer_holds_its_result_and_what_autograd_needs(self, mode: Any) -> None:
        """In: 3 x 10 floats. Linear: 3 x 20, kept by ReLU's result. Linear: 3 x 5."""
        with mode():
            network = nn.Sequential(nn.Linear(10, 20), nn.ReLU(inplace=True), nn.Linear(20, 5))
            inputs = torch.zeros(3, 10)
            with LiveTensors(network.parameters()) as live:
                result = network(inputs)
        assert result.shape == (3, 5)
        assert live.peak == 4 * 3 * (20 + 5)

    def test_without_gradients_only_neighbours_are_alive(self, mode: Any) -> None:
        with mode():
            layers = nn.Sequential(*(nn.Linear(10, 10, bias=False) for _ in range(6)))
            inputs = torch.zeros(8, 10)
            with torch.no_grad(), LiveTensors(layers.parameters()) as live:
                layers(inputs)
        assert live.peak == 2 * 4 * 8 * 10
