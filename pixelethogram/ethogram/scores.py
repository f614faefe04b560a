"""Scores: how well a prediction agrees with labels, per behavior, and what chance would reach.

Comes in: labels, probabilities and boolean predictions. Goes out: precision, recall, F1, average
precision, AUROC, log loss and Brier score. Entries nobody scored (−1) never count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

CHANCE_QUANTILE = 0.95
SMALLEST = float(np.finfo(np.float64).eps)  # probability of what was held impossible


@dataclass(frozen=True, eq=False)
class Scores:
    """Agreement per behavior (K,) and in the mean; zero divided by zero is 0.

    Args:
        behaviors: The K names.
        support: (K,) int, scored frames with the behavior.
        precision, recall, f1: (K,) float.
        average_precision: (K,) float; NaN where the behavior is absent or nothing is ranked.
        auroc: (K,) float; NaN where the behavior is absent, always present, or nothing is ranked.
        log_loss, brier: (K,) float, of the probabilities; NaN where there are none.
        macro_precision, macro_recall, macro_f1: Means over the behaviors, without background.
        macro_average_precision, macro_auroc, macro_log_loss, macro_brier: Means over the behaviors
            that have a value.
        background_f1: F1 of "none of the behaviors" on the frames scored for all of them.
        accuracy: Share of the scored entries that agree.
    """

    behaviors: tuple[str, ...]
    support: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    average_precision: np.ndarray
    auroc: np.ndarray
    log_loss: np.ndarray
    brier: np.ndarray
    macro_precision: float
    macro_recall: float
    macro_f1: float
    macro_average_precision: float
    macro_auroc: float
    macro_log_loss: float
    macro_brier: float
    background_f1: float
    accuracy: float

    def to_dict(self) -> dict[str, object]:
        """Plain lists, numbers and names for YAML or JSON; NaN becomes None."""
        return {field.name: _to_plain(getattr(self, field.name)) for field in fields(self)}


def score(
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    present: np.ndarray,
    behaviors: Sequence[str],
) -> Scores:
    """Compare a prediction with labels.

    Args:
        labels: (N, K) int8; 1 present, 0 absent, −1 not scored (never counted).
        probabilities: (N, K) float in [0, 1] for average precision, AUROC, log loss and Brier
            score; None leaves them NaN.
        present: (N, K) bool, the prediction.
        behaviors: The K names.

    Raises:
        ValueError: The shapes differ.
    """
    shapes = {
        labels.shape,
        present.shape,
        np.shape(labels if probabilities is None else probabilities),
    }
    if len(shapes) != 1 or labels.ndim != 2 or labels.shape[1] != len(behaviors):
        raise ValueError(f"expected (N, {len(behaviors)}) arrays, got {sorted(shapes)}")
    scored, truth = labels >= 0, labels == 1
    predicted = present.astype(bool) & scored
    precision, recall, f1 = _precision_recall_f1(
        (truth & predicted).sum(axis=0), predicted.sum(axis=0), truth.sum(axis=0)
    )
    average_precision, auroc = _rank_scores(labels, probabilities)
    log_loss, brier = _probability_scores(labels, probabilities)
    return Scores(
        behaviors=tuple(behaviors),
        support=truth.sum(axis=0),
        precision=precision,
        recall=recall,
        f1=f1,
        average_precision=average_precision,
        auroc=auroc,
        log_loss=log_loss,
        brier=brier,
        macro_precision=_mean(precision),
        macro_recall=_mean(recall),
        macro_f1=_mean(f1),
        macro_average_precision=_mean(average_precision),
        macro_auroc=_mean(auroc),
        macro_log_loss=_mean(log_loss),
        macro_brier=_mean(brier),
        background_f1=_background_f1(labels, present),
        accuracy=float(((truth == predicted) & scored).sum() / max(scored.sum(), 1)),
    )


def count_hits(labels: Sequence[np.ndarray], present: Sequence[np.ndarray]) -> np.ndarray:
    """Frames per video that F1 is made of, for intervals over videos.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        present: One (T, K) bool array per video, the predictions.

    Returns:
        (V, 3, K) int: true positives, predicted and true positives on scored frames.
    """
    counts = []
    for truth, guess in zip(labels, present, strict=True):
        predicted = guess.astype(bool) & (truth >= 0)
        each = (predicted & (truth == 1), predicted, truth == 1)
        counts.append([array.sum(axis=0) for array in each])
    return np.array(counts)


def chance_scores(
    labels: Sequence[np.ndarray],
    present: Sequence[np.ndarray],
    repetitions: int = 100,
    seed: int = 0,
) -> dict[str, float | list[float]]:
    """F1 that the same predictions reach when they know nothing about the frames.

    The scored labels of each video are shifted in a circle by a random offset, at least one frame,
    against its predictions, so both keep their counts and bouts. A behavior's unscored entries are
    taken out of the circle first. Behaviors of a video that are scored on the same frames shift
    together.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        present: One (T, K) bool array per video, the predictions.
        repetitions: Shifts to average over.
        seed: Of the random offsets.

    Returns:
        `macro_f1`, and `f1` with one value per behavior, averaged over the repetitions;
        `macro_f1_high` and `f1_high`, which 95 % of the repetitions do not exceed.
    """
    num_behaviors = labels[0].shape[1]
    columns = [
        [_scored_column(video[:, k], predicted[:, k]) for k in range(num_behaviors)]
        for video, predicted in zip(labels, present, strict=True)
    ]
    positives = np.sum([[truth.sum() for truth, _ in video] for video in columns], axis=0)
    predictions = np.sum([[guess.sum() for _, guess in video] for video in columns], axis=0)
    generator = np.random.default_rng(seed)
    f1 = np.zeros((repetitions, num_behaviors))
    for number in range(repetitions):
        hits = np.zeros(num_behaviors)
        for video in columns:
            turn = generator.random()
            hits += [_shifted_hits(truth, guess, turn) for truth, guess in video]
        f1[number] = _precision_recall_f1(hits, predictions, positives)[2]
    return {
        "macro_f1": float(f1.mean()),
        "f1": f1.mean(axis=0).tolist(),
        "macro_f1_high": float(np.quantile(f1.mean(axis=1), CHANCE_QUANTILE)),
        "f1_high": np.quantile(f1, CHANCE_QUANTILE, axis=0).tolist(),
    }


def _scored_column(labels: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scored = labels >= 0
    return labels[scored] == 1, present[scored].astype(bool)


def _shifted_hits(truth: np.ndarray, guess: np.ndarray, turn: float) -> int:
    """True positives after shifting the labels by the fraction `turn` of the possible offsets."""
    offset = 1 + int(turn * (len(truth) - 1)) if len(truth) > 1 else 0
    return int(guess[(np.flatnonzero(truth) + offset) % max(len(truth), 1)].sum())


def _precision_recall_f1(
    hits: np.ndarray, predictions: np.ndarray, positives: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        hits / np.maximum(predictions, 1),
        hits / np.maximum(positives, 1),
        2 * hits / np.maximum(predictions + positives, 1),
    )


def _rank_scores(
    labels: np.ndarray, probabilities: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Average precision and AUROC per behavior, NaN where they do not exist."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    average_precision, auroc = np.full((2, labels.shape[1]), np.nan)
    if probabilities is None:
        return average_precision, auroc
    for column in range(labels.shape[1]):
        scored = labels[:, column] >= 0
        truth, ranks = labels[scored, column] == 1, probabilities[scored, column]
        if truth.any():
            average_precision[column] = average_precision_score(truth, ranks)
        if truth.any() and not truth.all():
            auroc[column] = roc_auc_score(truth, ranks)
    return average_precision, auroc


def _probability_scores(
    labels: np.ndarray, probabilities: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Log loss and Brier score per behavior, NaN where they do not exist."""
    log_loss, brier = np.full((2, labels.shape[1]), np.nan)
    if probabilities is None:
        return log_loss, brier
    for column in range(labels.shape[1]):
        scored = labels[:, column] >= 0
        if not scored.any():
            continue
        truth = labels[scored, column] == 1
        chance = probabilities[scored, column].astype(np.float64)
        brier[column] = ((chance - truth) ** 2).mean()
        of_truth = np.clip(np.where(truth, chance, 1 - chance), SMALLEST, 1.0)
        log_loss[column] = -np.log(of_truth).mean()
    return log_loss, brier


def _background_f1(labels: np.ndarray, present: np.ndarray) -> float:
    scored = (labels >= 0).all(axis=1)
    truth = ~(labels[scored] == 1).any(axis=1)
    predicted = ~present[scored].astype(bool).any(axis=1)
    return float(2 * (truth & predicted).sum() / max(truth.sum() + predicted.sum(), 1))


def _mean(values: np.ndarray) -> float:
    """Mean of the values that exist; NaN if none does."""
    existing = values[~np.isnan(values)]
    return float(existing.mean()) if len(existing) else math.nan


def _to_plain(value: object) -> object:
    if isinstance(value, np.ndarray | tuple):
        return [
            _to_plain(item) for item in (value.tolist() if isinstance(value, np.ndarray) else value)
        ]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
