"""What is usual around a frame: mean and spread of every column over the frames around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelethogram.pose.features.columns import Columns, join


def add_context(columns: Columns, radii: Sequence[int]) -> Columns:
    """The columns, and for every radius their mean and standard deviation over ± radius frames."""
    parts = [columns]
    for radius in radii:
        mean, spread = roll(columns.values, radius)
        parts.append(Columns(mean, tuple(f"{name}, mean ±{radius}" for name in columns.names)))
        parts.append(Columns(spread, tuple(f"{name}, spread ±{radius}" for name in columns.names)))
    return join(parts)


def roll(values: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of what is known over ± radius frames.

    Args:
        values: (T, D); NaN where not known.
        radius: Frames on each side; fewer at the ends of the recording.

    Returns:
        Two (T, D) float32; NaN where nothing is known in the whole window.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0).astype(np.float64)
    centre = filled.sum(axis=0) / np.maximum(
        known.sum(axis=0), 1
    )  # keeps the sums of squares small
    filled = np.where(known, filled - centre, 0)
    count, total, squares = (
        _window_sums(each, radius) for each in (known.astype(np.float64), filled, filled**2)
    )
    safe = np.maximum(count, 1)
    mean = total / safe
    variance = np.maximum(squares / safe - mean**2, 0)
    empty = count == 0
    return (
        np.where(empty, np.nan, mean + centre).astype(np.float32),
        np.where(empty, np.nan, np.sqrt(variance)).astype(np.float32),
    )


def _window_sums(values: np.ndarray, radius: int) -> np.ndarray:
    """(T, D) sums over ± radius frames."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    frames = np.arange(len(values))
    stop = np.minimum(frames + radius + 1, len(values))
    start = np.maximum(frames - radius, 0)
    return sums[stop] - sums[start]


def stack_frames(columns: Columns, radius: int) -> Columns:
    """The columns of ± radius frames side by side, earliest first; edge frames repeat.

    44 columns and a radius of 15 give the 1,364 of Sturman et al.
    """
    if radius == 0:
        return columns
    offsets = range(-radius, radius + 1)
    frames = np.arange(len(columns.values))
    parts = [columns.values[(frames + offset).clip(0, len(frames) - 1)] for offset in offsets]
    names = (f"{name}, {offset:+d}" for offset in offsets for name in columns.names)
    return Columns(np.concatenate(parts, axis=1), tuple(names))
