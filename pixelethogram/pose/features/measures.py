"""Lengths, directions, speeds and places of keypoints; NaN wherever a point is missing."""

from __future__ import annotations

import numpy as np


def pairs(number: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second index of every pair out of `number`, each (number (number - 1) / 2,)."""
    return np.triu_indices(number, k=1)


def length(vectors: np.ndarray) -> np.ndarray:
    """(...) Euclidean length of vectors (..., 2)."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def unit(vectors: np.ndarray) -> np.ndarray:
    """(..., 2) directions of vectors (..., 2); NaN for a vector without length."""
    size = length(vectors)[..., None]
    return np.where(size > 0, vectors / np.where(size > 0, size, 1), np.nan)


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(...) x1 y2 - y1 x2 of vectors (..., 2); positive where `second` is clockwise on screen."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def mean_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is not NaN along an axis; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def lowest(values: np.ndarray, axis: int) -> np.ndarray:
    """Smallest known value along an axis; NaN where nothing is known."""
    return np.fmin.reduce(values, axis=axis)


def highest(values: np.ndarray, axis: int) -> np.ndarray:
    """Largest known value along an axis; NaN where nothing is known."""
    return np.fmax.reduce(values, axis=axis)


def change(values: np.ndarray, lag: int) -> np.ndarray:
    """Value minus the one `lag` frames before, (T, ...); 0 where there is none yet."""
    lag = min(lag, len(values))
    changes = values - values  # NaN where missing
    changes[lag:] = values[lag:] - values[: len(values) - lag]
    return changes


def body_length(positions: np.ndarray, front: int, back: int) -> float:
    """Median distance of front and back over all animals and frames; the unit of length.

    Args:
        positions: (T, N, P, 2) pixels.
        front: Keypoint that leads.
        back: Keypoint that trails.

    Returns:
        Pixels; 1 where front and back are never seen together.
    """
    size = length(positions[:, :, front] - positions[:, :, back])
    known = size[np.isfinite(size) & (size > 0)]
    return float(np.median(known)) if len(known) else 1.0


def bounding_boxes(positions: np.ndarray) -> np.ndarray:
    """(T, N, 2, 2): corner of smallest x and y, corner of largest, of positions (T, N, P, 2)."""
    return np.stack([lowest(positions, axis=2), highest(positions, axis=2)], axis=2)


def overlap_area(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(...) area that two boxes (..., 2, 2) share; 0 for boxes apart from each other."""
    low = np.maximum(first[..., 0, :], second[..., 0, :])
    high = np.minimum(first[..., 1, :], second[..., 1, :])
    return np.prod(np.maximum(high - low, 0), axis=-1)


def polygon_area(corners: np.ndarray) -> np.ndarray:
    """(...) area of polygons (..., C, 2) that do not cross themselves (shoelace formula)."""
    corners = corners - corners[..., :1, :]  # float32 loses too much far from the origin
    return np.abs(cross(corners, np.roll(corners, -1, axis=-2)).sum(axis=-1)) / 2
