"""Statistics of a project and of predictions: the files hold what the ethograms say."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from openpyxl import load_workbook

from pixelethogram.behavior_statistics import (
    choose_groups,
    name_tables,
    overview_rows,
    read_ethograms,
    share_unscored,
    write_tables,
)
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.ethogram.time_budget import build_rows
from pixelethogram.project import Project
from pixelethogram.runs import latest_run
from pixelethogram.store import array_file

BEHAVIORS = ("lick", "groom")


def write_prediction(folder: Path, name: str, share: int, behaviors: tuple[str, ...]) -> None:
    """As `predict` leaves it: `share` of ten frames with each behavior."""
    folder.mkdir(parents=True, exist_ok=True)
    values = np.repeat(np.arange(10)[:, None] < share, len(behaviors), axis=1).astype(np.int8)
    write_csv(Ethogram(values, behaviors, 5.0), folder / f"{name}.ethogram.csv")
    (folder / f"{name}.json").write_text(json.dumps({"num_frames": 10, "fps": 5.0}), "utf-8")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_prediction(tmp_path / "results", "a.mp4", 2, BEHAVIORS)
    write_prediction(tmp_path / "results" / "day 2", "b.mp4", 4, BEHAVIORS)
    return tmp_path / "results"


def test_predictions_are_read_with_their_frame_rate(results: Path) -> None:
    source = read_ethograms(results)
    assert list(source.ethograms) == ["a.mp4", "day 2/b.mp4"]
    assert source.ethograms["a.mp4"].fps == 5.0


def test_the_files_say_the_same(results: Path, tmp_path: Path) -> None:
    source = read_ethograms(results)
    rows = build_rows(source.ethograms, {}, bin_seconds=1.0)
    files = numbers, groups, workbook = name_tables(tmp_path / "out" / "st.csv")
    assert [file.name for file in files] == ["st.csv", "st_groups.csv", "st.xlsx"]
    write_tables(rows, source, files)
    with numbers.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(rows)
    (cell,) = (
        each
        for each in read
        if (each["video"], each["behavior"], each["measure"])
        == ("day 2/b.mp4", "lick", "latency_seconds")
    )
    assert (cell["value"], cell["unit"], cell["stop_seconds"]) == ("0.0", "s", "")
    book = load_workbook(workbook, read_only=True)
    assert book.sheetnames == ["numbers", "groups", "one row per video", "what they mean"]
    assert len(list(book["numbers"].rows)) == len(rows) + 1
    wide = [[cell.value for cell in row] for row in book["one row per video"].rows]
    position = wide[0].index("lick time_fraction")
    assert [row[position] for row in wide[1:]] == [0.2, 0.4]
    with groups.open(encoding="utf-8", newline="") as file:
        mean = {
            (each["behavior"], each["measure"], each["stop_seconds"]): each["mean"]
            for each in csv.DictReader(file)
        }
    assert mean["lick", "time_fraction", ""] == "0.3"


def test_the_overview_has_a_row_per_group_and_behavior(results: Path) -> None:
    source = read_ethograms(results)
    rows = build_rows(source.ethograms, {"a.mp4": "x", "day 2/b.mp4": "y"})
    shown = overview_rows(rows)
    assert [row[:3] for row in shown] == [
        ["x", "lick", 1],
        ["x", "groom", 1],
        ["y", "lick", 1],
        ["y", "groom", 1],
    ]
    assert shown[0][3] == pytest.approx(0.2)


def test_a_project_gives_the_ethograms_of_its_model_or_of_people(trained_project: Project) -> None:
    model = read_ethograms(trained_project.folder)
    people = read_ethograms(trained_project.folder, labels=True)
    assert set(model.ethograms) == set(people.ethograms) == {"toy 0", "toy 1", "toy 2"}
    truth = trained_project.read_labels()["toy 1"]
    np.testing.assert_array_equal(people.ethograms["toy 1"].values, truth.values)


def test_ethograms_of_an_older_run_are_named(project_copy: Project) -> None:
    assert read_ethograms(project_copy.folder).outdated == ()
    run = latest_run(project_copy.runs, "sequence")
    array_file(project_copy.video("toy 1").folder, "sequence", run.id).unlink()
    assert read_ethograms(project_copy.folder).outdated == ("toy 1",)
    assert read_ethograms(project_copy.folder, labels=True).outdated == ()


def test_groups_come_from_a_column(results: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("video,group,camera\na,drug,1\nday 2/b.mp4,control,2\n", "utf-8")
    names = ["a.mp4", "day 2/b.mp4"]
    assert choose_groups(results, names, table, None) == dict(
        zip(names, ["drug", "control"], strict=True)
    )
    assert choose_groups(results, names, table, "camera")["a.mp4"] == "1"
    assert choose_groups(results, names, None, None) == {}


def test_what_cannot_be_counted_is_refused(results: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no predictions here"):
        read_ethograms(tmp_path / "empty")
    with pytest.raises(UsageError, match="for projects"):
        read_ethograms(results, labels=True)
    write_prediction(results, "c.mp4", 1, ("other",))
    with pytest.raises(InputError, match="different projects"):
        read_ethograms(results)
    (results / "c.mp4.json").unlink()
    with pytest.raises(InputError, match="frame rate"):
        read_ethograms(results)


def test_unscored_frames_are_told() -> None:
    values = np.array([[1, -1], [0, 0]], np.int8)
    assert share_unscored({"a": Ethogram(values, BEHAVIORS, 1.0)}) == 0.25
