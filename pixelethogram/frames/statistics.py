"""Color statistics of videos: mean and standard deviation per channel, pooled exactly.

n = Σ nᵢ, mean = Σ nᵢ mᵢ / n, variance = Σ nᵢ (sᵢ² + (mᵢ − mean)²) / n (Chan et al. 1983), float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

STRIDE = 10  # every tenth frame is looked at
MIN_STD = 1e-3  # of channels that never change


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Colors of some frames, as values in [0, 1]."""

    num_frames: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def measure_colors(frames: np.ndarray) -> Statistics:
    """Statistics of frames (n, H, W, 3) uint8."""
    mean, std = (each[:, 0] / 255 for each in cv2.meanStdDev(frames.reshape(-1, 1, 3)))
    return _build(len(frames), mean, std**2)


class ColorMeter:
    """Looks at every tenth of the frames that pass by."""

    def __init__(self) -> None:
        self._seen: list[Statistics] = []  # of all frames so far together; one, or none

    def watch(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The same frames (H, W, 3) uint8."""
        for index, frame in enumerate(frames):
            if index % STRIDE == 0:
                self._seen = [pool_statistics([*self._seen, measure_colors(frame[None])])]
            yield frame

    @property
    def statistics(self) -> Statistics:
        """Of the frames so far, of which there must be one."""
        return pool_statistics(self._seen)


def pool_statistics(parts: Iterable[Statistics]) -> Statistics:
    """Statistics of all frames of all parts together, frames of equal size assumed.

    Raises:
        ValueError: There is no frame.
    """
    found = [part for part in parts if part.num_frames]
    if not found:
        raise ValueError("statistics need at least one frame")
    counts = np.array([part.num_frames for part in found], dtype=np.float64)
    means = np.array([part.mean for part in found])
    stds = np.array([part.std for part in found])
    shares = (counts / counts.sum())[:, None]
    mean = (shares * means).sum(axis=0)
    variance = (shares * (stds**2 + (means - mean) ** 2)).sum(axis=0)
    return _build(int(counts.sum()), mean, variance)


def _build(num_frames: int, mean: np.ndarray, variance: np.ndarray) -> Statistics:
    std = np.maximum(np.sqrt(variance), MIN_STD)
    return Statistics(num_frames, tuple(mean.tolist()), tuple(std.tolist()))
