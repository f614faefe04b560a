"""Scores as challenges count them, so that they can stand beside published ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pixelethogram.ethogram.scores import score
from pixelethogram.evaluation import final_part
from pixelethogram.project_evaluation import evaluate_project, judged_splits
from pixelethogram.runs import latest_run
from pixelethogram.stages import Job

Protocol = Literal["calms21"]
CALMS21 = ("attack", "investigation", "mount")
COLUMNS = ("who", "macro F1", "macro precision", "mAP", "frames")


@dataclasses.dataclass(frozen=True)
class ProtocolScores:
    """What the challenge counts, of one group of frames."""

    behaviors: tuple[str, ...]
    """The judged ones; "other" never is."""
    f1: tuple[float, ...]
    precision: tuple[float, ...]
    average_precision: float | None
    """Mean over the behaviors; None where there are no probabilities."""
    num_frames: int

    @property
    def macro_f1(self) -> float:
        """What decides."""
        return float(np.mean(self.f1))

    @property
    def macro_precision(self) -> float:
        """What decides between equals."""
        return float(np.mean(self.precision))

    def to_row(self, who: str) -> list[Any]:
        """Cells of `COLUMNS`, then F1 of each behavior."""
        summary = [self.macro_f1, self.macro_precision, self.average_precision, self.num_frames]
        return [who, *summary, *self.f1]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        more = {"macro_f1": self.macro_f1, "macro_precision": self.macro_precision}
        return {**dataclasses.asdict(self), **more}


def judged_behaviors(behaviors: Sequence[str]) -> tuple[str, ...]:
    """attack, investigation and mount where all three are asked for, else all but other."""
    if set(CALMS21) <= set(behaviors):
        return CALMS21
    return tuple(name for name in behaviors if name != "other")


def score_calms21(
    labels: np.ndarray,
    present: np.ndarray,
    behaviors: Sequence[str],
    average_precision: Mapping[str, float] | None = None,
) -> ProtocolScores:
    """Macro F1 and macro precision, all frames pooled, each behavior a question of its own.

    Args:
        labels: (N, K) of 1 / 0 / -1, which is not judged.
        present: (N, K) bool, the prediction.
        behaviors: Names of the columns.
        average_precision: Of each behavior, where there are probabilities.
    """
    judged = judged_behaviors(behaviors)
    columns = [list(behaviors).index(name) for name in judged]
    found = score(labels[:, columns], None, present[:, columns], judged)
    mean = None
    if average_precision is not None:
        values = np.array([average_precision[name] for name in judged])
        mean = float(np.nanmean(values)) if np.isfinite(values).any() else None
    return ProtocolScores(
        judged,
        tuple(found.f1.tolist()),
        tuple(found.precision.tolist()),
        mean,
        int((labels[:, columns] >= 0).any(axis=1).sum()),
    )


def evaluate_calms21(job: Job) -> dict[str, ProtocolScores]:
    """Scores of the newest sequence run on the part that judges: of all, and of each rater."""
    run = latest_run(job.project.runs, "sequence")
    evaluation = {"sequence": evaluate_project(job, run)["sequence"]}
    part = final_part(evaluation)
    found, behaviors = evaluation["sequence"].parts[part], job.project.behaviors
    segments = judged_splits(job.project, run)[part]
    average_precision = dict(zip(behaviors, found.scores.average_precision.tolist(), strict=True))
    rows = {
        "all": score_calms21(
            np.concatenate(found.labels),
            np.concatenate(found.present),
            behaviors,
            average_precision,
        )
    }
    raters = [job.project.video(each.video).rater for each in segments]
    for rater in sorted(set(raters)) if len(set(raters)) > 1 else ():
        own = [number for number, name in enumerate(raters) if name == rater]
        rows[rater] = score_calms21(
            np.concatenate([found.labels[number] for number in own]),
            np.concatenate([found.present[number] for number in own]),
            behaviors,
        )
    return rows
