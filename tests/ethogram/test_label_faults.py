"""What is strange about a labels file is said, all of it, and what is right is not touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.ethogram.label_faults import (
    UNREADABLE,
    Finding,
    LabelTable,
    Recording,
    check_columns,
    check_length,
    check_names,
    check_table,
    read_table,
    summarize,
)

VIDEO = Recording("mouse", 4, 30.0)


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "mouse.labels.csv"
    path.write_text(text, encoding=encoding)
    return path


def texts(findings: list[Finding]) -> str:
    return "\n".join(f"{each.level}: {each.what} → {each.do}" for each in findings)


def table(**columns: list[int]) -> LabelTable:
    values = np.array(list(columns.values()), np.int8).T
    return LabelTable(tuple(columns), values, ())


def test_a_sound_file_has_no_findings(tmp_path: Path) -> None:
    path = tmp_path / "mouse.labels.csv"
    values = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.int8)
    write_csv(Ethogram(values, ("lick", "groom"), 30.0), path)
    found = read_table(path)
    assert check_table(found, VIDEO, ("groom", "lick")) == []
    np.testing.assert_array_equal(found.values, values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frame;lick\n0;1\n1;0\n", "semicolons"),
        ("lick\n1\n0\n", 'there is no column "frame"'),
        (",lick\n0,1\n1,0\n", 'the first column is called ""'),
        ("frame,lick\n1,1\n2,0\n", "counted from 1"),
        ("frame,lick\n0,1\n2,0\n", 'row 1 is called frame "2"'),
        ("frame,background,lick\n0,0,1\n1,1,0\n", "background is where no behavior is present"),
        ("frame,lick\n0,yes\n1,\n", '2 cells are not 1, 0 or -1: "", "yes"'),
        ("frame,lick,lick\n0,1,1\n", 'several columns are called "lick"'),
        ("", "the file is empty"),
    ],
)
def test_faults_of_the_file_are_named(tmp_path: Path, text: str, said: str) -> None:
    found = read_table(write(tmp_path, text))
    assert said in texts(list(found.findings))
    assert {each.level for each in found.findings} == {"error"}


def test_the_rest_of_a_faulty_file_is_read(tmp_path: Path) -> None:
    found = read_table(write(tmp_path, "frame;lick;à\n0;1;x\n1;-1\n", encoding="latin-1"))
    assert found.behaviors == ("lick", "à")
    assert found.values.tolist() == [[1, UNREADABLE], [-1, UNREADABLE]]
    assert "not UTF-8" in texts(list(found.findings))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (1001, "no frame for the last 1 row:"),
        (998, "no row for the last 2 frames:"),
        (833, "25 frames per second"),
        (1200, "it fits other: were files swapped?"),
        (400, "one row per frame of this video"),
    ],
)
def test_rows_that_are_not_the_frames_get_an_explanation(rows: int, said: str) -> None:
    others = [Recording("other", 1200, 30.0)]
    found = check_length(rows, Recording("mouse", 1000, 30.0), others)
    assert said in texts(found)
    assert [each.level for each in found] == ["error"]
    assert check_length(1000, Recording("mouse", 1000, 30.0), others) == []


def test_the_nearest_name_is_suggested_once() -> None:
    said = texts(check_names(("Rear ing", "lik", "sleep"), ("lick", "rearing", "groom")))
    assert '"Rear ing" is no behavior of the project → rename it to "rearing"?' in said
    assert '"lik" is no behavior of the project → rename it to "lick"?' in said
    assert '"sleep" is no behavior of the project → delete the column' in said
    assert 'there is no column "groom"' in said
    assert said.count("\n") == 3


def test_columns_that_say_nothing_are_named() -> None:
    found = check_columns(
        {"": table(never=[0, 0, 0], always=[1, 1, -1], blank=[-1, -1, -1], good=[1, 1, 0])}
    )
    said = texts(found)
    assert 'note: "never" never occurs' in said
    assert 'warning: "always" is present on every scored frame' in said
    assert 'warning: "blank" is not scored' in said
    assert "good" not in said


def test_a_column_is_judged_over_all_videos() -> None:
    tables = {"a": table(lick=[0, 0], groom=[0, 0]), "b": table(lick=[1, 1], groom=[0, 0])}
    assert texts(check_columns(tables)) == 'warning: "groom" never occurs in any video → '


def test_frames_not_scored_and_bouts_of_one_frame_are_counted() -> None:
    said = texts(check_columns({"": table(lick=[-1, -1, -1, 1, 0, 1])}))
    assert '"lick": 50% of the frames not scored' in said
    assert '"lick" has 2 bouts of one frame' in said


def test_overlaps_matter_in_exclusive_projects_only() -> None:
    found = table(lick=[0, 1, 1, 0], groom=[0, 0, 1, 1])
    said = texts(check_table(found, VIDEO, None, exclusive=True))
    assert "several behaviors at once on 1 frame, first on frame 2: lick and groom" in said
    assert check_table(found, VIDEO, None) == []


def test_the_summary_counts_levels() -> None:
    found = {"a": [Finding("error", "x", "y"), Finding("note", "z")], "b": []}
    summary = summarize(found)
    assert (summary["error"], summary["warning"], summary["note"]) == (1, 0, 1)
    assert summary["files"]["a"][0] == {"level": "error", "what": "x", "do": "y"}
