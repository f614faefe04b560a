"""Taking recordings and labels into a project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.frames.source import find_recordings
from pixelethogram.progress import Progress
from pixelethogram.project import Project, Video, import_labels
from pixelethogram.recordings import add_video

LABELS_SUFFIX = ".labels.csv"


def add_recordings(
    project: Project,
    sources: Sequence[Path],
    *,
    copy: bool,
    overwrite: bool,
    progress: Progress,
) -> list[Path]:
    """Add every recording in files and folders, with the labels that lie beside it.

    One that cannot be read does not stop the others.

    Args:
        project: Where to add them.
        sources: Recordings and folders of recordings.
        copy: Copy instead of linking.
        overwrite: Replace labels that are there already.
        progress: Told a line per recording.

    Returns:
        Recordings that failed.
    """
    project.behaviors  # noqa: B018 - refuses a folder that is no project before any work
    failed = []
    for source, _ in find_recordings(sources):
        try:
            progress.message(_add_one(project, source, copy, overwrite))
        except InputError as error:
            failed.append(source)
            progress.message(f"{source.name}: {error}")
    return failed


def video_of_labels(path: Path) -> str:
    """Name of the video that a labels file is called after: NAME.labels.csv or NAME.csv."""
    return path.name.removesuffix(LABELS_SUFFIX).removesuffix(".csv")


def describe_labels(ethogram: Ethogram) -> str:
    """One line: how many frames are scored, and how often each behavior is present."""
    scored = int(ethogram.scored.any(axis=1).sum())
    counts = (ethogram.values == 1).sum(axis=0)
    each = ", ".join(f"{name} {n}" for name, n in zip(ethogram.behaviors, counts, strict=True))
    return f"{scored} of {len(ethogram.values)} frames scored; frames present: {each}"


def _add_one(project: Project, source: Path, copy: bool, overwrite: bool) -> str:
    source = source.resolve()  # "." has no name
    video, is_new = add_video(project, source, copy=copy)
    lines = [f"{video.name}: {_describe_video(video)}" + ("" if is_new else " (was there already)")]
    name = source.name if source.is_dir() else source.stem
    labels = source.with_name(name + LABELS_SUFFIX)
    if labels.is_file():
        ethogram = import_labels(project, video, labels, overwrite=overwrite)
        lines.append(f"  labels: {describe_labels(ethogram)}")
    return "\n".join(lines)


def _describe_video(video: Video) -> str:
    info = video.info
    text = f"{info['num_frames']} frames, {info['width']} x {info['height']}, {video.fps:.4g} fps"
    if info.get("variable_rate"):
        text += ", variable rate"
    if info.get("num_damaged"):
        text += f", {info['num_damaged']} damaged frames repeat the one before"
    return text
