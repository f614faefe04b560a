"""Rasters as small pictures: label, model and probability of each behavior over a whole video.

A picture is at most MAX_COLUMNS wide. Where a column stands for several frames it is coloured when
the behavior occurs on any of them, so that short bouts stay visible, and shows the largest
probability.
"""

from __future__ import annotations

import base64
import math
from pathlib import Path

import cv2
import numpy as np

MAX_COLUMNS = 1200
BLUE, VERMILION = (0, 114, 178), (213, 94, 0)
PALE, UNSCORED, WHITE = (240, 240, 240), (200, 200, 200), (255, 255, 255)
BAND, GAP = 7, 4  # pixels; three bands and a gap per behavior


def frames_per_column(num_frames: int) -> int:
    """How many frames a column stands for."""
    return max(1, math.ceil(num_frames / MAX_COLUMNS))


def draw_raster(
    labels: np.ndarray | None, present: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """A picture (K · (3 · BAND + GAP), columns, 3) uint8.

    Args:
        labels: (T, K) int8; 1 present, 0 absent, −1 not scored (grey); None leaves them white.
        present: (T, K) bool.
        probabilities: (T, K) float in [0, 1]; 0 is white, 1 is black.
    """
    starts = np.arange(0, len(present), frames_per_column(len(present)))
    model = _paint(np.logical_or.reduceat(present, starts), VERMILION)
    shade = np.maximum.reduceat(probabilities, starts)
    grey = np.rint(255 * (1 - shade)).astype(np.uint8)[..., None].repeat(3, axis=2)
    if labels is None:
        truth = np.full_like(model, 255)
    else:
        truth = _paint(np.logical_or.reduceat(labels == 1, starts), BLUE)
        truth[np.logical_and.reduceat(labels < 0, starts)] = UNSCORED
    bands = np.stack([truth, model, grey], axis=2)  # (columns, K, 3 bands, 3 colors)
    picture = bands.transpose(1, 2, 0, 3).repeat(BAND, axis=1)
    gap = np.full((len(picture), GAP, *picture.shape[2:]), 255, np.uint8)
    rows = picture.reshape(len(picture), 3 * BAND, *picture.shape[2:])
    return np.concatenate([rows, gap], axis=1).reshape(-1, *picture.shape[2:])


def to_png(picture: np.ndarray) -> str:
    """A picture (H, W, 3) RGB uint8 as a data URI, without loss."""
    return _encode(picture, ".png", "image/png", [cv2.IMWRITE_PNG_COMPRESSION, 9])


def to_jpeg(picture: np.ndarray, width: int, quality: int = 80) -> str:
    """A picture (H, W, 3) RGB uint8 as a data URI, not wider than `width`."""
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    if picture.shape[1] > width:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return _encode(picture, ".jpg", "image/jpeg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def read_png(path: Path) -> str:
    """A PNG file as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _paint(where: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.where(where[..., None], np.array(color, np.uint8), np.array(PALE, np.uint8))


def _encode(picture: np.ndarray, suffix: str, kind: str, options: list[int]) -> str:
    done, content = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise RuntimeError(f"OpenCV cannot write {suffix}")
    return f"data:{kind};base64,{base64.b64encode(content.tobytes()).decode()}"
