"""What `raters` says: people against people, and the model against each of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.ethogram.rater_tables import (
    PairAgreement,
    compare_pairs,
    judge_by_raters,
    kappa_of_all,
    kappa_rows,
    pair_rows,
)
from pixelethogram.ethogram.scores import Scores
from pixelethogram.evaluation import final_part
from pixelethogram.project import Project
from pixelethogram.project_evaluation import (
    SEQUENCE,
    evaluate_arrays,
    hide_other_frames,
    read_arrays,
)
from pixelethogram.runs import find_runs
from pixelethogram.stages import Job

MAIN = "labels"

RaterLabels = dict[str, dict[str, np.ndarray]]
"""Rater -> video -> (T, K)."""


@dataclasses.dataclass(frozen=True)
class HumanCeiling:
    """How well raters agree, and how well the model agrees with them.

    Args:
        behaviors: The K names.
        pairs: Of raters, on all videos.
        kappa: (K,) Fleiss' of all raters.
        model: Scores of the sequence model by rater; empty without a trained one.
        part: That the model was judged on.
    """

    behaviors: tuple[str, ...]
    pairs: list[PairAgreement]
    kappa: np.ndarray
    model: dict[str, Scores]
    part: str

    @property
    def note(self) -> str:
        """What to make of it."""
        if not self.model:
            return "no model to compare: train one, and score a video of its test part twice"
        return (
            f"the model is judged on the {self.part} part only, where two raters or more scored a "
            "video; it cannot be expected to agree with a rater more than raters do"
        )

    def tables(self) -> list[tuple[str, list[str], list[list[Any]]]]:
        """Title, columns and rows of each table."""
        names = list(self.behaviors)
        tables: list[tuple[str, list[str], list[list[Any]]]] = [
            (
                "rater against rater: F1",
                ["", "videos", "frames", "alike", "macro", *names],
                pair_rows(self.pairs, names),
            ),
            (
                "rater against rater: kappa",
                ["", "mean", *names],
                kappa_rows(self.pairs, self.kappa),
            ),
        ]
        if self.model:
            rows: list[list[Any]] = [
                [f"model / {name}", int(each.support.sum()), each.macro_f1, *each.f1.tolist()]
                for name, each in self.model.items()
            ]
            columns = ["", "present", "macro", *names]
            tables.append((f"model against rater on the {self.part} part: F1", columns, rows))
        return tables

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "pairs": [pair.to_dict() for pair in self.pairs],
            "fleiss_kappa": [None if np.isnan(value) else value for value in self.kappa.tolist()],
            "model": {name: each.to_dict() for name, each in self.model.items()},
            "part": self.part,
        }


def read_raters(project: Project) -> RaterLabels:
    """Labels of every rater; labels.csv counts as the rater "labels", and is the first."""
    main = {name: each.values for name, each in project.read_labels().items()}
    found: RaterLabels = {MAIN: main}
    for video in project.videos():
        for rater in video.raters:
            ethogram = video.read_labels(project.behaviors, rater)
            if ethogram is not None and ethogram.scored.any():
                found.setdefault(rater, {})[video.name] = ethogram.values
    return {rater: videos for rater, videos in found.items() if videos}


def judge_raters(job: Job) -> HumanCeiling:
    """Compare raters with one another, and the newest sequence model with each of them.

    Raises:
        InputError: No two raters scored a frame in common.
    """
    raters, behaviors = read_raters(job.project), job.project.behaviors
    pairs = compare_pairs(raters, behaviors)
    if not pairs:
        raise InputError(
            f"no two raters scored a frame in common (raters: {', '.join(raters) or 'none'})",
            where=job.project.folder / "videos",
            do="let another person score a video, then: pixelethogram import PROJECT FILE.csv "
            "--video NAME --rater PERSON",
        )
    kappa = kappa_of_all(raters, len(behaviors))
    if not find_runs(job.project.runs, "sequence"):
        return HumanCeiling(behaviors, pairs, kappa, {}, "")
    model, part = _judge_model(job, raters)
    return HumanCeiling(behaviors, pairs, kappa, model, part)


def _judge_model(job: Job, raters: RaterLabels) -> tuple[dict[str, Scores], str]:
    """Scores by rater on videos of the part that judges which two or more raters scored."""
    arrays = read_arrays(job)
    evaluations = evaluate_arrays(arrays)
    part, decision = final_part(evaluations), evaluations[SEQUENCE].decision
    inside = hide_other_frames(arrays, part)
    twice = [name for name in inside if sum(name in videos for videos in raters.values()) > 1]
    present = {name: decision.apply(arrays.probabilities[SEQUENCE][name]) for name in twice}
    of_part = {
        rater: {
            name: _hide_others(videos[name], job, name, part) for name in twice if name in videos
        }
        for rater, videos in raters.items()
    }
    return judge_by_raters(of_part, present, arrays.run.behaviors), part


def _hide_others(labels: np.ndarray, job: Job, video: str, part: str) -> np.ndarray:
    """Labels (T, K) with frames outside of the part not scored (-1)."""
    hidden = np.full_like(labels, -1)
    for each in job.project.splits[part]:
        if each.video == video:
            hidden[each.start : each.stop] = labels[each.start : each.stop]
    return hidden
