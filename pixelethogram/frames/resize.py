"""One way to resize, the same for training, extraction and prediction."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

PADDING_GREY = 127


def resize_frame(
    frame: np.ndarray, height: int, width: int, fit: Literal["stretch", "pad"]
) -> np.ndarray:
    """A frame (height, width, 3) uint8 from one of any size.

    Shrinking averages over areas (no aliasing, so no flicker that looks like motion); growing is
    bilinear. A frame of the wanted size is returned as it is.

    Args:
        frame: (H, W, 3) uint8.
        height: Wanted height in pixels.
        width: Wanted width in pixels.
        fit: Stretch, or keep the aspect ratio and pad with grey 127, centred.

    Example:
        >>> resize_frame(np.zeros((4, 8, 3), np.uint8), 4, 4, "pad")[:, 0, 0]
        array([127,   0,   0, 127], dtype=uint8)
    """
    if frame.shape[:2] == (height, width):
        return frame
    if fit == "stretch":
        return _resize(frame, height, width)
    scale = min(height / frame.shape[0], width / frame.shape[1])
    inner_height = max(1, round(frame.shape[0] * scale))
    inner_width = max(1, round(frame.shape[1] * scale))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    padded = np.full((height, width, 3), PADDING_GREY, np.uint8)
    padded[top : top + inner_height, left : left + inner_width] = _resize(
        frame, inner_height, inner_width
    )
    return padded


def _resize(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Shrink first, then grow: OpenCV does not average when one side shrinks and one grows."""
    inner = (min(width, frame.shape[1]), min(height, frame.shape[0]))
    small = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
