"""Convolution along time."""

from __future__ import annotations

import pytest
import torch

from pixelethogram.sequence.models.time_conv import TimeConv


def impulse_response(conv: TimeConv) -> list[int]:
    """Frames, counted from the impulse, that an impulse reaches."""
    with torch.no_grad():
        conv.conv.weight.fill_(1.0)
        assert conv.conv.bias is not None
        conv.conv.bias.zero_()
        impulse = torch.zeros(1, 101, 1)
        impulse[0, 50] = 1
        return (torch.nonzero(conv(impulse)[0, :, 0]).flatten() - 50).tolist()


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 8), (7, 1), (5, 4), (1, 1)])
def test_taps_lie_around_the_frame_or_behind_it(kernel: int, dilation: int) -> None:
    around = [dilation * tap for tap in range(-(kernel // 2), kernel // 2 + 1)]
    assert impulse_response(TimeConv(1, 1, kernel, dilation=dilation)) == around
    causal = TimeConv(1, 1, kernel, dilation=dilation, causal=True)
    assert impulse_response(causal) == [dilation * tap for tap in range(kernel)]


def test_reach_is_the_distance_of_the_farthest_tap() -> None:
    assert TimeConv(1, 1, 7, dilation=2).reach == 6
    assert TimeConv(1, 1, 7, dilation=2, causal=True).reach == 12


def test_there_are_as_many_frames_as_before_and_time_comes_first() -> None:
    assert TimeConv(4, 5, 9, dilation=3)(torch.randn(2, 3, 4)).shape == (2, 3, 5)
