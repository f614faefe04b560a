"""What biologists count: time, bouts, durations, rates and transitions, and how well two agree.

Comes in: where behaviors are present and where somebody scored, per video. Goes out: a number per
video and behavior; Pearson r and mean absolute difference over videos; transition matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pixelethogram.ethogram.bouts import find_runs
from pixelethogram.ethogram.segments import to_states

MIN_VIDEOS_FOR_R = 3


@dataclass(frozen=True, eq=False)
class BoutStatistics:
    """Of V videos and K behaviors, (V, K) float each; NaN where a video is not scored.

    Args:
        time_fraction: Share of the scored frames.
        num_bouts: Unbroken runs inside scored stretches.
        mean_seconds, median_seconds: Of a bout; NaN without bouts.
        bouts_per_minute: Of scored time.
    """

    time_fraction: np.ndarray
    num_bouts: np.ndarray
    mean_seconds: np.ndarray
    median_seconds: np.ndarray
    bouts_per_minute: np.ndarray


@dataclass(frozen=True, eq=False)
class StatisticsAgreement:
    """How well predicted statistics follow the labelled ones over videos.

    Args:
        statistics: The S names.
        pearson_r: (S, K) float; NaN with fewer than three videos, or where all values are equal.
        mean_absolute_difference: (S, K) float in the statistic's unit.
        label_mean, predicted_mean: (S, K) float over videos.
        num_videos: (S, K) int with a value on both sides.
    """

    statistics: tuple[str, ...]
    pearson_r: np.ndarray
    mean_absolute_difference: np.ndarray
    label_mean: np.ndarray
    predicted_mean: np.ndarray
    num_videos: np.ndarray


STATISTICS = tuple(field.name for field in fields(BoutStatistics))


def measure_bouts(
    present: Sequence[np.ndarray], scored: Sequence[np.ndarray], fps: Sequence[float]
) -> BoutStatistics:
    """Statistics per video and behavior, on scored frames only.

    Args:
        present: One (T, K) bool array per video.
        scored: One (T, K) bool array per video; bouts are not joined across unscored frames.
        fps: Frames per second per video.
    """
    values = np.array(
        [
            [
                _measure_trace(found[:, column], known[:, column], rate)
                for column in range(found.shape[1])
            ]
            for found, known, rate in zip(present, scored, fps, strict=True)
        ]
    )
    return BoutStatistics(*np.moveaxis(values, 2, 0))


def compare_statistics(
    labels: Sequence[np.ndarray], present: Sequence[np.ndarray], fps: Sequence[float]
) -> StatisticsAgreement:
    """Statistics of labels against those of predictions, over videos.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        present: One (T, K) bool array per video, the predictions.
        fps: Frames per second per video.
    """
    scored = [video >= 0 for video in labels]
    true = measure_bouts([video == 1 for video in labels], scored, fps)
    predicted = measure_bouts(present, scored, fps)
    pairs = [(getattr(true, name), getattr(predicted, name)) for name in STATISTICS]
    rows = np.array(
        [
            [_agree(first[:, k], second[:, k]) for k in range(first.shape[1])]
            for first, second in pairs
        ]
    )
    r, difference, label_mean, predicted_mean, number = np.moveaxis(rows, 2, 0)
    return StatisticsAgreement(
        STATISTICS, r, difference, label_mean, predicted_mean, number.astype(np.int64)
    )


def pearson_r(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two lists (n,); NaN where one has no spread or n is below three."""
    if len(first) < MIN_VIDEOS_FOR_R or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def count_transitions(present: Sequence[np.ndarray], scored: Sequence[np.ndarray]) -> np.ndarray:
    """How often one state follows another, at changes only.

    Args:
        present: One (T, K) bool array per video; of several behaviors on a frame the leftmost is
            the state.
        scored: One (T, K) bool array per video; nothing is counted across frames that are not
            scored for all behaviors.

    Returns:
        (K + 1, K + 1) int, from row to column; the last state is "none of them".
    """
    num_states = present[0].shape[1] + 1
    counts = np.zeros((num_states, num_states), dtype=np.int64)
    for found, known in zip(present, scored, strict=True):
        states = np.where(known.all(axis=1), to_states(found), -1)
        before, after = states[:-1], states[1:]
        changes = (before != after) & (before >= 0) & (after >= 0)
        np.add.at(counts, (before[changes], after[changes]), 1)
    return counts


def transition_probabilities(counts: np.ndarray) -> np.ndarray:
    """Rows of a transition matrix as shares; a state that is never left has a row of zeros."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def compare_transitions(labels: Sequence[np.ndarray], present: Sequence[np.ndarray]) -> float:
    """Correlation of the transition probabilities of labels and predictions, off the diagonal.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        present: One (T, K) bool array per video, the predictions.
    """
    scored = [video >= 0 for video in labels]
    true = transition_probabilities(count_transitions([video == 1 for video in labels], scored))
    predicted = transition_probabilities(count_transitions(present, scored))
    outside = ~np.eye(len(true), dtype=bool)
    return pearson_r(true[outside], predicted[outside])


def _measure_trace(
    present: np.ndarray, scored: np.ndarray, fps: float
) -> tuple[float, float, float, float, float]:
    num_scored = int(scored.sum())
    if num_scored == 0:
        return (np.nan,) * 5
    runs = find_runs(present.astype(bool) & scored)
    seconds = np.diff(runs, axis=1).ravel() / fps
    num_bouts = len(seconds)
    return (
        float(seconds.sum() * fps / num_scored),
        float(num_bouts),
        float(seconds.mean()) if num_bouts else np.nan,
        float(np.median(seconds)) if num_bouts else np.nan,
        60 * num_bouts * fps / num_scored,
    )


def _agree(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float, float, float]:
    """r, mean absolute difference, both means, number of videos (V,) with both values."""
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    if not both.any():
        return np.nan, np.nan, np.nan, np.nan, 0.0
    return (
        pearson_r(first, second),
        float(abs(first - second).mean()),
        float(first.mean()),
        float(second.mean()),
        float(both.sum()),
    )
