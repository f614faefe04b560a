"""Labels of a project, or of one file, looked at before anything is learned from them.

A dry run: nothing is changed. What is looked for stands in `ethogram/label_faults.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pixelethogram.alarms import count_bouts
from pixelethogram.config_layers import load_config
from pixelethogram.errors import PixelethogramError, UsageError
from pixelethogram.ethogram.label_faults import (
    Finding,
    LabelTable,
    Recording,
    check_columns,
    check_motion,
    check_table,
    read_table,
    summarize,
)
from pixelethogram.frames.motion import measure_motion
from pixelethogram.frames.source import FrameSource, open_frames
from pixelethogram.intake import video_of_labels
from pixelethogram.progress import Progress
from pixelethogram.project import Project, Video
from pixelethogram.spans import plan_splits

MAX_MOTION_FRAMES = 20_000  # enough to find a shift; decoding more costs minutes
WHOLE_PROJECT = "all videos"

Findings = dict[str, list[Finding]]
"""Name of a labels file, or of what was looked at, -> what was found."""


def check_project(
    project: Project, video: str | None, *, motion: bool, progress: Progress
) -> Findings:
    """Check the labels of every video, other raters' included, and the columns over all of them.

    Args:
        project: Whose labels.
        video: Only this one; None takes all.
        motion: Decode the videos and compare the labels with what moves.
        progress: Told of every frame that is decoded.
    """
    videos = project.videos() if video is None else [project.video(video)]
    findings: Findings = {}
    tables: dict[str, LabelTable] = {}
    for each in videos:
        energy = None
        for path in filter(Path.exists, map(each.rater_path, [None, *each.raters])):
            name = each.name if path == each.labels_path else f"{each.name}, {path.name}"
            table = tables[name] = read_table(path)
            findings[name] = check_table(
                table,
                _describe(each),
                project.behaviors,
                exclusive=project.exclusive,
                others=_others(project, each),
            )
            if motion and len(table.values) == each.num_frames:
                if energy is None:
                    energy = _measure(each.open(), each.name, progress)
                findings[name] += check_motion(table, energy, each.fps)
    if len(tables) > 1:
        findings[WHOLE_PROJECT] = check_columns(tables)
    if video is None and not summarize(findings)["error"]:
        findings[WHOLE_PROJECT] = findings.get(WHOLE_PROJECT, []) + check_amount(project)
    return findings


def check_amount(project: Project) -> list[Finding]:
    """Whether the parts, as the next training will make them, hold enough bouts of each behavior.

    Args:
        project: With labels that can be read.
    """
    labels = {name: each.values for name, each in project.read_labels().items()}
    try:
        splits, _ = plan_splits(project, load_config(None, project.settings, ()), labels)
    except PixelethogramError as error:  # what training will say
        return [Finding("warning", error.what, error.do or "")]
    alarms = count_bouts(labels, splits, project.behaviors)
    return [Finding("warning", each.what, each.do) for each in alarms]


def check_import(
    project: Project, path: Path, video: str | None, *, motion: bool, progress: Progress
) -> Findings:
    """What `import` would meet: a file against a video of the project and its behaviors."""
    target = project.video(video or video_of_labels(path))
    table = read_table(path)
    found = check_table(
        table,
        _describe(target),
        project.behaviors,
        exclusive=project.exclusive,
        others=_others(project, target),
    )
    if motion and len(table.values) == target.num_frames:
        energy = _measure(target.open(), target.name, progress)
        found += check_motion(table, energy, target.fps)
    return {path.name: found}


def check_file(path: Path, video: Path | None, *, motion: bool, progress: Progress) -> Findings:
    """A labels file that is in no project, beside its recording if that is given.

    Raises:
        UsageError: The recording is not there.
    """
    table = read_table(path)
    if video is None:
        return {path.name: check_table(table, None, None)}
    if not video.exists():
        raise UsageError("there is no such recording", where=video, do="--video RECORDING")
    with open_frames(video) as frames:
        frames.scan()
        recording = Recording(video.name, frames.num_frames, frames.fps)
        found = check_table(table, recording, None)
        if motion and len(table.values) == frames.num_frames:
            found += check_motion(table, _measure(frames, video.name, progress), frames.fps)
    return {path.name: found}


def _measure(frames: FrameSource, name: str, progress: Progress) -> np.ndarray:
    """Motion energy of the first frames, decoded with a bar."""

    def counted() -> Iterator[np.ndarray]:
        for frame in frames.iterate():
            progress.advance(1)
            yield frame

    with frames:
        progress.start(f"motion of {name}", min(frames.num_frames, MAX_MOTION_FRAMES))
        energy = measure_motion(counted(), MAX_MOTION_FRAMES)
        progress.finish()
    return energy


def _describe(video: Video) -> Recording:
    return Recording(video.name, video.num_frames, video.fps)


def _others(project: Project, video: Video) -> list[Recording]:
    return [_describe(each) for each in project.videos() if each.name != video.name]
