"""What a project holds, what is missing, and the next command."""

from __future__ import annotations

import dataclasses
from typing import Any

from pixelethogram.project import Project, Video
from pixelethogram.runs import STAGES, Stage, find_runs
from pixelethogram.store import array_file


@dataclasses.dataclass(frozen=True)
class Overview:
    """A table video × behavior (frames present), lines about runs, and what to do next."""

    columns: list[str]
    rows: list[list[Any]]
    lines: list[str]
    next_command: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def build_overview(project: Project) -> Overview:
    """Read everything that `status` shows; labels are checked on the way."""
    labels = project.read_labels()
    parts: dict[str, list[str]] = {}
    for part, segments in project.splits.items():
        for segment in segments:
            parts.setdefault(segment.video, [])
            if part not in parts[segment.video]:
                parts[segment.video].append(part)
    rows: list[list[Any]] = []
    for video in project.videos():
        ethogram = labels.get(video.name)
        scored = int(ethogram.scored.any(axis=1).sum()) if ethogram else 0
        counts = (
            (ethogram.values == 1).sum(axis=0).tolist()
            if ethogram
            else [None] * len(project.behaviors)
        )
        found = "+".join(parts.get(video.name, [])) or None
        rows.append([video.name, found, video.num_frames, scored, *counts])
    lines = [_describe_runs(project, stage) for stage in STAGES]
    command = _next_command(project, bool(rows), bool(labels))
    columns = ["video", "part", "frames", "scored", *project.behaviors]
    return Overview(columns, rows, [*lines, f"next: {command}"], command)


def _describe_runs(project: Project, stage: Stage) -> str:
    finished = find_runs(project.runs, stage)
    broken_off = find_runs(project.runs, stage, finished=False)
    text = f"{stage}: {len(finished)} finished"
    text += f", newest {finished[-1].id}" if finished else ""
    if broken_off:
        text += f"; {len(broken_off)} broken off (the same command goes on with it)"
    return text


def _next_command(project: Project, has_videos: bool, has_labels: bool) -> str:
    folder = f'"{project.folder}"'
    if not has_videos:
        return f"pixelethogram add {folder} VIDEO_OR_FOLDER"
    if not has_labels:
        return f"pixelethogram import {folder} LABELS.csv"
    runs = find_runs(project.runs, "sequence")
    if not runs:
        return f"pixelethogram train all {folder} --preset fast"
    if not all(_is_predicted(video, runs[-1].id) for video in project.videos()):
        return f"pixelethogram extract {folder}, then pixelethogram predict {folder}"
    return f"pixelethogram predict {folder} NEW_VIDEOS"


def _is_predicted(video: Video, run_id: str) -> bool:
    return array_file(video.arrays, "sequence", run_id).exists()
