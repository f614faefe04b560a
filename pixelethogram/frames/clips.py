"""Which frames belong to the clip of a frame; clips for training and for inference.

The clip of frame t is L frames around it, `spacing` frames apart; at the edges of a video the edge
frame repeats.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

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


class ClipDataset(Dataset[dict[str, Tensor]]):
    """Clips of chosen frames, read from proxies.

    Args:
        proxies: Proxy file of each video.
        samples: (video number, frame) of every item.
        length: Frames per clip, L.
        labels: (T, K) per video; None where labels are not needed.
        spacing: Frames of the video from one frame of a clip to the next.

    Items: "clip" (L, H, W, 3) uint8 and, with labels, "labels" (K,) int8.
    """

    def __init__(
        self,
        proxies: Sequence[Path],
        samples: Sequence[tuple[int, int]],
        length: int,
        labels: Sequence[np.ndarray] | None = None,
        spacing: int = 1,
    ) -> None:
        self._proxies = [ProxyFile(path) for path in proxies]
        self._samples = list(samples)
        self._length, self._labels, self._spacing = length, labels, spacing

    def with_length(self, length: int) -> ClipDataset:
        """The same items with clips of another length; 1 reads only the frame itself."""
        shorter = copy.copy(self)
        shorter._length = length
        return shorter

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        video, frame = self._samples[index]
        proxy = self._proxies[video]
        indices = clip_indices(frame, proxy.num_frames, self._length, self._spacing)
        clip = proxy.read(indices.tolist())
        item = {"clip": torch.from_numpy(clip)}
        if self._labels is not None:
            item["labels"] = torch.from_numpy(self._labels[video][frame].copy())
        return item


def iterate_chunks(
    frames: Iterable[np.ndarray], length: int, size: int, spacing: int = 1
) -> Iterator[np.ndarray]:
    """Blocks whose windows hold the clips of consecutive frames; every frame is held once.

    The number of frames need not be known; edge frames repeat.

    Args:
        frames: (H, W, 3) uint8, in order.
        length: Frames per clip, L.
        size: Clips per block, n; the last block may hold fewer.
        spacing: Frames of the video from one frame of a clip to the next, s.

    Yields:
        (n + (L - 1) s, H, W, 3) uint8; clip i of the block is every s-th frame from i on.
    """
    before, after = length // 2 * spacing, (length - 1 - length // 2) * spacing
    reach = before + after
    held: deque[np.ndarray] = deque()
    last: np.ndarray | None = None
    for last in frames:
        if not held:
            held.extend([last] * before)
        held.append(last)
        if len(held) == size + reach:
            yield np.stack(held)
            for _ in range(size):
                held.popleft()
    if last is None:
        return
    held.extend([last] * after)
    while len(held) > reach:
        count = min(size, len(held) - reach)
        yield np.stack([held[position] for position in range(count + reach)])
        for _ in range(count):
            held.popleft()
