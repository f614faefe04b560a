"""Squares cut out of training clips, mostly where something moves.

Animals are small: most of a frame never moves and teaches a flow network nothing
(docs/decisions/0008-flow-crops.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STEP = 8  # pixels between places that are compared
NOISE = 4 / 255  # differences up to this are the camera's
EVERYWHERE = 0.3  # weight of the mean over all places, so that still ones are drawn too
MULTIPLE = 32  # of the sides of a crop
TINY = 1e-6  # weight of every place where nothing moves at all


def crop_to_motion(clips: Tensor, share: float) -> Tensor:
    """A part of each clip, drawn in proportion to how much moves in it; all frames share it.

    Args:
        clips: (B, 3, L, H, W) in [0, 1].
        share: Share of height and width to keep, above 0; sides are rounded to a multiple of 32
            and at least 32. 1 keeps everything.

    Returns:
        (B, 3, L, h, w).
    """
    height, width = (_side(size, share) for size in clips.shape[-2:])
    if (height, width) == clips.shape[-2:]:
        return clips
    change = (clips.diff(dim=2).abs().mean(dim=(1, 2)) - NOISE).clamp(min=0)  # (B, H, W)
    weight = F.avg_pool2d(change[:, None], (height, width), stride=STEP)[:, 0]
    flat = weight.flatten(1)
    place = torch.multinomial(flat + EVERYWHERE * flat.mean(dim=1, keepdim=True) + TINY, 1)[:, 0]
    top = _place(place // weight.shape[2], clips.shape[-2] - height)
    left = _place(place % weight.shape[2], clips.shape[-1] - width)
    return torch.stack(
        [
            clip[..., y : y + height, x : x + width]
            for clip, y, x in zip(clips, top.tolist(), left.tolist(), strict=True)
        ]
    )


def _side(size: int, share: float) -> int:
    if share >= 1:
        return size
    return min(size, max(MULTIPLE, round(size * share / MULTIPLE) * MULTIPLE))


def _place(index: Tensor, last: int) -> Tensor:
    """Pixel of a place on the grid, anywhere within its step."""
    return (index * STEP + torch.randint_like(index, STEP)).clamp(max=last)
