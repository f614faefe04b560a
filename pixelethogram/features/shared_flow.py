"""Shared flow: the flow network runs once per L - 1 frames, and each frame's flow is cut from it.

A clip of L frames holds L - 1 pairs, and the flow network tells the flow of all of them. Clips that
lie end to end (frames 0 to 10, 10 to 20, …) tell the flow of every pair of a video once; the pairs
around a frame are then a slice of that stream, out of one clip or two. A pair stands at another
place of its clip than in a clip of the frame's own, so training has to be shown the same slices: a
stretch of 2 L - 1 frames, two clips, and a slice at a random offset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def cut_flow(
    flow: Callable[[Tensor], Sequence[Tensor]], stretches: Tensor, offsets: Tensor
) -> Tensor:
    """Flow around the frames of stretches, from the two clips that lie end to end in each.

    Args:
        flow: Clips (B, 3, L, H, W) to flows, finest first, each (B, 2, L - 1, h, w).
        stretches: (B, 3, 2 L - 1, H, W).
        offsets: (B,) pair of its stretch at which each slice begins, 0 to L - 2.

    Returns:
        (B, 2, L - 1, h, w).
    """
    length = (stretches.shape[2] + 1) // 2
    clips = torch.cat([stretches[:, :, :length], stretches[:, :, length - 1 :]])
    first, second = flow(clips)[0].chunk(2)
    return take(torch.cat([first, second], dim=2), offsets, length - 1)


def cut_clips(stretches: Tensor, offsets: Tensor) -> Tensor:
    """Each frame's own clip (B, 3, L, H, W) of stretches (B, 3, 2 L - 1, H, W)."""
    return take(stretches, offsets, (stretches.shape[2] + 1) // 2)


def take(values: Tensor, starts: Tensor, length: int) -> Tensor:
    """(B, C, length, h, w) of (B, C, T, h, w), from a start (B,) of its own in each sample."""
    places = starts[:, None] + torch.arange(length, device=starts.device)
    samples = torch.arange(len(values), device=starts.device)[:, None]
    return values.transpose(1, 2)[samples, places].transpose(1, 2)
