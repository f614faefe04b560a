"""Measuring: repeats, operations of a layer, what a network computes, and when."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixelethogram import measuring
from pixelethogram.measuring import (
    Layer,
    best_seconds,
    forget_peak,
    measure_matrix_product,
    median_ratio,
    peak_memory,
    take_turns,
    watch_layers,
    watch_parts,
)

LAYERS = [
    (nn.Conv2d(4, 6, 3, 2, 1, groups=2), (2, 4, 9, 8)),
    (nn.Conv3d(3, 5, (2, 3, 3), (1, 2, 2), (0, 1, 1)), (1, 3, 4, 8, 7)),
    (nn.ConvTranspose2d(4, 6, 4, 2, 1), (2, 4, 5, 6)),
    (nn.ConvTranspose3d(2, 3, (1, 4, 4), (1, 2, 2), (0, 1, 1)), (1, 2, 3, 4, 5)),
]


@pytest.mark.parametrize(("module", "shape"), LAYERS)
def test_operations_are_those_that_torch_counts(module: nn.Module, shape: tuple[int, ...]) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(shape))
    assert Layer(module, shape).operations == counter.get_total_flops()
    assert Layer(module, shape).measure("cpu") > 0


def test_the_fastest_repeat_counts_and_the_first_call_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, calls = iter([0.0, 9.0, 10.0, 13.0, 20.0, 22.0, 30.0, 34.0]), []
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    assert best_seconds(lambda: calls.append(1), "cpu", budget=6) == 2.0
    assert len(calls) == 4


def test_pieces_of_work_take_turns_and_a_slow_round_does_not_change_their_ratio() -> None:
    speed = iter([1.0, 1.0, 0.1, 0.1, 1.0, 1.0])
    order: list[str] = []

    def work(name: str, rate: float) -> float:
        order.append(name)
        return rate * next(speed)

    found = take_turns({"a": lambda: work("a", 6.0), "b": lambda: work("b", 2.0)}, 3)
    assert order == ["a", "b"] * 3
    assert found == {"a": [6.0, pytest.approx(0.6), 6.0], "b": [2.0, pytest.approx(0.2), 2.0]}
    assert median_ratio(found["a"], found["b"]) == pytest.approx(3.0)


def test_layers_are_seen_with_their_shapes_and_only_in_the_block() -> None:
    convolution = nn.Conv2d(3, 4, 3)
    network = nn.Sequential(convolution, nn.ReLU())
    with watch_layers({"all": network}) as layers:
        network(torch.zeros(2, 3, 8, 8))
        network(torch.zeros(2, 3, 8, 8))
        network(torch.zeros(1, 3, 8, 8))
    network(torch.zeros(5, 3, 8, 8))
    assert layers == {Layer(convolution, (2, 3, 8, 8)): 2, Layer(convolution, (1, 3, 8, 8)): 1}


def test_the_time_of_each_part_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 2.0, 5.0, 6.0])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    part = nn.Linear(2, 2)
    with watch_parts({"part": part, "idle": nn.Linear(2, 2)}, "cpu") as seconds:
        part(torch.zeros(1, 2))
        part(torch.zeros(1, 2))
    assert seconds == {"part": 3.0, "idle": 0}


def test_the_most_memory_is_forgotten_on_gpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", forgotten.append)
    forget_peak("cuda:1")
    forget_peak("cpu")
    assert forgotten == ["cuda:1"]


def test_the_machine_says_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measuring.MATRIX_SIZE, "cpu", 64)
    assert measure_matrix_product("cpu", torch.float32) > 0
    peak = peak_memory("cpu")
    assert peak is None or peak > 10_000_000
