"""Attention in blocks equals attention with a matrix of all frames, and needs no such matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pixelethogram.sequence.models.local_attention import attend_locally


def draw(num_frames: int, heads: int = 2, size: int = 4) -> list[Tensor]:
    """Query, key and value of two windows."""
    return [torch.randn(2, num_frames, heads, size) for _ in range(3)]


def attend_densely(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, radius: int, bias: Tensor
) -> Tensor:
    """The definition, with one score for every pair of frames."""
    frames = torch.arange(query.shape[1])
    offsets = frames - frames[:, None]
    scores = torch.einsum("bqhe,bkhe->bhqk", query, key) / math.sqrt(query.shape[3])
    scores = scores + bias[:, offsets.clamp(-radius, radius) + radius]
    allowed = (offsets.abs() <= radius) & (mask[:, None, None] | (offsets == 0))
    weights = scores.masked_fill(~allowed, -math.inf).softmax(-1)
    return torch.einsum("bhqk,bkhe->bqhe", weights, value)


class LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation made."""

    num_bytes = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, Tensor):
                self.num_bytes = max(self.num_bytes, each.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("num_frames", [1, 2, 63, 64, 65, 150, 300])
@pytest.mark.parametrize("radius", [1, 5, 50])
@pytest.mark.parametrize("biased", [False, True])
def test_blocks_equal_the_definition(num_frames: int, radius: int, biased: bool) -> None:
    query, key, value = draw(num_frames)
    mask = torch.ones(2, num_frames, dtype=torch.bool)
    mask[1, num_frames // 2 :] = False
    bias = torch.randn(2, 2 * radius + 1) if biased else torch.zeros(2, 2 * radius + 1)
    found = attend_locally(query, key, value, mask, radius=radius, bias=bias if biased else None)
    expected = attend_densely(query, key, value, mask, radius, bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_gradients_equal_those_of_the_definition() -> None:
    inputs = [each.requires_grad_(True) for each in (*draw(150), torch.randn(2, 11))]
    query, key, value, bias = inputs
    mask = torch.ones(2, 150, dtype=torch.bool)
    weight = torch.randn(2, 150, 2, 4)
    blocks = attend_locally(query, key, value, mask, radius=5, bias=bias)
    dense = attend_densely(query, key, value, mask, 5, bias)
    found, expected = (
        torch.autograd.grad((each * weight).sum(), inputs) for each in (blocks, dense)
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_equal_scores_give_the_mean_of_the_frames_nearby() -> None:
    value = torch.arange(200.0).reshape(1, 200, 1, 1).expand(1, 200, 1, 4)
    nothing, mask = torch.zeros(1, 200, 1, 4), torch.ones(1, 200, dtype=torch.bool)
    mean = attend_locally(nothing, nothing, value, mask, radius=3)[0, :, 0, 0]
    torch.testing.assert_close(mean[3:-3], torch.arange(3.0, 197.0))
    assert mean[0].item() == pytest.approx((0 + 1 + 2 + 3) / 4)


def test_memory_grows_with_the_number_of_frames_not_with_its_square() -> None:
    largest = []
    for num_frames in (1000, 4000):
        with LargestTensor() as seen, torch.no_grad():
            query, key, value = (torch.randn(1, num_frames, 1, 2) for _ in range(3))
            mask = torch.ones(1, num_frames, dtype=torch.bool)
            attend_locally(query, key, value, mask, radius=20)
        largest.append(seen.num_bytes)
    assert largest[1] < 4.5 * largest[0]
    assert largest[1] < 4000 * 4000 / 2
