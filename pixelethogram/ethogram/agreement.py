"""Agreement of raters: kappas, and the frames on which they agree or differ.

Comes in: the labels of several raters of the same frames. Goes out: Cohen's kappa of two (1960),
Fleiss' kappa of many (1971), masks. A frame counts where every rater concerned scored it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cohen_kappa(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Agreement of two raters beyond chance, per behavior.

    Args:
        first: (N, K) int; any codes from 0 on, −1 not scored.
        second: (N, K) int of the other rater.

    Returns:
        (K,) float; 1 is full agreement, 0 that of chance. NaN where no frame was scored by both, or
        both gave one and the same code throughout.
    """
    return np.array(
        [
            _cohen(first[both, column], second[both, column])
            for column, both in enumerate(((first >= 0) & (second >= 0)).T)
        ]
    )


def fleiss_kappa(raters: Sequence[np.ndarray]) -> np.ndarray:
    """Agreement of two or more raters beyond chance, per behavior.

    Args:
        raters: One (N, K) int array per rater; any codes from 0 on, −1 not scored.

    Returns:
        (K,) float, on frames that all of them scored; NaN where there is none, or only one code.
    """
    ratings = np.stack(raters)
    return np.array(
        [
            _fleiss(ratings[:, (ratings[:, :, column] >= 0).all(axis=0), column])
            for column in range(ratings.shape[2])
        ]
    )


def find_agreed(raters: Sequence[np.ndarray]) -> np.ndarray:
    """(N, K) bool: entries that at least two raters scored, all of them alike."""
    lowest, highest, number = _spread(raters)
    return (number >= 2) & (lowest == highest)


def find_disputed(raters: Sequence[np.ndarray]) -> np.ndarray:
    """(N, K) bool: entries that raters scored differently."""
    lowest, highest, number = _spread(raters)
    return (number >= 2) & (lowest < highest)


def hide_outside(labels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Labels (N, K) with everything outside of `where` (N, K) not scored (−1)."""
    return np.where(where, labels, -1).astype(np.int8)


def _cohen(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) == 0:
        return float("nan")
    num_codes = int(max(first.max(), second.max())) + 1
    shares = [np.bincount(each, minlength=num_codes) / len(each) for each in (first, second)]
    observed, expected = float((first == second).mean()), float(shares[0] @ shares[1])
    return _beyond_chance(observed, expected)


def _fleiss(ratings: np.ndarray) -> float:
    """Kappa of ratings (R, N)."""
    num_raters, num_frames = ratings.shape
    if num_frames == 0 or num_raters < 2:
        return float("nan")
    counts = np.stack([(ratings == code).sum(axis=0) for code in range(int(ratings.max()) + 1)])
    pairs = num_raters * (num_raters - 1)
    observed = float((counts * (counts - 1)).sum() / (pairs * num_frames))
    shares = counts.sum(axis=1) / counts.sum()
    return _beyond_chance(observed, float(shares @ shares))


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


def _spread(raters: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest code of each entry, and how many raters scored it."""
    ratings = np.stack(raters).astype(np.int64)
    scored = ratings >= 0
    beyond = np.iinfo(np.int64).max
    lowest = np.where(scored, ratings, beyond).min(axis=0)
    return lowest, ratings.max(axis=0), scored.sum(axis=0)
