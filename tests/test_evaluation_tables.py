"""Tables and files of judgements: a row per behavior, a line per number."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.ethogram.judgement import Judgement, judge
from pixelethogram.evaluation_tables import (
    EVERYTHING,
    FILE_COLUMNS,
    confusion_rows,
    metric_rows,
    overview_columns,
    overview_rows,
    show_interval,
    slice_rows,
    write_judgements,
)

NAMES = ("lick", "groom")


@pytest.fixture
def judgement() -> Judgement:
    """Three videos with bouts of one behavior; the other one never occurs."""
    labels = [np.zeros((100, 2), np.int8) for _ in range(3)]
    for number, video in enumerate(labels):
        video[10 : 30 + number, 0] = 1
    present = [video == 1 for video in labels]
    probabilities = [0.8 * video + 0.1 for video in present]
    return judge(
        labels, probabilities, present, [30.0] * 3, NAMES, exclusive=True, chance_repetitions=2
    )


def test_one_row_per_behavior_and_the_mean(judgement: Judgement) -> None:
    rows = overview_rows(judgement)
    assert [row[0] for row in rows] == [*NAMES, "mean"]
    columns = overview_columns(judgement)
    assert "ECE" in columns and "ECE before" not in columns
    lick = dict(zip(columns, rows[0][1:], strict=True))
    assert (lick["present"], lick["F1"], lick["95 %"]) == (63, 1.0, "1.00 to 1.00")
    groom = dict(zip(columns, rows[1][1:], strict=True))
    assert lick["onset"] == "0.0"
    assert (groom["present"], groom["AP"], groom["onset"]) == (0, None, None)


def test_a_calibrated_model_has_its_error_before_and_after(judgement: Judgement) -> None:
    cured = dataclasses.replace(judgement, raw_calibration_error=np.array([0.3, 0.1]))
    columns, rows = overview_columns(cured), overview_rows(cured)
    assert {len(row) for row in rows} == {1 + len(columns)}
    lick = dict(zip(columns, rows[0][1:], strict=True))
    assert (lick["ECE before"], lick["ECE"]) == (0.3, pytest.approx(0.1))


def test_every_metric_has_a_row(judgement: Judgement) -> None:
    rows = {row[0]: row[1:] for row in metric_rows(judgement)}
    assert set(rows) == {row.metric for row in judgement.rows()}
    assert rows["edit"] == [100.0, 100.0, None]


def test_confusion_has_the_frames_without_behavior(judgement: Judgement) -> None:
    columns, rows = confusion_rows(judgement)
    assert columns[1:] == [*NAMES, "none of them"]
    assert rows[0] == ["lick", 63, 0, 0]
    assert rows[2] == ["none of them", 0, 0, 237]


def test_a_slice_has_no_f1_of_a_behavior_that_does_not_occur(judgement: Judgement) -> None:
    rows = slice_rows(
        {("sequence", EVERYTHING): judgement, ("sequence", "f"): judgement}, "sequence"
    )
    assert [row[0] for row in rows] == ["f"]
    assert rows[0][-2:] == [1.0, None]


def test_files_hold_every_number(judgement: Judgement, tmp_path: Path) -> None:
    judgements = {("sequence", EVERYTHING): judgement, ("sequence", "f"): judgement}
    write_judgements(judgements, {"part": "test"}, tmp_path)
    with (tmp_path / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == FILE_COLUMNS
    assert len(rows) == 2 * len(judgement.rows())
    (f1,) = [
        row for row in rows if (row["slice"], row["metric"], row["behavior"]) == ("f", "f1", "lick")
    ]
    assert (float(f1["value"]), float(f1["low"])) == (1.0, 1.0)
    plain = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    assert plain["part"] == "test"
    assert plain["slices"]["sequence"]["f"] == plain["judgements"]["sequence"]


def test_an_interval_that_does_not_exist_is_a_dash() -> None:
    assert show_interval(float("nan"), 1.0) == "–"
    assert show_interval(0.104, 0.9) == "0.10 to 0.90"
