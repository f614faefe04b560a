"""What `evaluate` says: every predictor of a project judged, in slices too, as tables and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from pixelethogram.ethogram.judgement import ALL
from pixelethogram.evaluation import Evaluation, final_part, score_columns
from pixelethogram.evaluation_tables import (
    EVERYTHING,
    HELP,
    Judgements,
    ablation_rows,
    confusion_rows,
    judgements_to_dict,
    metric_rows,
    overview_columns,
    overview_rows,
    slice_rows,
    write_judgements,
)
from pixelethogram.metadata import UNKNOWN, group_videos, read_column
from pixelethogram.progress import format_count
from pixelethogram.project_evaluation import (
    SEQUENCE,
    ProjectArrays,
    evaluate_arrays,
    judge_arrays,
    read_arrays,
)
from pixelethogram.repeated_splits import RepeatedScore, Retrained, repeat_splits
from pixelethogram.runs import Run
from pixelethogram.stages import Job
from pixelethogram.threshold_table import describe_changes

Table = tuple[str, list[str], list[list[Any]]]
"""Title, columns, rows."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Judgements of a sequence run on the part that judges, and how they were come to."""

    run: Run
    part: str
    evaluations: dict[str, Evaluation]
    judgements: Judgements
    not_judged: tuple[str, ...] = ()
    """Values of the column of slices that no scored frame of the part has."""

    def tables(self, column: str | None, *, full: bool) -> list[Table]:
        """Tables to be shown.

        Args:
            column: Of the slices, if any.
            full: Every metric, and the confusion.
        """
        behaviors = list(self.run.behaviors)
        corner, macro, *others = score_columns(behaviors)
        judged = self.judgements[SEQUENCE, EVERYTHING]
        title = f"scores on the {self.part} part, {format_count(judged.num_videos, 'video')}"
        tables: list[Table] = [
            (
                title,
                [corner, macro, "95 %", *others],
                ablation_rows(self.evaluations, self.part, self.judgements),
            ),
            (
                "sequence model by behavior",
                ["", *overview_columns(judged)],
                overview_rows(judged),
            ),
        ]
        if column is not None:
            columns = [column, "videos", "F1", "95 %", "chance", *behaviors]
            tables.append((f"by {column}", columns, slice_rows(self.judgements, SEQUENCE)))
        if full:
            tables += [
                (f"{name}: every metric", ["", ALL, *behaviors], metric_rows(found))
                for (name, value), found in self.judgements.items()
                if value == EVERYTHING
            ]
            tables += [
                ("sequence model: frames", *confusion_rows(judged)),
                self._threshold_table(),
            ]
        return tables

    def _threshold_table(self) -> Table:
        decision = self.evaluations[SEQUENCE].decision
        plateau = (
            [[None, None]] * len(decision.behaviors)
            if decision.plateau is None
            else decision.plateau.tolist()
        )
        rows = [
            [name, float(value), *ends]
            for name, value, ends in zip(
                decision.behaviors, decision.thresholds, plateau, strict=True
            )
        ]
        columns = ["", "threshold", "plateau from", "to"]
        return "thresholds (plateau: F1 on val at most 0.005 below its best)", columns, rows

    def notes(self) -> list[str]:
        """Lines below the tables."""
        lines = [HELP, *self.judgements[SEQUENCE, EVERYTHING].find_chance().values()]
        if changes := describe_changes(self.run, self.evaluations[SEQUENCE].decision):
            lines.append(
                f"{changes}: where the {self.part} part was looked at to set them, its scores are "
                "too good"
            )
        if self.not_judged:
            names = ", ".join(self.not_judged)
            lines.append(f"not judged, as no scored frame of the {self.part} part has it: {names}")
        return [*lines, f"every metric: --full, or {self.run.folder / 'evaluation.csv'}"]

    def to_dict(self, repeated: Sequence[RepeatedScore]) -> dict[str, Any]:
        """Plain values for JSON: scores per predictor and part, and everything else."""
        return {
            **{name: each.to_dict() for name, each in self.evaluations.items()},
            **self._about(repeated),
            **judgements_to_dict(self.judgements),
        }

    def write(self, repeated: Sequence[RepeatedScore]) -> None:
        """Keep everything in the folder of the run."""
        write_judgements(self.judgements, self._about(repeated), self.run.folder)

    def _about(self, repeated: Sequence[RepeatedScore]) -> dict[str, Any]:
        splits = {each.name: each.to_dict() for each in repeated}
        return {
            "run": self.run.id,
            "part": self.part,
            "not_judged": list(self.not_judged),
            "repeated_splits": splits,
        }


def judge_project(job: Job, column: str | None) -> Verdict:
    """Judge the newest sequence run; files with every number go into its folder.

    Args:
        job: Project and settings.
        column: Of videos.csv; judge the videos of each of its values by themselves, too.

    Raises:
        InputError: Nothing is trained or predicted, or there is no such column.
    """
    values = None if column is None else read_column(job.project, column)
    arrays = read_arrays(job)
    evaluations = evaluate_arrays(arrays)
    part = final_part(evaluations)
    judgements = {}
    for name, evaluation in evaluations.items():
        if (judged := judge_arrays(arrays, evaluation, part, name)) is not None:
            judgements[name, EVERYTHING] = judged
    not_judged: tuple[str, ...] = ()
    if values is not None:
        slices, not_judged = _judge_slices(arrays, evaluations[SEQUENCE], part, values)
        judgements |= slices
    verdict = Verdict(arrays.run, part, evaluations, judgements, not_judged)
    verdict.write([])
    return verdict


def repeat_and_keep(
    job: Job, verdict: Verdict, number: int, *, column: str, retrained: Retrained
) -> list[RepeatedScore]:
    """`repeat_splits`, added to the files of the verdict."""
    repeated = repeat_splits(job, number, column, retrained)
    verdict.write(repeated)
    return repeated


def _judge_slices(
    arrays: ProjectArrays, evaluation: Evaluation, part: str, values: dict[str, str]
) -> tuple[Judgements, tuple[str, ...]]:
    """The sequence model on the videos of each value; and the values that it was not judged on."""
    found, missing = {}, []
    for value, videos in group_videos(values).items():
        name = value if value != UNKNOWN else "(unknown)"
        judged = judge_arrays(arrays, evaluation, part, SEQUENCE, videos)
        if judged is None:
            missing.append(name)
        else:
            found[SEQUENCE, name] = judged
    return found, tuple(missing)
