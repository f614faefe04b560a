"""The table of thresholds: as written it changes nothing, edited it rules, damaged it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.decision import Decision
from pixelethogram.runs import Run, write_yaml
from pixelethogram.threshold_table import (
    describe_changes,
    load_decision,
    parse_overrides,
    table_path,
    write_thresholds,
)

NAMES = ("saut, à gauche", "groom")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    chosen = Decision(
        NAMES,
        np.array([1 / 3, -5e-10]),
        np.array([2, 0]),
        plateau=np.array([[0.3, 0.4], [0.0, 0.1]]),
    )
    write_yaml(tmp_path / "results.yaml", {"decision": chosen.to_dict()})
    run = Run(tmp_path)
    write_thresholds(chosen, table_path(run))
    return run


def edit(run: Run, old: str, new: str) -> None:
    path = table_path(run)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_table_as_it_was_written_changes_nothing(run: Run) -> None:
    decision = load_decision(run)
    assert decision.thresholds.tolist() == [1 / 3, -5e-10]
    assert describe_changes(run, decision) is None
    table_path(run).unlink()
    assert load_decision(run).to_dict() == decision.to_dict()


def test_an_edited_threshold_is_used_and_said(run: Run) -> None:
    edit(run, f'gauche",{1 / 3},', 'gauche",0.5,')
    decision = load_decision(run)
    assert decision.thresholds.tolist() == [0.5, -5e-10]
    assert describe_changes(run, decision) == (
        "thresholds set by hand: saut, à gauche 0.5 (chosen: 0.333)"
    )
    assert load_decision(run, {"groom": 0.9}).thresholds.tolist() == [0.5, 0.9]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("groom,-5e-10", "groom,high", '"high"'),
        ("groom,-5e-10", "groom,1.5", '"1.5"'),
        ("groom,-5e-10", "groom,nan", '"nan"'),
        ("groom,", "grooom,", "grooom"),
        ("behavior,threshold", "behavior;threshold", "header"),
    ],
)
def test_a_damaged_table_is_refused(run: Run, old: str, new: str, message: str) -> None:
    edit(run, old, new)
    with pytest.raises(InputError, match=message) as refusal:
        load_decision(run)
    assert "thresholds.csv" in str(refusal.value)


def test_a_row_that_is_gone_or_double_is_refused(run: Run) -> None:
    path = table_path(run)
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(lines[:-1]), "utf-8")
    with pytest.raises(InputError, match="no row for groom"):
        load_decision(run)
    path.write_text("\n".join([*lines, lines[-1]]), "utf-8")
    with pytest.raises(InputError, match="stands twice"):
        load_decision(run)
    path.write_bytes("behavior,threshold\nsaut, à".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        load_decision(run)


def test_overrides_from_the_command_line() -> None:
    assert parse_overrides(["groom=0.25", "a=b=0.5"], ["groom", "a=b"]) == {
        "groom": 0.25,
        "a=b": 0.5,
    }


@pytest.mark.parametrize("text", ["groom", "rear=0.5", "groom=2", "groom=", "=0.5", "groom=x"])
def test_overrides_that_make_no_sense_are_refused(text: Any) -> None:
    with pytest.raises(UsageError, match="threshold"):
        parse_overrides([text], ["groom"])
