"""Settings that start weights bring along, as a layer below all that somebody chose.

Weights answer well only to what they were trained on: those of DeepEthogram, for example, to a
spatial stream that sees colors of two frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelethogram.config import Config, FeaturesConfig, SequenceConfig, load_config
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Stage
from pixelethogram.start_weights.load import TRAINED_WITH, find_trained_with
from pixelethogram.start_weights.sources import open_source


def load_adopted_config(
    preset: str | None = None,
    project_settings: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """Settings after all layers, with the start weights' own in place of the defaults.

    Arguments are those of `load_config`. Start weights that are not there any more change nothing;
    the training that needs them says so.

    Raises:
        UsageError: As `load_config`.
        InputError: The start weights of a stage are there and hold no weights.
    """
    config = load_config(preset, project_settings, overrides)
    found = {stage: _find_model_settings(config, stage) for stage in TRAINED_WITH}
    adopted: dict[str, Any] = {stage: {"model": model} for stage, model in found.items() if model}
    return load_config(preset, project_settings, overrides, adopted=adopted) if adopted else config


def _find_model_settings(config: Config, stage: Stage) -> dict[str, Any]:
    """Settings of a stage's network that its start weights were trained with."""
    settings: FeaturesConfig | SequenceConfig = getattr(config, stage)
    given = settings.start_weights
    if not Path(given).exists():  # none, torchvision, or not there any more
        return {}
    own = settings.model.name
    source = open_source(given, f"{stage}.start_weights", own, SilentProgress())
    known = type(settings.model).model_fields
    return {key: value for key, value in find_trained_with(source, stage).items() if key in known}
