"""The integer programme behind the splits, on units whose best assignment is known."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.assignment import Task, Unit, assign, list_words
from pixelethogram.errors import InputError


def build_units(positives: list[list[int]]) -> list[Unit]:
    """Units of 100 scored frames with the given positive frames per behavior."""
    return [
        Unit(f"v{number}", 0, 100, 100, np.array(row), np.sign(row), 100 - np.array(row))
        for number, row in enumerate(positives)
    ]


def build_task(num_behaviors: int, **changes: object) -> Task:
    settings: dict[str, object] = {
        "behaviors": tuple(f"b{k}" for k in range(num_behaviors)),
        "fractions": {"train": 0.6, "val": 0.2, "test": 0.2},
        "fixed": {},
        "guard_frames": 0,
        "seed": 0,
        "occurring": list(range(num_behaviors)),
        "by": "video",
        **changes,
    }
    return Task(**settings)  # type: ignore[arg-type]


def test_shares_are_met_when_they_can_be() -> None:
    parts = assign(build_units([[10]] * 10), build_task(1))
    assert [parts.count(part) for part in ("train", "val", "test")] == [6, 2, 2]


def test_three_holders_of_a_rare_behavior_go_to_three_parts() -> None:
    units = build_units([[9, 5 * (number in (2, 5, 7))] for number in range(10)])
    parts = assign(units, build_task(2))
    assert {parts[number] for number in (2, 5, 7)} == {"train", "val", "test"}


def test_fixed_units_stay() -> None:
    parts = assign(build_units([[10]] * 5), build_task(1, fixed={"v0": "test", "v1": "test"}))
    assert parts[:2] == ["test", "test"]


def test_too_few_holders_are_named() -> None:
    units = build_units([[9, 5 * (number < 2)] for number in range(6)])
    with pytest.raises(InputError, match="b1.*occurs in 2 of 6 labelled videos"):
        assign(units, build_task(2))


def test_words() -> None:
    assert list_words("abcdefg", most=3) == "a, b, c and 4 more"
