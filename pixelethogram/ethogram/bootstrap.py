"""Confidence intervals by bootstrap over videos (Efron 1979).

Frames of one video are alike, so that videos are drawn, not frames: with replacement, as many as
there are. Comes in: numbers per video. Goes out: the range that holds the statistic in 95 of 100
draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

REPETITIONS = 1000
LEVEL = 0.95
MIN_VIDEOS = 3


def draw_weights(num_videos: int, repetitions: int = REPETITIONS, seed: int = 0) -> np.ndarray:
    """How often each video is in each draw: (repetitions, V) int, rows sum to V."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(num_videos, np.full(num_videos, 1 / num_videos), repetitions)


def bootstrap_sums(
    counts: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    repetitions: int = REPETITIONS,
    seed: int = 0,
) -> np.ndarray:
    """Interval of a statistic of sums over videos, such as F1 of pooled counts.

    Args:
        counts: (V, …) numbers that add up over videos.
        statistic: Gives (R, …) from R sums (R, …).
        repetitions: Draws.
        seed: Of the draws.

    Returns:
        (2, …) float, lower and upper end; NaN with fewer than three videos.
    """
    weights = draw_weights(len(counts), repetitions, seed)
    return _interval(statistic(np.tensordot(weights, counts, axes=1)), len(counts))


def bootstrap_mean(values: np.ndarray, repetitions: int = REPETITIONS, seed: int = 0) -> np.ndarray:
    """Interval of the mean over videos, (2, …); videos without a value (NaN) are left out.

    Args:
        values: (V, …) float.
        repetitions: Draws.
        seed: Of the draws.
    """
    exists = ~np.isnan(values)
    pairs = np.stack([np.where(exists, values, 0.0), exists], axis=1)
    with np.errstate(invalid="ignore"):
        return bootstrap_sums(pairs, lambda sums: sums[:, 0] / sums[:, 1], repetitions, seed)


def bootstrap_f1(
    hits: np.ndarray,
    predicted: np.ndarray,
    positives: np.ndarray,
    repetitions: int = REPETITIONS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of F1 per behavior (2, K) and of their mean (2,), from counts (V, K) per video."""
    counts = np.stack([hits, predicted, positives], axis=1)
    kinds = [_to_f1, lambda sums: _to_f1(sums).mean(axis=1)]
    each, mean = (bootstrap_sums(counts, kind, repetitions, seed) for kind in kinds)
    return each, mean


def _to_f1(sums: np.ndarray) -> np.ndarray:
    hits, predicted, positives = np.moveaxis(sums, 1, 0)
    return 2 * hits / np.maximum(predicted + positives, 1)


def _interval(values: np.ndarray, num_videos: int) -> np.ndarray:
    if num_videos < MIN_VIDEOS:
        return np.full((2, *values.shape[1:]), np.nan)
    tail = 100 * (1 - LEVEL) / 2
    exists = ~np.isnan(values)
    filled = np.where(exists.any(axis=0), values, 0.0)
    ends = np.nanpercentile(filled, [tail, 100 - tail], axis=0)
    return np.where(exists.any(axis=0), ends, np.nan)
