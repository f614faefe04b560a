"""Bouts: unbroken runs of one behavior; finding them, their lengths, and dropping the short ones.

Comes in: an ethogram or boolean traces. Goes out: a list of bouts, or traces without flicker.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.ethogram.ethogram import Ethogram

Order = Literal["gaps first", "bouts first"]
BOUT_COLUMNS = (
    "behavior",
    "start_frame",
    "stop_frame",
    "start_seconds",
    "stop_seconds",
    "duration_seconds",
)


@dataclass(frozen=True)
class Bout:
    """One unbroken run of a behavior, `start <= frame < stop`."""

    behavior: str
    start: int
    stop: int


def find_bouts(ethogram: Ethogram) -> list[Bout]:
    """List every bout, sorted by start frame.

    Args:
        ethogram: Scored frames; unscored frames count as absent.

    Returns:
        One bout per unbroken run of ones. Their lengths sum to the number of ones. Bouts that
        start together stand in the order of the behaviors.

    Example:
        >>> present = np.array([[0, 1, 1, 0, 1]], dtype=np.int8).T
        >>> find_bouts(Ethogram(present, ("groom",), fps=30.0))
        [Bout(behavior='groom', start=1, stop=3), Bout(behavior='groom', start=4, stop=5)]
    """
    bouts = [
        Bout(behavior, start, stop)
        for column, behavior in enumerate(ethogram.behaviors)
        for start, stop in find_runs(ethogram.values[:, column] == 1).tolist()
    ]
    return sorted(bouts, key=lambda bout: bout.start)


def find_runs(trace: np.ndarray) -> np.ndarray:
    """Half-open intervals (n, 2) in which a boolean trace (T,) is true, in order."""
    padded = np.zeros(len(trace) + 2, dtype=np.int8)
    padded[1:-1] = trace
    return np.flatnonzero(np.diff(padded)).reshape(-1, 2)


def bout_lengths(labels: np.ndarray) -> np.ndarray:
    """Length in frames of every bout of one column of labels.

    Args:
        labels: (T,) int8; 1 present, 0 absent, −1 not scored. Bouts are not joined across −1.

    Returns:
        (n,) int, in order of time.
    """
    return np.diff(find_runs(labels == 1), axis=1).ravel()


def choose_min_bout_frames(labels: Sequence[np.ndarray], percentile: float = 1.0) -> np.ndarray:
    """Decide from human labels which runs are too short to be believed.

    Args:
        labels: One (T, K) int8 array per video; bouts are not joined across videos or −1.
        percentile: Percentile of the bout lengths, 0 to 100, interpolated linearly.

    Returns:
        (K,) int, frames, at least 1: runs of at most this length are for `drop_short_bouts`.
        1 for a behavior without bouts. Halves round to the even number.
    """
    num_behaviors = labels[0].shape[1]
    lengths = (
        np.concatenate([bout_lengths(video[:, column]) for video in labels])
        for column in range(num_behaviors)
    )
    percentiles = [np.percentile(each, percentile) if len(each) else 1.0 for each in lengths]
    return np.maximum(1, np.rint(percentiles)).astype(np.int64)


def drop_short_bouts(
    present: np.ndarray, min_frames: np.ndarray, order: Order = "gaps first"
) -> np.ndarray:
    """Remove flicker: fill short gaps and drop short bouts, the shortest first.

    For each length 1, 2, …, `min_frames[k]`: gaps of exactly this length are filled, then bouts of
    exactly this length are dropped. Runs at the ends of the trace count as complete; a run that
    spans the whole trace stays.

    Args:
        present: (T, K) bool.
        min_frames: (K,) int; the longest run that goes. 0 changes nothing.
        order: What goes first at each length. "gaps first" turns flicker into one bout, "bouts
            first" into none.

    Returns:
        (T, K) bool; no run of length `min_frames` or less is left unless it spans the trace.

    Raises:
        ValueError: The shapes do not fit, or `order` is another word.

    Example:
        >>> flicker = np.array([[0, 1, 0, 1, 0, 1, 0]], dtype=bool).T
        >>> bool(drop_short_bouts(flicker, np.array([1])).all())
        True
        >>> bool(drop_short_bouts(flicker, np.array([1]), order="bouts first").any())
        False
    """
    if present.ndim != 2 or np.shape(min_frames) != present.shape[1:]:
        raise ValueError(
            f"expected present (T, K) and min_frames (K,), "
            f"got {present.shape} and {np.shape(min_frames)}"
        )
    if order not in ("gaps first", "bouts first"):
        raise ValueError(f'order must be "gaps first" or "bouts first", got "{order}"')
    values = (False, True) if order == "gaps first" else (True, False)
    result = present.astype(bool)
    for column, longest in enumerate(np.asarray(min_frames).tolist()):
        for length in range(1, longest + 1):
            for value in values:
                _flip_runs(result[:, column], value, length)
    return result


def _flip_runs(trace: np.ndarray, value: bool, length: int) -> None:
    """Flip, in place, the runs of `value` that are exactly `length` long, unless all is one run."""
    if len(trace) <= length:
        return
    runs = find_runs(trace == value)
    starts = runs[runs[:, 1] - runs[:, 0] == length, 0]
    trace[starts[:, None] + np.arange(length)] = not value


def write_bouts_csv(bouts: Sequence[Bout], fps: float, path: Path) -> None:
    """Write one row per bout: behavior, first frame, frame after the last, the same in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(BOUT_COLUMNS)
    for bout in bouts:
        seconds = (bout.start / fps, bout.stop / fps, (bout.stop - bout.start) / fps)
        times = [f"{value:.4f}" for value in seconds]
        writer.writerow([bout.behavior, bout.start, bout.stop, *times])
    write_bytes(path, text.getvalue().encode())
