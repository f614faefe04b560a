"""Nested settings in general: layers of them, gaps in them, a description of them.

Comes in: pydantic models and plain nested values. Which settings there are is in `config.py`.
A *network* is a model with a field `name`; a field that takes several is chosen by that name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Row = tuple[str, str, str, str]  # key, type, default, meaning


def merge_layers(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Put `layer` over `base`; another network (`name`) drops the settings of the one before.

    Example:
        >>> merge_layers({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}})
        {'a': 1, 'b': {'c': 4, 'd': 3}}
        >>> merge_layers({"name": "tgm", "layers": 3}, {"name": "lstm"})
        {'name': 'lstm'}
    """
    if "name" in layer and base.get("name", layer["name"]) != layer["name"]:
        return dict(layer)
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge_layers(merged[key], value) if both else value
    return merged


def fill_gaps(defaults: BaseModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """Add to `values` what they leave out.

    One class has different defaults in different places (the `train` of each stage). Pydantic does
    not look at those once a single setting of the section is given.
    """
    if "name" in type(defaults).model_fields:  # of a network only the name: others have other keys
        return {"name": dict(defaults)["name"], **values}
    filled = dict(values)
    for name, default in defaults:
        value = filled.setdefault(name, default)
        if isinstance(default, BaseModel) and isinstance(value, Mapping):
            filled[name] = fill_gaps(default, value)
    return filled


def describe_settings(section: BaseModel, prefix: str = "") -> Iterator[Row]:
    """Key, type, default and meaning of every setting below `section`.

    Where one of several networks is chosen by name, all of them are described; the meaning then
    begins with the name of the network.
    """
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{prefix}{name}"
        if not isinstance(value, BaseModel):
            yield _describe(key, field, value)
        elif choices := get_args(field.annotation):
            yield from _describe_networks(choices, f"{key}.")
        else:
            yield from describe_settings(value, f"{key}.")


def _describe_networks(networks: Sequence[type[BaseModel]], prefix: str) -> Iterator[Row]:
    names = [network.model_fields["name"].default for network in networks]
    _, _, default, meaning = _describe("", networks[0].model_fields["name"], names[0])
    yield f"{prefix}name", " | ".join(names), default, meaning
    for name, network in zip(names, networks, strict=True):
        for key, kind, default, meaning in describe_settings(network(), prefix):
            if key != f"{prefix}name":
                yield key, kind, default, f"{name}: {meaning}"


def _describe(key: str, field: FieldInfo, value: Any) -> Row:
    default = json.dumps(value) if value is not None else "none"
    return key, _type_name(field.annotation), default, " ".join((field.description or "").split())


def _type_name(annotation: Any) -> str:
    choices = get_args(annotation)
    if get_origin(annotation) is tuple:
        return f"list of {len(choices)} {_type_name(choices[0])}"
    if choices:
        return " | ".join("none" if c is type(None) else _type_name(c) for c in choices)
    return getattr(annotation, "__name__", str(annotation))
