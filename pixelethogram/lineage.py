"""Which run a training goes on with: parents, and a fingerprint of everything a result depends on.

One rule keeps the stages together: the newest finished run of a stage is the one that counts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from pixelethogram.config import Config
from pixelethogram.project import Project
from pixelethogram.runs import STAGES, Run, Stage, find_runs, latest_run, start_run

PARENT: dict[Stage, Stage] = {"features": "flow", "sequence": "features"}


def start_stage(project: Project, config: Config, stage: Stage, runs: Path) -> Run:
    """A new run folder that names its parents, its parts and the fingerprint of its inputs."""
    videos: dict[str, list[str]] = {}
    for part, segments in project.splits.items():
        videos[part] = sorted({segment.video for segment in segments})
    return start_run(
        runs,
        stage,
        config,
        behaviors=project.behaviors,
        exclusive=project.exclusive,
        parents=_parents(project, stage),
        videos=videos,
        fingerprint=fingerprint(project, config, stage),
    )


def find_up_to_date(project: Project, config: Config, stage: Stage) -> Run | None:
    """The newest finished run, if it was made of exactly what is there now."""
    newest = find_runs(project.runs, stage)[-1:]
    return newest[0] if newest and _is_same(newest[0], project, config) else None


def find_broken_off(project: Project, config: Config, stage: Stage) -> Run | None:
    """The newest unfinished run that was made of exactly what is there now.

    One that is older than a finished run stays behind: finished now, it would not be the newest.
    """
    finished = [run.id for run in find_runs(project.runs, stage)]
    for run in reversed(find_runs(project.runs, stage, finished=False)):
        if finished and run.id < finished[-1]:
            return None
        if _is_same(run, project, config):
            return run
    return None


def parent_of(project: Project, run: Run) -> Run:
    """The run that `run` is built on; `run` itself may lie outside the project."""
    stage = PARENT[run.stage]
    return Run(project.runs / stage / run.record["parents"][stage])


def fingerprint(project: Project, config: Config, stage: Stage) -> str:
    """Hash of everything that the result of a stage depends on."""
    settings = config.model_dump(mode="json")
    sections = ["seed", "frames", *STAGES[: STAGES.index(stage) + 1]]
    inputs: dict[str, Any] = {
        "stage": stage,
        "parents": _parents(project, stage),
        "videos": [video.sha256 for video in project.videos()],
        "splits": {
            part: [dataclasses.astuple(segment) for segment in segments]
            for part, segments in project.splits.items()
        },
    }
    if stage != "flow":
        inputs["behaviors"] = [*project.behaviors, project.exclusive]
        inputs["labels"] = {
            name: hashlib.sha256(value.values.tobytes()).hexdigest()
            for name, value in project.read_labels().items()
        }
    if stage == "sequence":  # its results hold thresholds and bout lengths
        sections.append("ethogram")
        if config.sequence.ensemble_folds > 1:  # divided into folds by the rules of the split
            inputs["folds"] = [config.split.guard_frames, config.split.block_frames]
    inputs["settings"] = {name: settings[name] for name in sections}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _is_same(run: Run, project: Project, config: Config) -> bool:
    parent = PARENT.get(run.stage)
    if parent and not find_runs(project.runs, parent):
        return False
    return run.record["fingerprint"] == fingerprint(project, config, run.stage)


def _parents(project: Project, stage: Stage) -> dict[str, str]:
    """Id of the newest finished run of the stage before; a missing one is an error."""
    parent = PARENT.get(stage)
    return {parent: latest_run(project.runs, parent).id} if parent else {}
