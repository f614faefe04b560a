"""Scores of whole bouts: segmental F1 and the edit score (Lea et al. 2017; Farha and Gall 2019).

Comes in: labels and boolean predictions per video. Goes out: how many predicted bouts overlap a
true one, and how alike the order of bouts is. Videos are cut where nobody scored (−1): no bout
reaches across, and nothing inside a gap counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pixelethogram.ethogram.bouts import find_runs

OVERLAPS = (0.1, 0.25, 0.5)


@dataclass(frozen=True, eq=False)
class SegmentCounts:
    """Bouts of V videos and K behaviors, (V, K) int each; they add up over videos.

    Args:
        hits: Predicted bouts that were matched with a true one.
        predicted: Predicted bouts.
        true: Bouts in the labels.
    """

    hits: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        """(K,) over all videos; 0 where there is no bout at all."""
        hits, predicted, true = (
            each.sum(axis=0) for each in (self.hits, self.predicted, self.true)
        )
        return 2 * hits / np.maximum(predicted + true, 1)


def count_segments(
    labels: Sequence[np.ndarray], present: Sequence[np.ndarray], overlap: float
) -> SegmentCounts:
    """Match predicted bouts with true ones, per video and behavior.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        present: One (T, K) bool array per video, the predictions.
        overlap: Least intersection over union of a match, above 0 and at most 1.
    """
    counts = np.zeros((3, len(labels), labels[0].shape[1]), dtype=np.int64)
    for video, (truth, guess) in enumerate(zip(labels, present, strict=True)):
        for column in range(truth.shape[1]):
            for true, predicted in cut_bouts(truth[:, column], guess[:, column]):
                hits = len(match_bouts(true, predicted, overlap))
                counts[:, video, column] += (hits, len(predicted), len(true))
    return SegmentCounts(*counts)


def segmental_f1(
    labels: Sequence[np.ndarray],
    present: Sequence[np.ndarray],
    overlaps: Sequence[float] = OVERLAPS,
) -> np.ndarray:
    """F1 of bouts per overlap and behavior, (len(overlaps), K), pooled over the videos."""
    return np.stack([count_segments(labels, present, overlap).f1 for overlap in overlaps])


def edit_scores(labels: Sequence[np.ndarray], present: Sequence[np.ndarray]) -> np.ndarray:
    """How alike the order of bouts and pauses is, per video and behavior, 0 to 100.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        present: One (T, K) bool array per video, the predictions.

    Returns:
        (V, K) float, 100 (1 − edit distance / longer list); NaN where a video shows the behavior
        neither in the labels nor in the prediction.
    """
    scores = np.full((len(labels), labels[0].shape[1]), np.nan)
    for video, (truth, guess) in enumerate(zip(labels, present, strict=True)):
        for column in range(truth.shape[1]):
            stretches = find_runs(truth[:, column] >= 0).tolist()
            true = [truth[start:stop, column] == 1 for start, stop in stretches]
            predicted = [guess[start:stop, column].astype(bool) for start, stop in stretches]
            if any(each.any() for each in [*true, *predicted]):
                scores[video, column] = _edit_score(true, predicted)
    return scores


def exclusive_edit_scores(
    labels: Sequence[np.ndarray], present: Sequence[np.ndarray]
) -> np.ndarray:
    """How alike the order of behaviors is where at most one is present, per video, 0 to 100.

    Frames without behavior part bouts but are no element of the order.

    Returns:
        (V,) float; NaN where a video shows no behavior at all, or no frame is scored in full.
    """
    scores = np.full(len(labels), np.nan)
    for video, (truth, guess) in enumerate(zip(labels, present, strict=True)):
        stretches = find_runs(np.all(truth >= 0, axis=1)).tolist()
        true = [to_states(truth[start:stop] == 1) for start, stop in stretches]
        predicted = [to_states(guess[start:stop]) for start, stop in stretches]
        none = truth.shape[1]
        if any((each < none).any() for each in [*true, *predicted]):
            scores[video] = _edit_score(true, predicted, left_out=none)
    return scores


def to_states(present: np.ndarray) -> np.ndarray:
    """One state per frame: column of the first behavior that is present, K where none is.

    Args:
        present: (T, K) bool; of several behaviors on a frame the leftmost counts.

    Returns:
        (T,) int.
    """
    present = present.astype(bool)
    return np.where(present.any(axis=1), present.argmax(axis=1), present.shape[1])


def match_bouts(true: np.ndarray, predicted: np.ndarray, overlap: float) -> np.ndarray:
    """Pair predicted with true bouts: in order of time, each with the best one that is free.

    Args:
        true: (n, 2) half-open intervals in order of time.
        predicted: (m, 2) half-open intervals in order of time.
        overlap: Least intersection over union, above 0.

    Returns:
        (pairs, 2) int, row of `true` and row of `predicted`; of equal overlaps the first.
    """
    free = np.ones(len(true), dtype=bool)
    firsts = np.searchsorted(true[:, 1], predicted[:, 0], side="right")
    lasts = np.searchsorted(true[:, 0], predicted[:, 1], side="left")
    pairs = []
    for row, (first, last) in enumerate(zip(firsts.tolist(), lasts.tolist(), strict=True)):
        if first == last:
            continue
        shares = _overlaps(true[first:last], predicted[row]) * free[first:last]
        best = int(shares.argmax())
        if shares[best] >= overlap:
            free[first + best] = False
            pairs.append((first + best, row))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def cut_bouts(labels: np.ndarray, present: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """True and predicted bouts (n, 2) and (m, 2) of each stretch of a column that was scored.

    Args:
        labels: (T,) int8; 1 present, 0 absent, −1 not scored.
        present: (T,) bool.
    """
    for start, stop in find_runs(labels >= 0).tolist():
        yield (
            start + find_runs(labels[start:stop] == 1),
            start + find_runs(present[start:stop].astype(bool)),
        )


def edit_distance(first: np.ndarray, second: np.ndarray) -> int:
    """Fewest insertions, deletions and replacements from one list (n,) to another (m,)."""
    steps = np.arange(len(second) + 1)
    row = steps
    for number, element in enumerate(first, start=1):
        replaced = row[:-1] + (second != element)
        best = np.append(number, np.minimum(replaced, row[1:] + 1))
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def _overlaps(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Intersection over union of each of (n, 2) with one (2,) that touches them all."""
    shared = np.minimum(true[:, 1], predicted[1]) - np.maximum(true[:, 0], predicted[0])
    union = np.maximum(true[:, 1], predicted[1]) - np.minimum(true[:, 0], predicted[0])
    return shared / union


def _edit_score(
    true: Sequence[np.ndarray], predicted: Sequence[np.ndarray], left_out: int | None = None
) -> float:
    """100 (1 − distance / length), both summed over the stretches of one video."""
    distance = length = 0
    for truth, guess in zip(true, predicted, strict=True):
        first, second = _list_segments(truth, left_out), _list_segments(guess, left_out)
        distance += edit_distance(first, second)
        length += max(len(first), len(second))
    return 100 * (1 - distance / length)


def _list_segments(states: np.ndarray, left_out: int | None) -> np.ndarray:
    """State of each run of equal states (T,), without the runs of one state."""
    firsts = states[np.append(True, states[1:] != states[:-1])]
    return firsts if left_out is None else firsts[firsts != left_out]
