"""Layers, gaps and descriptions of settings, on a small house of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pixelethogram.settings import describe_settings, fill_gaps, merge_layers


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
    ]
