"""Where the values of settings come from, and where their documentation goes.

Layers, later wins: defaults, or what start weights were trained with < preset (`configs/*.yaml`) <
`project.yaml: settings` < `--set KEY=VALUE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from pixelethogram.config import Config
from pixelethogram.errors import UsageError
from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.sequence.models import MODELS as SEQUENCE_MODELS
from pixelethogram.settings import (
    describe_settings,
    fill_gaps,
    merge_layers,
    network_names,
    suggest_key,
    to_key,
)


def preset_names() -> list[str]:
    """Names that `--preset` takes."""
    folder = resources.files("pixelethogram.configs")
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_config(
    preset: str | None = None,
    project_settings: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    *,
    adopted: Mapping[str, Any] | None = None,
) -> Config:
    """Settings after all layers.

    Args:
        preset: Name of a YAML in `configs/`; none means the defaults.
        project_settings: The `settings` of project.yaml.
        overrides: `KEY=VALUE` texts; the value is read as YAML.
        adopted: Takes the place of defaults; every layer wins over it.

    Raises:
        UsageError: An unknown preset, key or value; names the key and the nearest one.

    Example:
        >>> load_config(overrides=["frames.height=128"]).frames.height
        128
    """
    changes: dict[str, Any] = {}
    for text in overrides:
        changes = merge_layers(changes, _override(text))
    layers = {
        f"preset {preset}": _preset(preset),
        "project.yaml: settings": project_settings or {},
        "--set": changes,
    }
    merged = network_names(Config())
    for where, layer in layers.items():
        merged = merge_layers(merged, layer)
        config = parse_config(merge_layers(adopted or {}, merged), where)
    return config


def parse_config(values: Mapping[str, Any], where: object = None) -> Config:
    """Checked settings from nested plain values, as kept in a run folder; gaps are defaults.

    Args:
        values: Section -> setting -> value.
        where: Named in the error.

    Raises:
        UsageError: An unknown key or a value that is not valid.
    """
    try:
        return Config.model_validate(fill_gaps(Config(), values))
    except ValidationError as error:
        raise _explain(error, where) from error


def setting_rows(prefix: str = "") -> list[tuple[str, str, str, str]]:
    """(key, type, default, meaning) of every setting whose key starts with `prefix`."""
    return [row for row in describe_settings(Config()) if row[0].startswith(prefix)]


def _preset(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    if name not in preset_names():
        raise UsageError(
            f'there is no preset "{name}"', do=f"choose one of {', '.join(preset_names())}"
        )
    text = resources.files("pixelethogram.configs").joinpath(f"{name}.yaml").read_text("utf-8")
    return yaml.safe_load(text) or {}


def _override(text: str) -> dict[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise UsageError(f'"{text}" is not KEY=VALUE', do="write e.g. --set frames.height=128")
    nested: Any = _read_value(text, value)
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return nested


def _read_value(override: str, text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(
            f'the value of "{override}" cannot be read',
            do="write a number, a word, or a list such as [0.1, 0.2, 0.4]",
        ) from error
    if isinstance(value, str):  # YAML reads 1e-4 as text
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _explain(error: ValidationError, where: object) -> UsageError:
    first = error.errors()[0]
    key = to_key(first["loc"], {*FLOW_MODELS, *FEATURES_MODELS, *SEQUENCE_MODELS})
    if first["type"] == "extra_forbidden":
        remedy = suggest_key(key, [row[0] for row in setting_rows()])
        return UsageError(f"there is no setting {key}", where=where, do=remedy)
    return UsageError(
        f"setting {key} = {first['input']!r} is not valid: {first['msg']}",
        where=where,
        do=f"see: pixelethogram settings {key}",
    )
