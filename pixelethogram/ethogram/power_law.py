"""What more labels will bring: a power law through the scores of trainings on parts of the labels.

F1 = a − b x^(−c), where x counts frames with the behavior: scores rise fast first, then ever more
slowly towards a. Trainings are drawn anew, with repeats, to see how sure the answer is (Efron
1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EXPONENTS = np.geomspace(0.05, 3, 400)
REPETITIONS = 400
LEVEL = 0.95
MIN_POINTS = 4
MIN_SIZES = 3


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """Laws of R draws of the trainings; the first one is that of all trainings as they are.

    Args:
        limit: (R,) a, the score that no amount of labels exceeds.
        gap: (R,) b, at least 0.
        exponent: (R,) c, above 0.
    """

    limit: np.ndarray
    gap: np.ndarray
    exponent: np.ndarray

    def predict(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score at each number of frames (n,), and the lower and upper end of its 95 % interval."""
        scores = np.clip(
            self.limit[:, None] - self.gap[:, None] * frames ** -self.exponent[:, None], 0, 1
        )
        low, high = _interval(scores)
        return scores[0], low, high

    def frames_for(self, score: float) -> tuple[float, float, float]:
        """Frames that reach a score, and the ends of the interval; infinite where none does."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            frames = (self.gap / (self.limit - score)) ** (1 / self.exponent)
        frames = np.where(self.limit > score, frames, np.inf)
        low, high = np.percentile(
            frames, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], method="inverted_cdf"
        )
        return float(frames[0]), float(low), float(high)


def fit_power_law(
    frames: np.ndarray,
    scores: np.ndarray,
    *,
    repetitions: int = REPETITIONS,
    seed: int = 0,
) -> PowerLaw | None:
    """Fit the law to trainings.

    Args:
        frames: (n,) frames with the behavior that each training learned from; zeros are left out.
        scores: (n,) F1 of each.
        repetitions: Draws for the interval.
        seed: Of the draws.

    Returns:
        None with fewer than four trainings, or fewer than three different numbers of frames.
    """
    known = (frames > 0) & np.isfinite(scores)
    frames, scores = frames[known].astype(np.float64), scores[known].astype(np.float64)
    if len(frames) < MIN_POINTS or len(np.unique(frames)) < MIN_SIZES:
        return None
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(frames), np.full(len(frames), 1 / len(frames)), repetitions)
    weights = np.concatenate([np.ones((1, len(frames))), counts])
    return PowerLaw(*_fit(frames, scores, weights))


def _fit(
    frames: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best a, b, c (R,) for each row of weights (R, n): exact in a and b, a grid in c."""
    powers = frames[None] ** -EXPONENTS[:, None]  # (C, n)
    total = weights.sum(axis=1)[:, None]
    mean_power, mean_score = weights @ powers.T / total, (weights @ scores)[:, None] / total
    square = weights @ (powers**2).T / total
    mixed = weights @ (powers * scores).T / total
    variance = square - mean_power**2
    gap = -(mixed - mean_power * mean_score) / np.maximum(variance, 1e-12)
    gap = np.maximum(gap, 0)
    limit = mean_score + gap * mean_power
    at_one = limit > 1
    gap = np.where(at_one, np.maximum((mean_power - mixed) / square, 0), gap)
    limit = np.where(at_one, 1.0, limit)
    error = (
        (weights @ scores**2)[:, None] / total
        - 2 * (limit * mean_score - gap * mixed)
        + limit**2
        - 2 * limit * gap * mean_power
        + gap**2 * square
    )
    best = error.argmin(axis=1)
    rows = np.arange(len(weights))
    return limit[rows, best], gap[rows, best], EXPONENTS[best]


def _interval(values: np.ndarray) -> np.ndarray:
    return np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
