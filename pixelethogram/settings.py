"""Nested settings in general: layers of them, gaps in them, a description of them.

Comes in: pydantic models and plain nested values. Which settings there are is in `config.py`.
A *network* is a model with a field `name`; a field that takes several is chosen by that name.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

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


def network_names(defaults: BaseModel) -> dict[str, Any]:
    """The name of every network below `defaults`: the layer that all others are put over.

    A layer that gives another name then drops settings of the default network, although these need
    no name.
    """
    names: dict[str, Any] = {}
    for name, default in defaults:
        if isinstance(default, BaseModel):
            names[name] = network_names(default)
        elif name == "name":
            names[name] = default
    return names


def to_key(location: Sequence[str | int], networks: Collection[str]) -> str:
    """Key of a setting from pydantic's location of a mistake.

    That has a network's name after `model`, and a position behind a list.

    Example:
        >>> to_key(("a", "model", "oven", "trays", 0), {"oven"})
        'a.model.trays'
    """
    before = ("", *location)
    return ".".join(
        str(part)
        for previous, part in zip(before, location, strict=False)
        if not (str(part).isdigit() or (previous == "model" and part in networks))
    )


def suggest_key(key: str, keys: Iterable[str]) -> str:
    """What to do about a key that does not exist, given all those that do."""
    rows = [each.split(".") for each in keys]
    known = {".".join(parts[:end]) for parts in rows for end in range(1, len(parts) + 1)}
    if key in known:  # but not of the network that was chosen
        return f"see which network has it: pixelethogram settings {key}"
    near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "list them with: pixelethogram settings"


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
    choices, kind = get_args(annotation), get_origin(annotation)
    if kind is Annotated:
        return _type_name(choices[0])
    if kind is tuple:
        return f"list of {len(choices)} {_type_name(choices[0])}"
    if kind is dict:
        return f"{_type_name(choices[1])} by name"
    if choices:
        return " | ".join("none" if c is type(None) else _type_name(c) for c in choices)
    return getattr(annotation, "__name__", str(annotation))
