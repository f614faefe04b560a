"""Clips cut out of frames that lie on the device, in the layout that convolutions read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def build_cutter(frames: Tensor, length: int, *, flat: bool) -> Callable[[Sequence[int]], Tensor]:
    """A function that cuts clips (n, C, length, H, W), given the first frame of each.

    Args:
        frames: (T, H, W, C) in order.
        length: Frames per clip.
        flat: Lay the colors of all frames side by side at each pixel, as two-dimensional kernels
            read a clip; else frame by frame, as three-dimensional ones read it.
    """
    if not flat or length == 1:
        return lambda starts: _gather(frames, length, starts).permute(0, 4, 1, 2, 3)
    build = _cutter_of_stretches if frames.device.type == "cpu" else _cutter_at_once
    return build(frames, length)


def send_numbers(values: Sequence[int], device: torch.device) -> Tensor:
    """Whole numbers on the device; a GPU is not waited for."""
    return torch.tensor(values, dtype=torch.int64).to(device, non_blocking=device.type == "cuda")


def _gather(frames: Tensor, length: int, starts: Sequence[int]) -> Tensor:
    """Clips (n, length, H, W, C)."""
    steps = torch.arange(length, device=frames.device)
    return frames[send_numbers(starts, frames.device)[:, None] + steps]


def _cutter_at_once(frames: Tensor, length: int) -> Callable[[Sequence[int]], Tensor]:
    """Side by side, for GPUs, which take longer to begin a copy than to make a small one."""

    def cut(starts: Sequence[int]) -> Tensor:
        clips = _gather(frames, length, starts).permute(0, 2, 3, 1, 4).contiguous()
        return clips.permute(0, 4, 3, 1, 2)

    return cut


def _cutter_of_stretches(frames: Tensor, length: int) -> Callable[[Sequence[int]], Tensor]:
    """Side by side, for processors: frames are laid so once, and clips are stretches of that."""
    height, width, channels = frames.shape[1:]
    lay_side_by_side = functools.cache(lambda: frames.permute(1, 2, 0, 3).contiguous())

    def cut(starts: Sequence[int]) -> Tensor:
        clips = frames.new_empty(len(starts), height, width, length, channels)
        for clip, start in zip(clips, starts, strict=True):
            clip.copy_(lay_side_by_side()[:, :, start : start + length])
        return clips.permute(0, 4, 3, 1, 2)

    return cut
