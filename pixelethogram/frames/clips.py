"""Which frames belong to the clip of a frame; clips for training.

The clip of frame t is L frames around it, `spacing` frames apart; at the edges of a video the edge
frame repeats.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pixelethogram.frames.proxy import ProxyFile


def clip_indices(frame: int, num_frames: int, length: int, spacing: int = 1) -> np.ndarray:
    """Frames of a clip.

    Args:
        frame: The frame to be classified.
        num_frames: Frames of the video.
        length: Frames of the clip, L; position L // 2 is the frame itself.
        spacing: Frames of the video from one frame of the clip to the next.

    Returns:
        (L,) int64 within the video.

    Example:
        >>> clip_indices(1, num_frames=10, length=5)
        array([0, 0, 1, 2, 3])
        >>> clip_indices(4, num_frames=10, length=5, spacing=3)
        array([0, 1, 4, 7, 9])
    """
    around = frame + spacing * (np.arange(length) - length // 2)
    return around.clip(0, num_frames - 1)


def stretch_indices(
    frame: int, num_frames: int, length: int, offset: int, spacing: int = 1
) -> np.ndarray:
    """Frames of two clips that lie end to end and share a frame, around a frame's own clip.

    Args:
        frame: The frame to be classified.
        num_frames: Frames of the video.
        length: Frames of a clip, L.
        offset: Where in the stretch the clip of the frame begins, 0 to L - 2.
        spacing: Frames of the video from one frame of the stretch to the next.

    Returns:
        (2 L - 1,) int64 within the video.

    Example:
        >>> stretch_indices(6, num_frames=20, length=5, offset=3)
        array([1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    around = frame + spacing * (np.arange(2 * length - 1) - length // 2 - offset)
    return around.clip(0, num_frames - 1)


def fixed_offset(frame: int, length: int, spacing: int = 1) -> int:
    """Where the clip of a frame begins in its stretch when clips lie end to end from frame 0 on.

    Example:
        >>> [fixed_offset(frame, length=5, spacing=2) for frame in range(10)]
        [0, 0, 1, 1, 2, 2, 3, 3, 0, 0]
    """
    return frame // spacing % (length - 1)


class ClipDataset(Dataset[dict[str, Tensor]]):
    """Clips of chosen frames, read from proxies.

    Args:
        proxies: Proxy file of each video.
        samples: (video number, frame) of every item.
        length: Frames per clip, L.
        labels: (T, K) per video; None where labels are not needed.
        spacing: Frames of the video from one frame of a clip to the next.
        offsets: For shared flow: a stretch of 2 L - 1 frames in place of the clip. The clip begins
            in it at a place that is drawn anew each time from torch's random numbers (random), or
            where extraction has it (fixed). None gives clips.

    Items: "clip" (L, H, W, 3) uint8; with labels "labels" (K,) int8; with offsets "offset" ().
    """

    def __init__(
        self,
        proxies: Sequence[Path],
        samples: Sequence[tuple[int, int]],
        length: int,
        labels: Sequence[np.ndarray] | None = None,
        spacing: int = 1,
        offsets: Literal["random", "fixed"] | None = None,
    ) -> None:
        self._proxies = [ProxyFile(path) for path in proxies]
        self._samples = list(samples)
        self._length, self._labels, self._spacing = length, labels, spacing
        self._offsets = offsets

    def with_length(self, length: int) -> ClipDataset:
        """The same items with clips of another length; 1 reads only the frame itself."""
        shorter = copy.copy(self)
        shorter._length = length
        shorter._offsets = self._offsets if length > 1 else None
        return shorter

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        video, frame = self._samples[index]
        proxy = self._proxies[video]
        item: dict[str, Tensor] = {}
        if self._offsets is None:
            indices = clip_indices(frame, proxy.num_frames, self._length, self._spacing)
        else:
            offset = self._choose_offset(frame)
            item["offset"] = torch.tensor(offset)
            indices = stretch_indices(frame, proxy.num_frames, self._length, offset, self._spacing)
        item["clip"] = torch.from_numpy(proxy.read(indices.tolist()))
        if self._labels is not None:
            item["labels"] = torch.from_numpy(self._labels[video][frame].copy())
        return item

    def _choose_offset(self, frame: int) -> int:
        if self._offsets == "random":
            return int(torch.randint(self._length - 1, ()))
        return fixed_offset(frame, self._length, self._spacing)
