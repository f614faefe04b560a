"""Labels come into a project: checked against their video, and never lost when replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, check_exclusive, read_csv, write_csv
from pixelethogram.project import MAIN_RATER, NO_RATERS, Project, Video, note


def import_labels(
    project: Project,
    video: Video,
    path: Path,
    *,
    overwrite: bool = False,
    rater: str | None = None,
    trains: bool = False,
) -> Ethogram:
    """Check a labels file against a video and keep a copy as its labels.csv.

    Args:
        project: The project of the video.
        video: The video that was scored.
        path: The file.
        overwrite: Replace other labels; they are kept as labels.old.csv.
        rater: Keep it as labels.<rater>.csv, which judges and never trains.
        trains: Keep it as labels.csv, and note there that the rater scored it; networks with a
            head for each rater learn the difference.

    Raises:
        UsageError: The rater's name cannot be part of the name of a file, or is not given.
        InputError: It does not fit, or would replace other labels without `overwrite`.
    """
    if rater is not None:
        _check_rater(rater)
    elif trains:
        raise UsageError("it is not said who scored the labels that train", do="add --rater NAME")
    ethogram = read_csv(path, project.behaviors, video.num_frames, video.fps)
    beside = None if trains else rater
    keep_labels(project, video, ethogram, path, overwrite=overwrite, rater=beside)
    if trains:
        note(video, {"rater": rater})
    return ethogram


def keep_labels(
    project: Project,
    video: Video,
    ethogram: Ethogram,
    where: Path,
    *,
    overwrite: bool = False,
    rater: str | None = None,
) -> None:
    """Write labels that come from elsewhere as a video's labels.csv, or labels.<rater>.csv.

    Args:
        project: Of the video.
        video: Whose labels they are.
        ethogram: In the project's order of behaviors, one row per frame of the video.
        where: They were read from, for messages.
        overwrite: Replace other labels; the old ones are kept as labels.old.csv.
        rater: Keep them as those of one person among others, which judge and never train.

    Raises:
        InputError: They do not fit, or would replace other labels without `overwrite`.
    """
    if video.held_out:
        raise InputError(
            f"{video.name} is held out: it is predicted, and never scored in this project",
            where=where,
            do="compare an exported submission with the labels: pixelethogram evaluate --help",
        )
    if project.exclusive:
        check_exclusive(ethogram, where)
    if not overwrite:
        _refuse_other_labels(project, video, ethogram, rater)
    target = video.rater_path(rater)
    fresh = target.with_suffix(".new.csv")
    write_csv(ethogram, fresh)
    if target.exists() and target.read_bytes() != fresh.read_bytes():
        target.replace(target.with_suffix(".old.csv"))
    fresh.replace(target)


def _check_rater(rater: str) -> None:
    forbidden = rater in {*NO_RATERS, MAIN_RATER} or set(rater) & set('./\\:*?"<>|')
    if forbidden or not rater or rater != rater.strip():
        raise UsageError(
            f'"{rater}" cannot be the name of a rater',
            why="it becomes part of a file's name, labels.NAME.csv; labels.old.csv has a meaning, "
            f'and tables call labels.csv "{MAIN_RATER}"',
            do="use letters, digits, - and _",
        )


def _refuse_other_labels(project: Project, video: Video, new: Ethogram, rater: str | None) -> None:
    old, path = video.read_labels(project.behaviors, rater), video.rater_path(rater)
    if old is not None and not np.array_equal(old.values, new.values):
        raise InputError(
            f"{video.name} has other labels already",
            where=path,
            do="add --overwrite to replace them; the old ones are kept as "
            + path.with_suffix(".old.csv").name,
        )
