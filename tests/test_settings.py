"""Layers, gaps and descriptions of settings, on a small house of its own."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from pixelethogram.settings import (
    describe_settings,
    fill_gaps,
    merge_layers,
    network_names,
    suggest_key,
    to_key,
)


class Section(BaseModel):
    """Settings of a test, as strict as ours."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Oven(Section):
    """One of two networks."""

    name: Literal["oven"] = "oven"
    """Which one."""
    trays: int = 2
    """Trays in it."""


class Pan(Section):
    """The other one."""

    name: Literal["pan"] = "pan"
    """Which one."""
    size: float | None = None
    """Width
    over all."""


class Pace(Section):
    """Settings that occur twice."""

    steps: int = 10
    """How many."""
    speed: float = 1.0
    """How fast."""


class Kitchen(Section):
    """All of them."""

    model: Annotated[Oven | Pan, Field(discriminator="name")] = Oven()
    """What to cook with."""
    morning: Pace = Pace()
    """Early."""
    evening: Pace = Pace(speed=3.0)
    """Late."""
    weights: tuple[float, float] = (0.1, 0.2)
    """Of both."""
    prices: dict[str, PositiveFloat] = {}
    """Of dishes."""


def test_a_later_layer_wins_and_leaves_its_neighbours_alone() -> None:
    base = {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}}
    assert merge_layers(base, {"b": {"d": {"e": 9}}}) == {
        "a": 1,
        "b": {"c": 2, "d": {"e": 9, "f": 4}},
    }


def test_merging_changes_neither_layer() -> None:
    base, layer = {"b": {"c": 2}}, {"b": {"d": 3}}
    merge_layers(base, layer)
    assert (base, layer) == ({"b": {"c": 2}}, {"b": {"d": 3}})


def test_a_value_replaces_a_section_and_a_section_a_value() -> None:
    assert merge_layers({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert merge_layers({"a": 2}, {"a": {"b": 1}}) == {"a": {"b": 1}}


def test_another_network_drops_the_settings_of_the_one_before() -> None:
    base = {"model": {"name": "oven", "trays": 3}}
    assert merge_layers(base, {"model": {"name": "pan"}}) == {"model": {"name": "pan"}}
    same = merge_layers(base, {"model": {"name": "oven"}})
    assert same == base


def test_a_gap_takes_the_default_of_its_own_place() -> None:
    kitchen = Kitchen.model_validate(fill_gaps(Kitchen(), {"evening": {"steps": 5}}))
    assert kitchen.evening == Pace(steps=5, speed=3.0)
    assert kitchen.morning == Pace()


def test_a_network_without_a_name_is_the_default_one() -> None:
    kitchen = Kitchen.model_validate(fill_gaps(Kitchen(), {"model": {"trays": 7}}))
    assert kitchen.model == Oven(trays=7)


def test_another_network_keeps_its_own_defaults() -> None:
    kitchen = Kitchen.model_validate(fill_gaps(Kitchen(), {"model": {"name": "pan"}}))
    assert kitchen.model == Pan()


def test_nothing_given_is_all_defaults() -> None:
    assert Kitchen.model_validate(fill_gaps(Kitchen(), {})) == Kitchen()


def test_only_the_names_of_networks_are_the_first_layer() -> None:
    names = network_names(Kitchen())
    assert names == {"model": {"name": "oven"}, "morning": {}, "evening": {}}
    assert Kitchen.model_validate(fill_gaps(Kitchen(), names)) == Kitchen()


def test_settings_without_a_name_are_of_the_default_network_and_go_with_it() -> None:
    merged = merge_layers(network_names(Kitchen()), {"model": {"trays": 3}})
    assert merged["model"] == {"name": "oven", "trays": 3}
    assert merge_layers(merged, {"model": {"name": "pan"}})["model"] == {"name": "pan"}


def key_of_mistake(values: dict[str, object]) -> str:
    with pytest.raises(ValidationError) as refusal:
        Kitchen.model_validate(fill_gaps(Kitchen(), values))
    return to_key(refusal.value.errors()[0]["loc"], {"oven", "pan"})


def test_a_mistake_is_found_by_the_key_that_was_typed() -> None:
    assert key_of_mistake({"model": {"name": "pan", "size": "big"}}) == "model.size"
    assert key_of_mistake({"model": {"pan": 3}}) == "model.pan"
    assert key_of_mistake({"model": {"name": "wok"}}) == "model"
    assert key_of_mistake({"evening": {"steps": "many"}}) == "evening.steps"
    assert key_of_mistake({"weights": [1, "much"]}) == "weights"


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    keys = ["model.trays", "morning.steps", "seed"]
    assert suggest_key("morning.stepps", keys) == "did you mean morning.steps?"
    assert suggest_key("mornin", keys) == "did you mean morning?"
    assert "which network" in suggest_key("model.trays", keys)
    assert "pixelethogram settings" in suggest_key("quux", keys)


def test_every_setting_is_described_with_type_default_and_meaning() -> None:
    assert list(describe_settings(Kitchen())) == [
        ("model.name", "oven | pan", '"oven"', "Which one."),
        ("model.trays", "int", "2", "oven: Trays in it."),
        ("model.size", "float | none", "none", "pan: Width over all."),
        ("morning.steps", "int", "10", "How many."),
        ("morning.speed", "float", "1.0", "How fast."),
        ("evening.steps", "int", "10", "How many."),
        ("evening.speed", "float", "3.0", "How fast."),
        ("weights", "list of 2 float", "[0.1, 0.2]", "Of both."),
        ("prices", "float by name", "{}", "Of dishes."),
    ]
