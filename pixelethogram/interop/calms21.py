"""Sequences of CalMS21 and MABe 2021 become the recordings of a project, labels included.

What is needed to hand in predictions is kept in video.yaml: the key of the sequence and the
vocabulary. Sequences without annotations are held out: they can teach the flow, are predicted, and
are never scored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.label_files import keep_labels
from pixelethogram.pose.readers.calms21 import OTHER, Sequence21, read_sequences
from pixelethogram.progress import Progress, format_count
from pixelethogram.project import Project, Video, create_project, note
from pixelethogram.recordings import add_pose
from pixelethogram.splits import Segment

KEY = "calms21"


@dataclasses.dataclass(frozen=True)
class Imported:
    """What came into a project."""

    project: Project
    labelled: list[str]
    held_out: list[str]


def import_calms21(
    folder: Path,
    paths: Sequence[Path],
    *,
    task: int | None,
    part: str | None,
    overwrite: bool,
    progress: Progress,
) -> Imported:
    """Add every sequence of some files; the project is made if it is not there.

    Args:
        folder: Of the project.
        paths: Files of CalMS21 or MABe 2021.
        task: 1 (one annotator), 2 (several) or 3 (a behavior each); None: what the files say.
        part: Part of the labelled sequences, train, val or test; None leaves that to the training.
        overwrite: Replace labels that are there already.
        progress: Told a line per file.
    """
    files = {path: read_sequences(path) for path in paths}
    found = [each for sequences in files.values() for each in sequences]
    if task is not None:
        _check_task(found, task, paths[0])
    project = _open(folder, found, paths[0])
    labelled: list[str] = []
    held_out: list[str] = []
    for path, sequences in files.items():
        for same in _group(sequences, path):
            video = _add(project, same, path, overwrite)
            (held_out if video.held_out else labelled).append(video.name)
        progress.message(f"{path.name}: {format_count(len(sequences), 'sequence')}")
    if part and labelled:
        _fix_part(project, labelled, part)
    return Imported(project, labelled, held_out)


def to_labels(sequence: Sequence21, behaviors: Sequence[str]) -> np.ndarray:
    """(T, K) of 1 / 0 / -1: behaviors that the annotator had no name for are not scored."""
    labels = np.full((sequence.pose.num_frames, len(behaviors)), -1, dtype=np.int8)
    for column, name in enumerate(behaviors):
        if sequence.annotations is not None and name in sequence.vocabulary:
            labels[:, column] = sequence.annotations == sequence.vocabulary.index(name)
    return labels


def vocabularies_of(project: Project) -> dict[str, tuple[str, ...]]:
    """Of each group of annotations (""; in task 3 a behavior), the name of each number.

    Raises:
        InputError: Two imported files disagree.
    """
    found: dict[str, tuple[str, ...]] = {}
    for video in project.videos():
        about: Mapping[str, Any] = video.info.get(KEY) or {}
        for group, names in (about.get("vocabularies") or {}).items():
            if found.setdefault(group, tuple(names)) != tuple(names):
                raise InputError(
                    f"the vocabulary of {video.name} is {names}, that of others "
                    f"{list(found[group])}",
                    where=video.folder,
                    do="import files of one kind only into a project",
                )
    return found


def sequences_of(project: Project) -> dict[str, Video]:
    """Imported videos by the keys of their sequences."""
    return {video.info[KEY]["sequence"]: video for video in project.videos() if KEY in video.info}


def _check_task(found: Sequence[Sequence21], task: int, path: Path) -> None:
    grouped = any(each.group for each in found)
    raters = {each.rater for each in found if each.annotations is not None}
    if grouped != (task == 3) and raters:
        kind = "a behavior per group" if grouped else "all behaviors of a frame together"
        raise UsageError(
            f"--task {task}, but the annotations are of {kind}",
            where=path,
            do="leave --task out, or give the file of that task",
        )
    if task == 1 and len(raters) > 1:
        raise UsageError(
            f"--task 1, but there are {len(raters)} annotators: {', '.join(map(str, raters))}",
            where=path,
            do="leave --task out, or give the file of that task",
        )


def _open(folder: Path, found: Sequence[Sequence21], path: Path) -> Project:
    names = dict.fromkeys(name for each in found for name in each.vocabulary if name != OTHER)
    if (folder / "project.yaml").is_file():
        project = Project(folder)
        if unknown := [name for name in names if name not in project.behaviors]:
            raise InputError(
                f"the file names behaviors that the project does not have: {', '.join(unknown)}",
                where=path,
                do="import it into a project of its own",
            )
        return project
    if not names:
        raise InputError(
            "there is no project yet, and the file does not name its behaviors",
            where=path,
            do="import the file with the annotations first, or together with this one",
        )
    exclusive = not any(each.group for each in found)
    return create_project(folder, list(names), exclusive=exclusive)


def _group(sequences: Sequence[Sequence21], path: Path) -> list[list[Sequence21]]:
    """Annotations of one sequence for several behaviors (task 3) belong together."""
    groups: dict[str, list[Sequence21]] = {}
    for each in sequences:
        groups.setdefault(each.name, []).append(each)
    for name, same in groups.items():
        first = same[0].pose.positions
        alike = all(np.array_equal(first, each.pose.positions, equal_nan=True) for each in same)
        if not alike or len({each.group for each in same}) < len(same):
            raise InputError(
                f'{len(same)} different sequences are called "{name}"',
                where=path,
                do="give each a name of its own",
            )
    return list(groups.values())


def _add(project: Project, same: Sequence[Sequence21], path: Path, overwrite: bool) -> Video:
    first = same[0]
    video = add_pose(project, first.name, first.pose, path)
    known = (video.info.get(KEY) or {}).get("vocabularies") or {}
    vocabularies = {each.group: list(each.vocabulary) for each in same if each.vocabulary}
    vocabularies = {**known, **vocabularies}
    facts: dict[str, Any] = {KEY: {"sequence": first.id, "vocabularies": vocabularies}}
    if first.rater is not None:
        facts["rater"] = first.rater
    annotated = [each for each in same if each.annotations is not None]
    if not annotated:
        return note(video, {**facts, "held_out": True})
    labels = np.max([to_labels(each, project.behaviors) for each in annotated], axis=0)
    labels = _keep_other_columns(project, video, labels)
    ethogram = Ethogram(labels, project.behaviors, video.fps)
    keep_labels(project, video, ethogram, path, overwrite=overwrite)
    return note(video, facts)


def _keep_other_columns(project: Project, video: Video, labels: np.ndarray) -> np.ndarray:
    """Labels (T, K) with those that are there already in columns that nobody scored now."""
    silent = (labels < 0).all(axis=0)
    if not silent.any() or (there := video.read_labels(project.behaviors)) is None:
        return labels
    return np.where(silent, there.values, labels)


def _fix_part(project: Project, names: Sequence[str], part: str) -> None:
    """Whole videos get a part, which the splits of the training then keep."""
    splits = {
        other: [each for each in segments if each.video not in names]
        for other, segments in project.splits.items()
    }
    whole = [Segment(name, 0, project.video(name).num_frames) for name in names]
    project.write_splits({**splits, part: [*splits.get(part, []), *whole]})
