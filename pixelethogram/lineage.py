"""Which run a training goes on with: parents, and a fingerprint of everything a result depends on.

One rule keeps the stages together: the newest finished run of a stage is the one that counts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pixelethogram.config import Config
from pixelethogram.download import hash_file
from pixelethogram.features.models.external import HEADS, ExternalConfig
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.train import LAYOUT
from pixelethogram.flow.models.pose import PoseFlowConfig
from pixelethogram.flow.train import load_flow
from pixelethogram.pose.flow import PoseLayout
from pixelethogram.project import NOBODY, Project
from pixelethogram.runs import STAGES, Run, Stage, find_runs, latest_run, read_yaml, start_run
from pixelethogram.start_weights.load import FULL_LIST
from pixelethogram.start_weights.sources import NONE, TORCHVISION
from pixelethogram.training.weighing import refuse_unknown_weights

PARENT: dict[Stage, Stage] = {"features": "flow", "sequence": "features"}


def needed_stages(config: Config) -> list[Stage]:
    """Stages to be trained, in order: no flow where the features need none, or compute it."""
    return [stage for stage in STAGES if stage != "flow" or config.has_learned_flow]


def parent_stage(config: Config, stage: Stage) -> Stage | None:
    """The stage that another is built on, if there is one."""
    parent = PARENT.get(stage)
    return parent if parent in needed_stages(config) else None


def start_stage(
    project: Project,
    config: Config,
    stage: Stage,
    runs: Path,
    *,
    parents: Mapping[str, str] | None = None,
) -> Run:
    """A new run folder that names its parents, its parts and the fingerprint of its inputs.

    Args:
        project: What it learns from.
        config: All settings.
        stage: Of the run.
        runs: Where its folder is made.
        parents: Stage -> id of the run it is built on; None takes the newest.

    Raises:
        UsageError: A setting names a behavior that the project does not have.
    """
    for name in ("features", "sequence"):
        given = getattr(config, name).loss.positive_weights
        refuse_unknown_weights(given, project.behaviors, f"{name}.loss.positive_weights")
    videos: dict[str, list[str]] = {}
    for part, segments in project.splits.items():
        videos[part] = sorted({segment.video for segment in segments})
    return start_run(
        runs,
        stage,
        config,
        behaviors=project.behaviors,
        exclusive=project.exclusive,
        parents=_parents(project, config, stage) if parents is None else parents,
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


def load_flow_of(run: Run, project: Project | None = None) -> nn.Module:
    """The flow that a features run is built on; an identity where it needs none.

    Args:
        run: A features run.
        project: Where the flow run is, if `run` itself lies outside of its project.

    Raises:
        InputError: The flow run is missing.
    """
    if not run.config.features.model.needs_flow:
        return nn.Identity()
    if isinstance(run.config.flow.model, PoseFlowConfig):
        return run.config.flow.model.build(PoseLayout.from_dict(run.results[LAYOUT]))
    return load_flow(parent_of(project, run) if project else run.parent("flow"))


def inherit_settings(project: Project, config: Config, stage: Stage) -> tuple[Config, list[str]]:
    """Settings to train a stage with: a sequence model keeps those its features were made with.

    Returns:
        The settings, and what is kept although `config` has it otherwise; see `list_differences`.

    Raises:
        InputError: There are no features yet.
    """
    if stage != "sequence":
        return config, []
    kept = latest_run(project.runs, "features").config
    sections = ("frames", "flow", "features")
    changed = list_differences(kept, config, tuple(f"{name}." for name in sections))
    return config.model_copy(update={name: getattr(kept, name) for name in sections}), changed


def list_differences(first: Config, second: Config, prefixes: tuple[str, ...]) -> list[str]:
    """Settings that begin with a prefix and differ, as "KEY = VALUE, not VALUE"."""
    one, other = (dict(_flatten(each.model_dump(mode="json"))) for each in (first, second))
    return [
        f"{key} = {value}, not {other[key]}"
        for key, value in one.items()
        if key.startswith(prefixes) and key in other and value != other[key]
    ]


def fingerprint(project: Project, config: Config, stage: Stage) -> str:
    """Hash of everything that the result of a stage depends on."""
    inputs: dict[str, Any] = {
        "stage": stage,
        "parents": _parents(project, config, stage),
        "videos": [video.input_sha256(config.frames) for video in project.videos()],
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
    if stage == "sequence" and (raters := _raters(project)):
        inputs["raters"] = raters
    if stage == "sequence" and config.sequence.ensemble_folds > 1:  # by the rules of the split
        inputs["folds"] = [config.split.guard_frames, config.split.block_frames]
    inputs["settings"] = select_settings(config, stage)
    if stage != "flow" and isinstance(config.features.model, KeypointsConfig):
        inputs["poses"] = [video.pose_sha256 for video in project.videos()]
    if given := find_given(config, stage):
        inputs["files"] = [_hash_given(project, stage, path) for path in given]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def select_settings(config: Config, stage: Stage) -> dict[str, Any]:
    """Settings that the result of a stage depends on; what changes nothing is left out."""
    settings = config.model_dump(mode="json")
    sections = ["seed", "frames", *STAGES[: STAGES.index(stage) + 1]]
    if stage == "sequence":  # its results hold thresholds and bout lengths
        sections.append("ethogram")
    if stage == "flow" or config.flow.stride == 1:  # its own training is the same with any
        del settings["flow"]["stride"]
    if not config.draws_clips:
        del settings["features"]["augment_poses"], settings["features"]["pose_augment"]
    elif not settings["features"]["pose_augment"]["exchange"]:
        del settings["features"]["pose_augment"]["exchange"]
    for section in ("features", "sequence"):
        if not settings[section]["loss"]["positive_weights"]:
            del settings[section]["loss"]["positive_weights"]
    return {name: settings[name] for name in sections}


def _is_same(run: Run, project: Project, config: Config) -> bool:
    parent = parent_stage(config, run.stage)
    if parent and not find_runs(project.runs, parent):
        return False
    return run.record["fingerprint"] == fingerprint(project, config, run.stage)


def _raters(project: Project) -> dict[str, str]:
    return {video.name: video.rater for video in project.videos() if video.rater != NOBODY}


def _parents(project: Project, config: Config, stage: Stage) -> dict[str, str]:
    """Id of the newest finished run of the stage before; a missing one is an error."""
    parent = parent_stage(config, stage)
    return {parent: latest_run(project.runs, parent).id} if parent else {}


def find_given(config: Config, stage: Stage) -> list[str]:
    """Files and run folders that the settings of a stage name, not those of its parents."""
    section = getattr(config, stage)
    if not isinstance(section.model, ExternalConfig):
        return [section.start_weights] if section.start_weights not in (NONE, TORCHVISION) else []
    source, weights = section.model.source, section.model.weights
    return [source] * (source not in HEADS) + [weights] * (weights != NONE)


def _hash_given(project: Project, stage: Stage, given: str) -> str:
    """sha256 of a file, or of a run's weights; of one that is gone what the newest run noted."""
    path = Path(given) / "weights.pt" if Path(given).is_dir() else Path(given)
    if path.is_file():
        return hash_file(path)
    for run in find_runs(project.runs, stage)[-1:]:
        noted = read_yaml(run.folder / FULL_LIST)
        if noted["source"] == given:
            return noted["sha256"]
    return "gone"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key with dots and value of every setting."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
