"""Calibration: whether a probability of 0.8 is right in 80 of 100 frames, and a cure.

Comes in: probabilities and labels. Goes out: reliability tables, the expected calibration error
(Guo et al. 2017), and a scale and shift of the logit per behavior (Platt 1999; with the scale alone
it is temperature scaling), fitted by Newton steps. Frames nobody scored (−1) never count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, logit

Method = Literal["none", "temperature", "platt"]
NUM_BINS = 15
TINY = 1e-9  # probabilities nearer to 0 or 1 count as this near
MAX_STEPS = 100
CONVERGED = 1e-10


@dataclass(frozen=True, eq=False)
class Reliability:
    """Frames of one behavior in bins of about equal size, by their probability; (B,) each.

    Args:
        counts: int, frames.
        confidence: float, mean probability.
        share: float, share of the frames with the behavior.
    """

    counts: np.ndarray
    confidence: np.ndarray
    share: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |share − confidence| over frames; NaN without any."""
        if self.counts.sum() == 0:
            return float("nan")
        return float(np.average(abs(self.share - self.confidence), weights=self.counts))


@dataclass(frozen=True, eq=False)
class Calibration:
    """A cure for K behaviors: logit p becomes scale · logit p + shift.

    Args:
        scale: (K,) float, above 0, so that the order of frames never changes.
        shift: (K,) float.
    """

    scale: np.ndarray
    shift: np.ndarray

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(T, K) probabilities -> (T, K) float64."""
        return expit(self.scale * _to_logits(probabilities) + self.shift)


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_BINS
) -> list[Reliability]:
    """Compare the probabilities of each behavior with how often it was present.

    Args:
        labels: (N, K) int8; 1 present, 0 absent, −1 not scored.
        probabilities: (N, K) float in [0, 1].
        num_bins: Bins of equal mass; equal probabilities share a bin, so there may be fewer.

    Returns:
        One table per behavior.
    """
    tables = []
    for column in range(labels.shape[1]):
        scored = labels[:, column] >= 0
        tables.append(_bin(labels[scored, column] == 1, probabilities[scored, column], num_bins))
    return tables


def calibration_errors(
    labels: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_BINS
) -> np.ndarray:
    """Expected calibration error per behavior (K,), over equal-mass bins; NaN if never scored."""
    return np.array([table.error for table in reliability(labels, probabilities, num_bins)])


def fit_calibration(
    labels: np.ndarray, probabilities: np.ndarray, method: Method = "platt"
) -> Calibration:
    """Find scale and shift that make the labels most likely, per behavior.

    Targets are drawn in from 0 and 1 by one frame, as Platt does, so that separable frames have an
    answer. A behavior that is never or always present, or whose best scale is not positive, keeps
    its probabilities.

    Args:
        labels: (N, K) int8; 1 present, 0 absent, −1 not scored.
        probabilities: (N, K) float in [0, 1], of frames that nothing was learned from.
        method: "temperature" fits the scale alone; "none" changes nothing.
    """
    num_behaviors = labels.shape[1]
    scale, shift = np.ones(num_behaviors), np.zeros(num_behaviors)
    for column in range(num_behaviors if method != "none" else 0):
        scored = labels[:, column] >= 0
        present = labels[scored, column] == 1
        if not present.any() or present.all():
            continue
        found = _fit_logistic(
            _to_logits(probabilities[scored, column]), present, with_shift=method == "platt"
        )
        if found[0] > 0:
            scale[column], shift[column] = found
    return Calibration(scale, shift)


def _to_logits(probabilities: np.ndarray) -> np.ndarray:
    return logit(np.clip(np.asarray(probabilities, dtype=np.float64), TINY, 1 - TINY))


def _bin(present: np.ndarray, probabilities: np.ndarray, num_bins: int) -> Reliability:
    if len(present) == 0:
        return Reliability(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    probabilities = probabilities.astype(np.float64)
    firsts = np.arange(1, num_bins) * len(present) // num_bins
    edges = np.unique(np.sort(probabilities)[firsts])
    bins = np.searchsorted(edges, probabilities, side="right")
    counts = np.bincount(bins)
    sums = (np.bincount(bins, weights=each) for each in (probabilities, present))
    confidence, share = (each[counts > 0] / counts[counts > 0] for each in sums)
    return Reliability(counts[counts > 0], confidence, share)


def _fit_logistic(logits: np.ndarray, present: np.ndarray, *, with_shift: bool) -> Sequence[float]:
    """Scale and shift by Newton steps, halved while they make the labels less likely."""
    num_present, num_absent = present.sum(), (~present).sum()
    targets = np.where(present, (num_present + 1) / (num_present + 2), 1 / (num_absent + 2))
    inputs = np.stack([logits, np.ones_like(logits)], axis=1)[:, : 1 + with_shift]
    weights = np.array([1.0, 0.0])[: 1 + with_shift]
    loss = _logistic_loss(inputs @ weights, targets)
    for _ in range(MAX_STEPS):
        expected = expit(inputs @ weights)
        gradient = inputs.T @ (expected - targets)
        spread = expected * (1 - expected)
        curvature = (inputs * spread[:, None]).T @ inputs + 1e-12 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := _logistic_loss(inputs @ (weights - size * step), targets)) > loss:
            size /= 2
            if size < CONVERGED:
                return _pad_shift(weights)
        weights = weights - size * step
        if loss - after <= CONVERGED * abs(loss):
            break
        loss = after
    return _pad_shift(weights)


def _logistic_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((np.logaddexp(0, logits) - targets * logits).sum())


def _pad_shift(weights: np.ndarray) -> Sequence[float]:
    return [*weights.tolist(), 0.0][:2]
