"""Taking recordings and labels into a project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.frames.pose_files import holds_pose, read_pose_recordings
from pixelethogram.frames.source import find_recordings
from pixelethogram.label_files import import_labels
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.progress import Progress, format_count
from pixelethogram.project import Project, Video
from pixelethogram.recordings import add_pose, add_video, attach_pose

LABELS_SUFFIX = ".labels.csv"


def add_recordings(
    project: Project,
    sources: Sequence[Path],
    *,
    copy: bool,
    overwrite: bool,
    progress: Progress,
    facts: Facts | None = None,
) -> list[Path]:
    """Add every recording in files and folders, with the labels that lie beside it.

    One that cannot be read does not stop the others. Files of labels are no recordings, though
    poses/*.csv names them too.

    Args:
        project: Where to add them.
        sources: Recordings and folders of recordings.
        copy: Copy instead of linking.
        overwrite: Replace labels that are there already.
        progress: Told a line per recording.
        facts: Size and rate of the recordings, where pose files and videos beside do not say.

    Returns:
        Recordings that failed.
    """
    project.behaviors  # noqa: B018 - refuses a folder that is no project before any work
    failed = []
    do = "add the recording, its labels come along; or: pixelethogram import PROJECT FILE"
    for source, _ in find_recordings(leave_out_labels(sources, do)):
        try:
            for line in _add_one(project, source, copy, overwrite, facts or Facts()):
                progress.message(line)
        except (InputError, UsageError) as error:
            failed.append(source)
            progress.message(f"{source.name}: {error}")
    return failed


def leave_out_labels(sources: Sequence[Path], do: str) -> list[Path]:
    """Those that are not called NAME.labels.csv, which names like poses/*.csv bring along.

    Args:
        sources: Files and folders.
        do: What to do where nothing else is there.

    Raises:
        UsageError: Nothing else is there.
    """
    recordings = [source for source in sources if not source.name.endswith(LABELS_SUFFIX)]
    if sources and not recordings:
        raise UsageError(
            f"{sources[0].name} holds labels and is no recording",
            where=sources[0],
            do=do,
        )
    return recordings


def video_of_labels(path: Path) -> str:
    """Name of the video that a labels file is called after: NAME.labels.csv or NAME.csv."""
    return path.name.removesuffix(LABELS_SUFFIX).removesuffix(".csv")


def describe_labels(ethogram: Ethogram) -> str:
    """One line: how many frames are scored, and how often each behavior is present."""
    scored = int(ethogram.scored.any(axis=1).sum())
    counts = (ethogram.values == 1).sum(axis=0)
    each = ", ".join(f"{name} {n}" for name, n in zip(ethogram.behaviors, counts, strict=True))
    return (
        f"{scored} of {format_count(len(ethogram.values), 'frame')} scored; frames present: {each}"
    )


def import_pose(video: Video, path: Path, facts: Facts, *, overwrite: bool = False) -> str:
    """Take a pose file into a video with pixels, whose size and rate count; says what it holds.

    Raises:
        InputError: It holds several recordings, or another number of frames.
    """
    own = Facts(video.fps, int(video.info["height"]), int(video.info["width"]))
    recordings = list(read_pose_recordings(path, facts.or_else(own)))
    if len(recordings) != 1:
        raise InputError(
            f"the file holds {format_count(len(recordings), 'recording')}, expected one", where=path
        )
    ((_, pose),) = recordings
    attach_pose(video, pose, path, overwrite=overwrite)
    return _describe_pose(pose)


def _add_one(
    project: Project, source: Path, copy: bool, overwrite: bool, facts: Facts
) -> Iterator[str]:
    source = source.resolve()  # "." has no name
    if holds_pose(source):
        for name, pose in read_pose_recordings(source, facts):
            yield _add_one_pose(project, source, name, pose, overwrite)
        return
    video, is_new = add_video(project, source, copy=copy)
    name = source.name if source.is_dir() else source.stem
    yield _describe_added(project, video, is_new, source.with_name(name), overwrite)


def _add_one_pose(project: Project, source: Path, name: str, pose: Pose, overwrite: bool) -> str:
    known = {video.name for video in project.videos()}
    video = add_pose(project, name, pose, source)
    text = _describe_added(
        project, video, video.name not in known, source.with_name(video.name), overwrite
    )
    return f"{text}\n  {_describe_pose(pose)}"


def _describe_pose(pose: Pose) -> str:
    """One line: animals, keypoints, how many are missing."""
    animals = ", ".join(pose.individuals)
    names, skeleton = pose.skeleton.keypoints, pose.skeleton
    return (
        f"pose: {len(pose.individuals)} x {format_count(len(names), 'keypoint')} ({animals}), "
        f"{pose.missing.mean():.1%} missing, front is {names[skeleton.front]}, "
        f"back is {names[skeleton.back]}"
    )


def _describe_added(
    project: Project, video: Video, is_new: bool, bare: Path, overwrite: bool
) -> str:
    """What was added, and its labels if they lie beside it; `bare` is its path without suffix."""
    lines = [f"{video.name}: {_describe_video(video)}" + ("" if is_new else " (was there already)")]
    labels = bare.with_name(bare.name + LABELS_SUFFIX)
    if labels.is_file():
        ethogram = import_labels(project, video, labels, overwrite=overwrite)
        lines.append(f"  labels: {describe_labels(ethogram)}")
    return "\n".join(lines)


def _describe_video(video: Video) -> str:
    info = video.info
    text = format_count(info["num_frames"], "frame")
    text += f", {info['width']} x {info['height']}, {video.fps:.4g} fps"
    if info.get("variable_rate"):
        text += ", variable rate"
    if info.get("num_damaged"):
        text += f", {format_count(info['num_damaged'], 'damaged frame')} shown as the one before"
    return text
