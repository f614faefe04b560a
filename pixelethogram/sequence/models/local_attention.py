"""Attention to the frames nearby, in blocks, so that its cost grows with the length of a video.

A block of frames is compared with itself and as many frames on each side as it may look: no
matrix of all frames with all frames is made.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_BLOCK = 64  # frames; smaller blocks are too little work per matrix product


def attend_locally(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    *,
    radius: int,
    bias: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention of every frame to the frames within a radius.

    Memory is that of T · (block + 2 · radius) scores, with blocks of 2 · radius frames or more.

    Args:
        query: (B, T, heads, E).
        key: (B, T, heads, E).
        value: (B, T, heads, V).
        mask: (B, T), True for real frames; nobody attends to the others, but they to themselves.
        radius: Frames on each side.
        bias: (heads, 2 · radius + 1) is added to the scores of the frames at −radius … radius.

    Returns:
        (B, T, heads, V).
    """
    batch, num_frames, heads, _ = query.shape
    block, reach = _plan_blocks(num_frames, radius)
    num_blocks = math.ceil(num_frames / block)
    fill = num_blocks * block - num_frames
    offsets = torch.arange(block + 2 * reach, device=query.device) - reach
    offsets = offsets - torch.arange(block, device=query.device)[:, None]  # (block, width)
    real = F.pad(mask, (reach, reach + fill)).unfold(1, block + 2 * reach, block)
    real = real.reshape(batch * num_blocks, 1, 1, -1)
    allowed = (offsets.abs() <= radius) & (real | (offsets == 0))
    scores = allowed
    if bias is not None:
        scores = bias[:, offsets.clamp(-radius, radius) + radius]  # (heads, block, width)
        scores = scores.masked_fill(~allowed, -math.inf)
    attended = F.scaled_dot_product_attention(
        F.pad(query, (0, 0, 0, 0, 0, fill)).reshape(-1, block, *query.shape[2:]).transpose(1, 2),
        _cut_windows(key, block, reach, fill),
        _cut_windows(value, block, reach, fill),
        attn_mask=scores,
    )
    return attended.transpose(1, 2).reshape(batch, -1, heads, value.shape[3])[:, :num_frames]


def _plan_blocks(num_frames: int, radius: int) -> tuple[int, int]:
    """Frames per block, and frames to read on each side of it; one block needs none."""
    block = max(2 * radius, MIN_BLOCK)
    return (num_frames, 0) if num_frames <= block else (block, radius)


def _cut_windows(frames: Tensor, block: int, reach: int, fill: int) -> Tensor:
    """(B, T, heads, E) -> (B · blocks, heads, block + 2 · reach, E), neighbours overlapping."""
    padded = F.pad(frames, (0, 0, 0, 0, reach, reach + fill))
    windows = padded.unfold(1, block + 2 * reach, block)  # (B, blocks, heads, E, width)
    return windows.flatten(0, 1).transpose(2, 3)
