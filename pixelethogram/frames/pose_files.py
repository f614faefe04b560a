"""Pose files as recordings: what is in them, and what the video beside them tells."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pixelethogram.config import FramesConfig
from pixelethogram.errors import InputError
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.frames.video import VIDEO_SUFFIXES, VideoFile
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import is_pose_file, read_pose
from pixelethogram.pose.readers import find_reader, read_poses
from pixelethogram.pose.readers.assembly import Facts

logger = logging.getLogger(__name__)

DRAWN, PIXELS, BOTH = "drawn", "pixels", "both"
POSE_SUFFIXES = frozenset({".csv", ".h5", ".hdf5", ".slp", ".json", ".npz", ".npy", ".parquet"})

BESIDE = re.compile(r"(DLC.*|\.[A-Za-z]\w*)?")
"""What may follow the name of a video in the stem of its pose file."""


def holds_pose(path: Path) -> bool:
    """True for a file with keypoints in a known format, by what is in it."""
    if path.suffix.lower() not in POSE_SUFFIXES or not path.is_file():
        return False
    return is_pose_file(path) or find_reader(path) is not None


def name_inputs(drawn: Iterable[bool]) -> str:
    """What networks learn from: drawn, pixels or both.

    Args:
        drawn: For each recording whether networks see its drawn pose.

    Example:
        >>> name_inputs([True, False, True])
        'both'
    """
    kinds = {DRAWN if each else PIXELS for each in drawn}
    return BOTH if len(kinds) > 1 else kinds.pop()


def fits_inputs(is_drawn: bool, learned: str | None) -> bool:
    """False where networks that learned from one kind of frames are to look at the other."""
    return learned in (None, BOTH) or is_drawn == (learned == DRAWN)


def refuse_other_inputs(path: Path, learned: str | None) -> None:
    """Raise where a recording is of pixels and the networks know drawn poses, or the reverse.

    Args:
        path: Any recording.
        learned: What `name_inputs` said in training; None: not known, nothing is refused.

    Raises:
        InputError: The networks have never seen such frames.
    """
    if fits_inputs(holds_pose(path), learned):
        return
    if learned == DRAWN:
        raise InputError(
            "these networks were trained on drawn poses, and this is a recording of pixels",
            where=path,
            why="they learned in a project of pose files, or with frames.pose.instead_of_pixels or "
            "flow.model.name=pose",
            do="give the pose file of the recording instead",
        )
    raise InputError(
        "these networks were trained on pixels, and this is a pose file",
        where=path,
        why="networks do not understand frames of a kind that they have never seen",
        do="give the video instead, or train in a project of pose files",
    )


def read_pose_recordings(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """Name and pose of every recording in a file.

    Args:
        path: Pose file of any known format.
        facts: Given by the user; what they leave open comes from the video beside the file.

    Raises:
        InputError: Unknown format, or a damaged file.
        UsageError: Size or rate are told nowhere.
    """
    if is_pose_file(path):
        yield path.stem, read_pose(path)
        return
    yield from read_poses(path, complete_facts(path, facts))


def complete_facts(path: Path, facts: Facts) -> Facts:
    """The facts, and those of the video beside a pose file where the given ones say nothing."""
    video = find_video_beside(path) if None in dataclasses.astuple(facts) else None
    if video is None:
        return facts
    with VideoFile(video) as frames:
        beside = Facts(frames.fps, frames.height, frames.width)
    logger.info("%s: size and rate of %s beside it", path.name, video.name)
    return facts.or_else(beside)


def find_video_beside(path: Path) -> Path | None:
    """The video whose name a pose file bears: NAME.csv, NAME.pose.csv, NAMEDLC_resnet50….csv."""
    found = [
        video
        for video in path.parent.iterdir()
        if video.suffix.lower() in VIDEO_SUFFIXES and _bears(path.stem, video.stem)
    ]
    return max(found, key=lambda video: len(video.stem), default=None)


def open_pose(path: Path, settings: FramesConfig, facts: Facts) -> DrawnPose:
    """Drawn frames of a pose file that holds one recording.

    Raises:
        InputError: It holds several.
    """
    pose = read_one_pose(path, facts)
    return DrawnPose(pose, settings.pose, settings.height, settings.width)


def read_one_pose(path: Path, facts: Facts) -> Pose:
    """The pose in a file that holds one recording.

    Raises:
        InputError: It holds several, or is no pose file.
    """
    recordings = read_pose_recordings(path, facts)
    _, pose = next(recordings, ("", None))
    if pose is None or next(recordings, None) is not None:
        raise InputError(
            f"the file holds {'no recording' if pose is None else 'several recordings'}",
            where=path,
            do="add it to a project: pixelethogram add PROJECT FILE",
        )
    return pose


def _bears(stem: str, name: str) -> bool:
    """True for NAME, NAMEDLC… and NAME.word; m1_2, m1-10 and m1.2 are other animals than m1."""
    return stem.startswith(name) and BESIDE.fullmatch(stem.removeprefix(name)) is not None
