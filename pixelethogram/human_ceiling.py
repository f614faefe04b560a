"""What `raters` says: people against people, and the model against each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.ethogram.agreement import hide_outside
from pixelethogram.ethogram.rater_tables import (
    OverallAgreement,
    PairAgreement,
    compare_pairs,
    judge_by_raters,
    kappa_of_all,
    kappa_rows,
    pair_rows,
)
from pixelethogram.ethogram.scores import Scores, score
from pixelethogram.evaluation import final_part
from pixelethogram.project import MAIN_RATER, Project
from pixelethogram.project_evaluation import (
    SEQUENCE,
    ProjectArrays,
    evaluate_arrays,
    read_arrays,
)
from pixelethogram.runs import find_runs
from pixelethogram.splits import hide_other_frames
from pixelethogram.stages import Job


@dataclasses.dataclass(frozen=True, eq=False)
class Ceiling:
    """People against people, and the model against labels.csv, on the same frames.

    Args:
        people: (K + 1,) F1, mean over pairs of raters; last the mean over behaviors.
        model: (K + 1,) F1 of the model where two raters or more scored.
        num_frames: Frames of which they scored a behavior.
    """

    people: np.ndarray
    model: np.ndarray
    num_frames: int


RaterLabels = dict[str, dict[str, np.ndarray]]
"""Rater -> video -> (T, K)."""


@dataclasses.dataclass(frozen=True)
class HumanCeiling:
    """How well raters agree, and how well the model agrees with them.

    Args:
        behaviors: The K names.
        pairs: Of raters, on all videos.
        overall: Fleiss' kappa of all raters.
        model: Scores of the sequence model by rater; empty without a trained one.
        part: That the model is judged on; an empty text without a trained one.
        pairs_of_part: Of raters, on the videos and frames that the model was judged on.
        part_videos: Those of the part.
    """

    behaviors: tuple[str, ...]
    pairs: list[PairAgreement]
    overall: OverallAgreement
    model: dict[str, Scores]
    part: str
    pairs_of_part: Sequence[PairAgreement] = ()
    part_videos: Sequence[str] = ()

    @property
    def note(self) -> str:
        """What to make of it."""
        if not self.part:
            return "no model to compare yet: nothing is trained here"
        if not self.model:
            return (
                f"the model is not compared: of the videos that judge it (part {self.part}: "
                f"{', '.join(self.part_videos)}) none was scored by a second rater"
            )
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
                ["", "videos", "frames", "mean", *names],
                kappa_rows(self.pairs, self.overall),
            ),
        ]
        if self.model:
            rows: list[list[Any]] = [
                [f"model / {name}", int(each.support.sum()), each.macro_f1, *each.f1.tolist()]
                for name, each in self.model.items()
            ]
            rows += [
                [" / ".join(each.raters), int(each.scores.support.sum()), each.scores.macro_f1]
                + each.scores.f1.tolist()
                for each in self.pairs_of_part
            ]
            columns = ["", "present", "macro", *names]
            title = f"model against rater, and raters on the same videos of the {self.part} part"
            tables.append((f"{title}: F1", columns, rows))
        return tables

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        kappa = self.overall.kappa
        return {
            "pairs": [pair.to_dict() for pair in self.pairs],
            "fleiss_kappa": [None if np.isnan(each) else each for each in kappa.tolist()],
            "fleiss_videos": self.overall.num_videos,
            "fleiss_frames": self.overall.num_frames,
            "model": {name: each.to_dict() for name, each in self.model.items()},
            "part": self.part,
            "pairs_of_part": [pair.to_dict() for pair in self.pairs_of_part],
        }


def read_raters(project: Project) -> RaterLabels:
    """Labels of every rater; labels.csv counts as the rater "labels", and is the first.

    Raises:
        InputError: Somebody else is called "labels".
    """
    main = {name: each.values for name, each in project.read_labels().items()}
    found: RaterLabels = {MAIN_RATER: main}
    for video in project.videos():
        for rater in video.raters:
            if rater == MAIN_RATER:
                path = video.rater_path(rater)
                raise InputError(f'no rater can be called "{rater}"', where=path, do="rename it")
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
    overall = kappa_of_all(raters, len(behaviors))
    if not find_runs(job.project.runs, "sequence"):
        return HumanCeiling(behaviors, pairs, overall, {}, "")
    arrays = read_arrays(job)
    evaluations = evaluate_arrays(arrays)
    part, decision = final_part(evaluations), evaluations[SEQUENCE].decision
    of_part = read_raters_of_part(job.project, arrays, part)
    twice = {name for videos in of_part.values() for name in videos}
    present = {name: decision.apply(arrays.probabilities[SEQUENCE][name]) for name in twice}
    model = judge_by_raters(of_part, present, behaviors)
    pairs_of_part = compare_pairs(of_part, behaviors)
    names = tuple(dict.fromkeys(each.video for each in arrays.splits[part]))
    return HumanCeiling(behaviors, pairs, overall, model, part, pairs_of_part, names)


def find_ceiling(
    project: Project, arrays: ProjectArrays, part: str, present: Mapping[str, np.ndarray]
) -> Ceiling | None:
    """What people reach on the frames that judge the model; None where no two scored one.

    Args:
        project: Whose raters.
        arrays: Labels and splits that judge.
        part: val or test.
        present: Video -> (T, K) bool, the model's ethogram.
    """
    raters, behaviors = read_raters_of_part(project, arrays, part), project.behaviors
    pairs = compare_pairs(raters, behaviors)
    if not pairs:
        return None
    videos = list(dict.fromkeys(name for each in raters.values() for name in each))
    raters_per_entry = [
        np.sum([each[name] >= 0 for each in raters.values() if name in each], axis=0)
        for name in videos
    ]
    twice = np.concatenate(raters_per_entry) > 1
    labels = np.concatenate([arrays.labels[name] for name in videos])
    model = score(
        hide_outside(labels, twice),
        None,
        np.concatenate([present[name] for name in videos]),
        behaviors,
    )
    people = [np.append(pair.scores.f1, pair.scores.macro_f1) for pair in pairs]
    return Ceiling(
        np.mean(people, axis=0), np.append(model.f1, model.macro_f1), int(twice.any(axis=1).sum())
    )


def read_raters_of_part(project: Project, arrays: ProjectArrays, part: str) -> RaterLabels:
    """Labels of every rater on the frames of a part that judge a model.

    Videos that only one rater scored are left out.

    Args:
        project: Whose raters.
        arrays: Their splits say which frames judge, which of an ensemble are fewer than the part.
        part: val or test.
    """
    raters = {
        rater: hide_other_frames(
            {name: values for name, values in videos.items() if name in arrays.labels},
            arrays.splits.get(part, []),
        )
        for rater, videos in read_raters(project).items()
    }
    names = [name for videos in raters.values() for name in videos]
    twice = {name for name in names if names.count(name) > 1}
    return {
        rater: {name: values for name, values in videos.items() if name in twice}
        for rater, videos in raters.items()
    }
