"""Every metric of one prediction at once, for tables and files.

Comes in: labels, probabilities and boolean predictions per video. Goes out: a `Judgement`, and from
it rows (metric, behavior, value, lower and upper end of the interval).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pixelethogram.ethogram.bootstrap import bootstrap_f1
from pixelethogram.ethogram.bout_statistics import (
    StatisticsAgreement,
    compare_statistics,
    compare_transitions,
)
from pixelethogram.ethogram.calibration import calibration_errors
from pixelethogram.ethogram.confusion import count_co_occurrence, count_confusion
from pixelethogram.ethogram.onsets import BoundaryErrors, boundary_errors
from pixelethogram.ethogram.scores import Scores, chance_scores, count_hits, score
from pixelethogram.ethogram.segments import (
    OVERLAPS,
    edit_scores,
    exclusive_edit_scores,
    segmental_f1,
)

ALL = "all"
OF_SCORES = (*("precision", "recall", "average_precision", "auroc", "log_loss", "brier"),)


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One number of a judgement; low and high are the ends of its 95 % interval, if it has one."""

    metric: str
    behavior: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Judgement:
    """What is known of one prediction of V videos and K behaviors.

    Args:
        num_videos: With a scored frame.
        scores: Frame by frame.
        f1_interval: (2, K) ends of the 95 % interval over videos; NaN with fewer than three.
        macro_f1_interval: (2,) the same of the mean.
        chance: From `chance_scores`: macro F1, and F1 per behavior, of circularly shifted labels.
        calibration_error: (K,) expected calibration error, after calibration if there was one.
        segmental_f1: (3, K) F1 of bouts that overlap by 10, 25 and 50 %.
        edit: (K,) mean over videos, 0 to 100, of bouts and pauses; NaN without bouts.
        order: The same of the order of behaviors where they exclude each other, else NaN.
        boundaries: Errors of onsets and offsets, in frames.
        statistics: Time, bouts, durations and rates over videos.
        transitions: Correlation of the transition probabilities.
        confusion: (K + 1, K + 1) frames where behaviors exclude each other, the last is none of
            them; else (K, K) frames labelled (row) and predicted (column).
        raw_calibration_error: (K,) of the probabilities before calibration; None without one.
    """

    num_videos: int
    scores: Scores
    f1_interval: np.ndarray
    macro_f1_interval: np.ndarray
    chance: dict[str, float | list[float]]
    calibration_error: np.ndarray
    segmental_f1: np.ndarray
    edit: np.ndarray
    order: float
    boundaries: BoundaryErrors
    statistics: StatisticsAgreement
    transitions: float
    confusion: np.ndarray
    raw_calibration_error: np.ndarray | None = None

    def rows(self) -> list[Row]:
        """Every number but the confusion, one row each; metrics that do not exist are NaN."""
        return [*self._rows_of_frames(), *self._rows_of_bouts()]

    def find_chance(self) -> dict[str, str]:
        """What is no better than chance, with a sentence; behaviors by name, their mean as "all".

        That is a score that more than one in twenty of the shifted labels reach. Behaviors that do
        not occur are not in it: nothing is known of them.
        """
        scores, high = self.scores, np.asarray(self.chance["f1_high"], dtype=np.float64)
        found = [
            (name, name, value, limit)
            for name, value, limit, frames in zip(
                scores.behaviors, scores.f1.tolist(), high.tolist(), scores.support, strict=True
            )
            if frames
        ]
        macro_high = float(np.asarray(self.chance["macro_f1_high"]).item())
        found.append((ALL, "mean of all behaviors", scores.macro_f1, macro_high))
        return {
            key: f"{words}: no better than chance (F1 {value:.2f}; 95 % of shifted labels reach "
            f"at most {limit:.2f})"
            for key, words, value, limit in found
            if value <= limit
        }

    def _rows_of_frames(self) -> Iterator[Row]:
        scores, names = self.scores, self.scores.behaviors
        yield Row("videos", ALL, self.num_videos)
        yield Row("f1", ALL, scores.macro_f1, *self.macro_f1_interval.tolist())
        ends = self.f1_interval.T.tolist()
        for name, value, (low, high) in zip(names, scores.f1.tolist(), ends, strict=True):
            yield Row("f1", name, value, low, high)
        yield Row("f1_chance", ALL, float(np.mean(self.chance["f1"])))
        yield from _each("f1_chance", names, self.chance["f1"])
        yield Row("f1_chance_high", ALL, float(np.asarray(self.chance["macro_f1_high"]).item()))
        yield from _each("f1_chance_high", names, self.chance["f1_high"])
        yield from _each("support", names, scores.support)
        for metric in OF_SCORES:
            values = np.asarray(getattr(scores, metric), dtype=np.float64)
            yield from _with_mean(metric, names, values)
        if self.raw_calibration_error is not None:
            yield from _with_mean("calibration_error_before", names, self.raw_calibration_error)
        yield from _with_mean("calibration_error", names, self.calibration_error)
        yield Row("background_f1", ALL, scores.background_f1)
        yield Row("accuracy", ALL, scores.accuracy)

    def _rows_of_bouts(self) -> Iterator[Row]:
        names = self.scores.behaviors
        for overlap, values in zip(OVERLAPS, self.segmental_f1, strict=True):
            yield from _with_mean(f"segmental_f1@{round(100 * overlap)}", names, values)
        yield from _with_mean("edit", names, self.edit)
        yield Row("edit_of_order", ALL, self.order)
        for field in dataclasses.fields(self.boundaries):
            yield from _each(field.name, names, getattr(self.boundaries, field.name))
        of_both = self.statistics
        for number, statistic in enumerate(of_both.statistics):
            for kind in ("pearson_r", "mean_absolute_difference", "label_mean", "predicted_mean"):
                yield from _each(f"{statistic}: {kind}", names, getattr(of_both, kind)[number])
        yield Row("transition_similarity", ALL, self.transitions)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        numbers: dict[str, dict[str, float | None]] = {}
        for row in self.rows():
            found = numbers.setdefault(row.metric, {})
            found[row.behavior] = _plain(row.value)
            if not math.isnan(row.low):
                found[f"{row.behavior}: low"], found[f"{row.behavior}: high"] = row.low, row.high
        return {
            "metrics": numbers,
            "confusion": self.confusion.tolist(),
            "no_better_than_chance": list(self.find_chance()),
        }


def judge(
    labels: Sequence[np.ndarray],
    probabilities: Sequence[np.ndarray],
    present: Sequence[np.ndarray],
    fps: Sequence[float],
    behaviors: Sequence[str],
    *,
    exclusive: bool,
    chance_repetitions: int = 100,
    seed: int = 0,
    raw: Sequence[np.ndarray] | None = None,
) -> Judgement:
    """Compare a prediction with labels in every way there is.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        probabilities: One (T, K) float array per video.
        present: One (T, K) bool array per video, the predictions.
        fps: Frames per second per video.
        behaviors: The K names.
        exclusive: At most one behavior per frame.
        chance_repetitions: Circular shifts that the level of chance is the mean of.
        seed: Of shifts and intervals.
        raw: The probabilities before calibration, where they were calibrated.
    """
    all_labels, all_present = np.concatenate(list(labels)), np.concatenate(list(present))
    all_probabilities = np.concatenate(list(probabilities))
    hits, predicted, positives = np.moveaxis(count_hits(labels, present), 1, 0)
    f1_interval, macro_interval = bootstrap_f1(hits, predicted, positives, seed=seed)
    confuse = count_confusion if exclusive else count_co_occurrence
    return Judgement(
        num_videos=sum(bool((video >= 0).any()) for video in labels),
        scores=score(all_labels, all_probabilities, all_present, behaviors),
        f1_interval=f1_interval,
        macro_f1_interval=macro_interval,
        chance=chance_scores(labels, present, chance_repetitions, seed),
        calibration_error=calibration_errors(all_labels, all_probabilities),
        segmental_f1=segmental_f1(labels, present),
        edit=_mean_over_videos(edit_scores(labels, present)),
        order=_mean_over_videos(exclusive_edit_scores(labels, present)[:, None]).item()
        if exclusive
        else math.nan,
        boundaries=boundary_errors(labels, present),
        statistics=compare_statistics(labels, present, fps),
        transitions=compare_transitions(labels, present),
        confusion=confuse(all_labels, all_present),
        raw_calibration_error=None
        if raw is None
        else calibration_errors(all_labels, np.concatenate(list(raw))),
    )


def _mean_over_videos(values: np.ndarray) -> np.ndarray:
    """(V, K) -> (K,); NaN where no video has a value."""
    exists = ~np.isnan(values)
    sums = np.where(exists, values, 0.0).sum(axis=0)
    return np.where(exists.any(axis=0), sums / np.maximum(exists.sum(axis=0), 1), np.nan)


def _with_mean(metric: str, names: Sequence[str], values: np.ndarray) -> Iterator[Row]:
    yield Row(metric, ALL, float(_mean_over_videos(values[:, None]).item()))
    yield from _each(metric, names, values)


def _each(metric: str, names: Sequence[str], values: Any) -> Iterator[Row]:
    for name, value in zip(names, np.asarray(values, dtype=np.float64).tolist(), strict=True):
        yield Row(metric, name, value)


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
