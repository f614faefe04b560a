"""Settings that start weights bring along, as a layer below all that somebody chose.

Weights answer well only to what they were trained on: those of DeepEthogram, for example, to a
spatial stream that sees colors of two frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelethogram.config import Config, FeaturesConfig, SequenceConfig
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Stage, find_runs
from pixelethogram.start_weights.load import TRAINED_WITH, find_trained_with
from pixelethogram.start_weights.sources import NONE, TORCHVISION, open_source


def load_adopted_config(
    preset: str | None = None,
    project_settings: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    *,
    runs: Path | None = None,
) -> Config:
    """Settings after all layers, with the start weights' own in place of the defaults.

    Args:
        preset: As for `load_config`.
        project_settings: As for `load_config`.
        overrides: As for `load_config`.
        runs: Folder of all runs. The newest run of a stage answers for its start weights when
            they are not there any more.

    Raises:
        UsageError: As `load_config`.
        InputError: The start weights of a stage are gone, or hold no weights.
    """
    config = load_config(preset, project_settings, overrides)
    found = {stage: _find_model_settings(config, stage, runs) for stage in TRAINED_WITH}
    adopted: dict[str, Any] = {stage: {"model": model} for stage, model in found.items() if model}
    return load_config(preset, project_settings, overrides, adopted=adopted) if adopted else config


def _find_model_settings(config: Config, stage: Stage, runs: Path | None) -> dict[str, Any]:
    """Settings of a stage's network that its start weights were trained with."""
    settings: FeaturesConfig | SequenceConfig = getattr(config, stage)
    given, setting = settings.start_weights, f"{stage}.start_weights"
    known = set(TRAINED_WITH[stage]) & set(type(settings.model).model_fields)
    if given in (NONE, TORCHVISION) or not known:
        return {}
    if Path(given).exists():
        source = open_source(given, setting, settings.model.name, SilentProgress())
        found = find_trained_with(source, stage)
    else:
        found = _recall(stage, given, setting, runs)
    return {key: value for key, value in found.items() if key in known}


def _recall(stage: Stage, given: str, setting: str, runs: Path | None) -> dict[str, Any]:
    """Settings of the newest run's network, if that began with the start weights that are gone."""
    for run in find_runs(runs, stage)[-1:] if runs else []:
        section = getattr(run.config, stage)
        if section.start_weights == given:
            return section.model.model_dump()
    raise InputError(
        f"there is no {given}",
        where=setting,
        why="it was moved, renamed or deleted, or the path is written differently",
        do=f"put it back, or set {setting} to where it is, or to {NONE}",
    )
