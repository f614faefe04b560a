"""How good the predictions of a project are: decision rule, scores per part, chance.

Thresholds are chosen on the val part, bout lengths on the train part; the test part only judges.
The train part never chooses thresholds, not even those of an ensemble, whose members left its
frames out in turn: the features network has learned its labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.config import EthogramConfig
from pixelethogram.ethogram.decision import Decision, choose_decision
from pixelethogram.ethogram.plots import plot_scores
from pixelethogram.ethogram.scores import Scores, chance_scores, score
from pixelethogram.splits import Segment

Arrays = Mapping[str, np.ndarray]  # video name -> (T, K)
JUDGED_PARTS = ("val", "test")


@dataclasses.dataclass(frozen=True)
class PartScores:
    """Scores of one predictor on one part."""

    scores: Scores
    chance: dict[str, float | list[float]]
    """Macro F1 and F1 per behavior of circularly shifted labels."""
    labels: list[np.ndarray]
    """(T, K) of every stretch of the part."""
    present: list[np.ndarray]
    """(T, K) bool of every stretch of the part, the prediction."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of one predictor, and the rule that made its ethogram."""

    decision: Decision
    parts: dict[str, PartScores]

    @property
    def final(self) -> PartScores:
        """The part that judges: test where there is one, else val."""
        return self.parts["test"] if "test" in self.parts else self.parts["val"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON."""
        return {
            part: {**found.scores.to_dict(), "chance": found.chance}
            for part, found in self.parts.items()
        }


def evaluate(
    labels: Arrays,
    probabilities: Arrays,
    splits: Mapping[str, Sequence[Segment]],
    behaviors: Sequence[str],
    *,
    exclusive: bool,
    settings: EthogramConfig,
    seed: int,
    decision: Decision | None = None,
) -> Evaluation:
    """Choose the decision rule and score the parts that training did not see.

    Args:
        labels: Per video (T, K), 1 / 0 / -1.
        probabilities: Per video (T, K).
        splits: Part -> stretches of video; the predictor learned from no frame of val and test.
        behaviors: Names of the columns.
        exclusive: At most one behavior per frame.
        settings: Threshold floor, bout percentile, chance repetitions.
        seed: Of the chance level.
        decision: The rule to use; None chooses it.
    """
    cut = {part: _cut(labels, segments) for part, segments in splits.items()}
    if decision is None:
        val = sorted(splits["val"], key=lambda each: each.video)
        decision = choose_decision(
            np.concatenate(_cut(probabilities, val)),
            np.concatenate(_cut(labels, val)),
            cut["train"],
            behaviors,
            exclusive=exclusive,
            threshold_floor=settings.threshold_floor,
            bout_percentile=settings.bout_percentile,
            thresholds=settings.thresholds,
            calibration=settings.calibration,
            video_lengths=_count_frames(val),
        )
    honest = {video: decision.calibrate(values) for video, values in probabilities.items()}
    present = {video: decision.apply(values) for video, values in probabilities.items()}
    parts = {}
    for part in JUDGED_PARTS:
        if not splits.get(part):
            continue
        found = _cut(present, splits[part])
        parts[part] = PartScores(
            score(
                np.concatenate(cut[part]),
                np.concatenate(_cut(honest, splits[part])),
                np.concatenate(found),
                behaviors,
            ),
            chance_scores(cut[part], found, settings.chance_repetitions, seed),
            cut[part],
            found,
        )
    return Evaluation(decision, parts)


def final_part(evaluations: Mapping[str, Evaluation]) -> str:
    """test where it was judged, else val."""
    return "test" if all("test" in each.parts for each in evaluations.values()) else "val"


def score_columns(behaviors: Sequence[str]) -> list[str]:
    """Names of what `score_rows` gives."""
    return ["F1", "macro", "chance", *behaviors, "macro AP", "macro AUROC"]


def score_rows(evaluations: Mapping[str, Evaluation], part: str) -> list[list[Any]]:
    """Rows (predictor, macro F1, chance, F1 of each behavior, AP, AUROC) of a table of scores."""
    rows = []
    for name, evaluation in evaluations.items():
        if part not in evaluation.parts:
            continue
        found = evaluation.parts[part]
        scores = found.scores
        rows.append(
            [
                name,
                scores.macro_f1,
                found.chance["macro_f1"],
                *scores.f1.tolist(),
                scores.macro_average_precision,
                scores.macro_auroc,
            ]
        )
    return rows


def plot_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Picture of the scores on the part that judges."""
    plot_scores(evaluation.final.scores, evaluation.final.chance, path)


def _count_frames(segments: Sequence[Segment]) -> list[int]:
    """Frames of each video, in the order of the segments."""
    frames: dict[str, int] = {}
    for each in segments:
        frames[each.video] = frames.get(each.video, 0) + each.stop - each.start
    return list(frames.values())


def _cut(arrays: Arrays, segments: Sequence[Segment]) -> list[np.ndarray]:
    return [arrays[each.video][each.start : each.stop] for each in segments]
