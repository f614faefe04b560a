"""Clips hold the frames asked for, in the layout that kernels read."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pixelethogram.features import clip_cutter
from pixelethogram.features.clip_cutter import build_cutter, send_numbers

STARTS = [0, 3, 2, 2]


def test_three_dimensional_kernels_read_frame_by_frame() -> None:
    frames = torch.randn(9, 4, 6, 3)
    clips = build_cutter(frames, 5, flat=False)(STARTS)
    check(clips, frames)
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("lay", [clip_cutter._cutter_of_stretches, clip_cutter._cutter_at_once])
def test_two_dimensional_kernels_read_all_frames_side_by_side(lay: Any) -> None:
    """Both ways, that of processors and that of GPUs."""
    frames = torch.randn(9, 4, 6, 3)
    clips = lay(frames, 5)(STARTS)
    check(clips, frames)
    stacked = clips.transpose(1, 2).flatten(1, 2)
    assert stacked.is_contiguous(memory_format=torch.channels_last)
    assert stacked.data_ptr() == clips.data_ptr()


@pytest.mark.parametrize(
    ("device", "name"), [("cpu", "_cutter_of_stretches"), ("meta", "_cutter_at_once")]
)
def test_the_device_decides_how(device: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_cutter, name, lambda *_: "chosen")
    frames = torch.zeros(9, 4, 6, 3, device=device)
    assert build_cutter(frames, 5, flat=True) == "chosen"


def check(clips: torch.Tensor, frames: torch.Tensor) -> None:
    for clip, start in zip(clips, STARTS, strict=True):
        assert torch.equal(clip, frames[start : start + 5].permute(3, 0, 1, 2))


def test_numbers_arrive_as_they_are() -> None:
    assert send_numbers([3, 0, 3], torch.device("cpu")).tolist() == [3, 0, 3]
    assert send_numbers([], torch.device("cpu")).dtype == torch.int64


def test_a_clip_of_one_frame_is_the_frame_as_two_dimensional_kernels_read_it() -> None:
    frames = torch.randn(9, 4, 6, 3)
    clips = build_cutter(frames, 1, flat=True)([4, 0])
    assert torch.equal(clips[:, :, 0], frames[[4, 0]].permute(0, 3, 1, 2))
    assert clips[:, :, 0].is_contiguous(memory_format=torch.channels_last)
