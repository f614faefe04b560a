"""Thresholds: the probability above which a behavior is called present.

Comes in: probabilities and labels of validation frames. Goes out: one threshold per behavior, at
the exact maximum of F1 (no grid), and the boolean answer for any probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FALLBACK = 0.5
USABLE_F1 = 0.05
PLATEAU_F1 = 0.005
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Thresholds of K behaviors and how much they can be trusted.

    Args:
        values: (K,) float64; present means probability > threshold.
        f1: (K,) float64; F1 of exactly these thresholds on the frames they were chosen on.
        plateau: (K, 2) float64; the range of thresholds around the chosen one with an F1 at most
            0.005 below the best, before a floor is applied; both ends are 0.5 where the behavior
            is not usable.
        usable: (K,) bool; False where the behavior never occurs or no threshold reaches an F1 of
            0.05: the threshold is then 0.5.
    """

    values: np.ndarray
    f1: np.ndarray
    plateau: np.ndarray
    usable: np.ndarray


def choose_thresholds(
    probabilities: np.ndarray, labels: np.ndarray, floor: float = 0.01
) -> Thresholds:
    """Find the threshold with the best F1 for each behavior.

    Candidates are all cuts between different probabilities; of equally good ones the widest gap
    wins, then the lowest; the threshold is the middle of the gap.

    Args:
        probabilities: (N, K) float, of scored and unscored frames.
        labels: (N, K) int8; 1 present, 0 absent, −1 not scored (never counted).
        floor: Lower thresholds are raised to this one.

    Raises:
        ValueError: The shapes differ, or a scored frame has no probability (NaN).

    Example:
        >>> p = np.array([[0.9, 0.8, 0.8, 0.6, 0.55, 0.4, 0.3, 0.2]]).T
        >>> y = np.array([[1, 1, 0, 1, 0, 1, 0, 0]], dtype=np.int8).T
        >>> chosen = choose_thresholds(p, y)
        >>> chosen.values.round(6).tolist(), chosen.f1.tolist()
        ([0.35], [0.8])
    """
    if probabilities.ndim != 2 or probabilities.shape != labels.shape:
        raise ValueError(
            f"expected probabilities and labels (N, K), got {probabilities.shape}, {labels.shape}"
        )
    chosen = []
    for column in range(labels.shape[1]):
        scored = labels[:, column] >= 0
        chosen.append(
            _choose_threshold(
                probabilities[scored, column].astype(np.float64),
                labels[scored, column] == 1,
                floor,
            )
        )
    return Thresholds(
        values=np.array([tau for tau, _, _, _ in chosen], dtype=np.float64),
        f1=np.array([f1 for _, f1, _, _ in chosen], dtype=np.float64),
        plateau=np.array([plateau for _, _, plateau, _ in chosen]).reshape(-1, 2),
        usable=np.array([usable for _, _, _, usable in chosen], dtype=bool),
    )


def choose_thresholds_across(
    probabilities: Sequence[np.ndarray], labels: Sequence[np.ndarray], floor: float = 0.01
) -> Thresholds:
    """Thresholds that lean on no single video: the mean, as logit, of those without each video.

    Args:
        probabilities: One (T, K) float array per video.
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        floor: Lower thresholds are raised to this one.

    Returns:
        Values by leaving out each video in turn, where what is left has a usable threshold, with
        their F1 on all videos; plateau and usability are those of all videos together. With one
        video, or where no fold has a usable threshold, the same as `choose_thresholds`.
    """
    everything, truth = np.concatenate(list(probabilities)), np.concatenate(list(labels))
    together = choose_thresholds(everything, truth, floor)
    if len(labels) < 2:
        return together
    videos = range(len(labels))
    folds = [
        choose_thresholds(
            np.concatenate([probabilities[video] for video in videos if video != left_out]),
            np.concatenate([labels[video] for video in videos if video != left_out]),
            floor,
        )
        for left_out in videos
    ]
    usable = np.stack([fold.usable for fold in folds])
    sums = (_logit(np.stack([fold.values for fold in folds])) * usable).sum(axis=0)
    means = 1 / (1 + np.exp(-sums / np.maximum(usable.sum(axis=0), 1)))
    crossed = usable.any(axis=0) & together.usable
    values = np.where(crossed, np.maximum(means, floor), together.values)
    scored, present = truth >= 0, truth == 1
    predicted = (everything.astype(np.float64) > values) & scored
    f1 = [_f1(predicted[:, k], present[:, k]) for k in range(truth.shape[1])]
    return Thresholds(values, np.array(f1), together.plateau, together.usable)


def _choose_threshold(
    probabilities: np.ndarray, present: np.ndarray, floor: float
) -> tuple[float, float, tuple[float, float], bool]:
    """Threshold, its F1, its plateau and whether it is usable, for one behavior."""
    if np.isnan(probabilities).any():
        raise ValueError("probabilities of scored frames must not be NaN")
    if not present.any():
        return FALLBACK, 0.0, (FALLBACK, FALLBACK), False
    upper, lower, f1 = _legal_cuts(probabilities, present)
    if f1.max() < USABLE_F1:
        return FALLBACK, _f1(probabilities > FALLBACK, present), (FALLBACK, FALLBACK), False
    best = np.flatnonzero(f1 == f1.max())
    gaps = (upper - lower)[best]
    cut = int(best[gaps == gaps.max()][-1])
    tau = (upper[cut] + lower[cut]) / 2
    tau = float(lower[cut] if tau >= upper[cut] else tau)
    plateau = _plateau(upper, lower, f1, cut)
    tau = max(tau, floor)
    return tau, _f1(probabilities > tau, present), plateau, True


def _legal_cuts(
    probabilities: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest probability above each cut, highest below it, and F1; never inside a group of ties."""
    order = np.argsort(-probabilities, kind="stable")
    descending = probabilities[order]
    below = np.append(descending[1:], min(0.0, descending[-1] - 1e-9))
    true_positives = np.cumsum(present[order])
    f1 = 2 * true_positives / (np.arange(1, len(order) + 1) + present.sum())
    legal = descending > below
    return descending[legal], below[legal], f1[legal]


def _plateau(upper: np.ndarray, lower: np.ndarray, f1: np.ndarray, cut: int) -> tuple[float, float]:
    """Unbroken range of thresholds around a cut whose F1 is nearly the best."""
    bad = np.flatnonzero(f1 < f1.max() - PLATEAU_F1)
    before, after = bad[bad < cut], bad[bad > cut]
    first = before[-1] + 1 if len(before) else 0
    last = after[0] - 1 if len(after) else len(f1) - 1
    return max(float(lower[last]), 0.0), float(upper[first])


def _f1(predicted: np.ndarray, present: np.ndarray) -> float:
    return float(2 * (predicted & present).sum() / max(predicted.sum() + present.sum(), 1))


def apply_thresholds(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Where each behavior is present: (T, K) bool, probability > threshold, compared in float64.

    Args:
        probabilities: (T, K) float.
        thresholds: (K,) float.

    Raises:
        ValueError: The shapes do not fit.
    """
    _check_shapes(probabilities, thresholds)
    return probabilities.astype(np.float64) > thresholds


def apply_exclusive(
    probabilities: np.ndarray, thresholds: np.ndarray, always_one: bool
) -> np.ndarray:
    """At most one behavior per frame: the one that exceeds its threshold by the largest odds.

    Args:
        probabilities: (T, K) float in [0, 1].
        thresholds: (K,) float in (0, 1).
        always_one: Exactly one per frame, even where none exceeds its threshold.

    Returns:
        (T, K) bool; of equal margins logit p − logit threshold the first behavior wins.

    Raises:
        ValueError: The shapes do not fit.
    """
    _check_shapes(probabilities, thresholds)
    margins = _logit(probabilities) - _logit(np.asarray(thresholds))
    winners = margins.argmax(axis=1)
    wins = always_one | (np.take_along_axis(margins, winners[:, None], axis=1) > 0)
    return (np.arange(probabilities.shape[1]) == winners[:, None]) & wins


def _check_shapes(probabilities: np.ndarray, thresholds: np.ndarray) -> None:
    if probabilities.ndim != 2 or np.shape(thresholds) != probabilities.shape[1:]:
        raise ValueError(
            f"expected probabilities (T, K) and thresholds (K,), "
            f"got {probabilities.shape} and {np.shape(thresholds)}"
        )


def _logit(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities.astype(np.float64), TINY, 1 - TINY)
    return np.log(clipped) - np.log1p(-clipped)
