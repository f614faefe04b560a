"""How much moves: the motion energy of a recording, one number per frame.

A change of the light alone counts as nothing: the median difference of a pair of frames is taken
out before the rest is averaged.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import cv2
import numpy as np

SIDE_PIXELS = 64  # frames are shrunk to this; an animal is still some pixels wide


def measure_motion(frames: Iterable[np.ndarray], max_frames: int | None = None) -> np.ndarray:
    """Mean difference in grey levels between each frame and the next one.

    Args:
        frames: Consecutive frames (H, W, 3) uint8, such as `FrameSource.iterate()` gives.
        max_frames: Stop after so many; None goes to the end.

    Returns:
        (T,) float64; entry t belongs to the step from frame t to frame t + 1, the last one repeats
        the one before. Zeros where there is no second frame.
    """
    energy: list[float] = []
    before: np.ndarray | None = None
    for frame in itertools.islice(frames, max_frames):
        grey = _shrink(frame)
        if before is not None:
            change = grey - before
            energy.append(float(np.abs(change - np.median(change)).mean()))
        before = grey
    if before is None:
        return np.zeros(0)
    return np.array([*energy, energy[-1] if energy else 0.0])


def _shrink(frame: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if max(grey.shape) > SIDE_PIXELS:
        grey = cv2.resize(grey, (SIDE_PIXELS, SIDE_PIXELS), interpolation=cv2.INTER_AREA)
    return grey.astype(np.float32)
