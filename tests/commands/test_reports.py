"""`stats` and `report` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixelethogram.cli import app
from pixelethogram.project import Project
from pixelethogram.runs import latest_run
from pixelethogram.store import array_file


def test_stats_writes_three_files_by_group(project_copy: Project, tmp_path: Path) -> None:
    rows = ["video,dose", "toy 0,low", "toy 1,low", "toy 2,high"]
    (project_copy.folder / "videos.csv").write_text("\n".join(rows), "utf-8")
    words = ["stats", str(project_copy.folder), "-o", str(tmp_path / "st"), "--by", "dose"]
    result = CliRunner().invoke(app, [*words, "--labels", "--bin-seconds", "1", "--json"])
    assert result.exit_code == 0, result.output
    files = json.loads(result.stdout.splitlines()[-1])["files"]
    assert [Path(file).name for file in files] == ["st.csv", "st_groups.csv", "st.xlsx"]
    assert all(Path(file).is_file() for file in files)
    assert "high" in Path(files[1]).read_text("utf-8")


def test_stats_says_whether_labels_or_predictions_were_counted(
    project_copy: Project, tmp_path: Path
) -> None:
    words = ["stats", str(project_copy.folder), "-o", str(tmp_path / "st")]
    model = CliRunner().invoke(app, words)
    said = "counted: the model's predictions of 3 videos, not labels; --labels counts your labels"
    assert said in model.output.replace("\n", " ")
    people = CliRunner().invoke(app, [*words, "--labels", "--json", "--overwrite"])
    assert "counted: your labels of 3 videos" in people.output
    assert json.loads(people.stdout.splitlines()[-1])["counted"] == "labels"


def test_report_says_where_it_is(project_copy: Project) -> None:
    result = CliRunner().invoke(app, ["report", str(project_copy.folder)])
    assert result.exit_code == 0, result.output
    path = project_copy.folder / "report.html"
    assert f"wrote {path}" in result.output.replace("\n", "")
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_stats_warns_of_ethograms_of_an_older_run(project_copy: Project, tmp_path: Path) -> None:
    run = latest_run(project_copy.runs, "sequence")
    array_file(project_copy.video("toy 2").folder, "sequence", run.id).unlink()
    words = ["stats", str(project_copy.folder), "-o", str(tmp_path / "st"), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["outdated"] == ["toy 2"]
    assert "ethograms of toy 2; run pixelethogram predict" in result.output


@pytest.mark.parametrize(
    ("words", "out", "there"),
    [
        ("stats", "st", "st.csv"),
        ("stats", "st.xlsx", "st_groups.csv"),
        ("stats", "st.csv", "st.xlsx"),
        ("report", "page.html", "page.html"),
        ("learning-curve", "curve.png", "curve.png"),
        ("learning-curve", "curve.png", "curve.csv"),
        ("export --to mabe --sample none.npy", "answers.npy", "answers.npy"),
    ],
)
def test_a_file_that_somebody_names_is_not_replaced_unasked(
    words: str, out: str, there: str, project_copy: Project, tmp_path: Path
) -> None:
    """It may be labels."""
    labels = tmp_path / there
    labels.write_text("frame,groom\n0,1\n", "utf-8")
    command, *options = words.split()
    line = [command, str(project_copy.folder), *options, "-o", str(tmp_path / out)]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 1
    assert "exists already" in str(result.exception)
    assert labels.read_text("utf-8") == "frame,groom\n0,1\n"
    assert set(tmp_path.iterdir()) == {labels, project_copy.folder}


@pytest.mark.parametrize("name", ["curve", "curve.csv", "curve.v2"])
def test_a_learning_curve_that_is_no_picture_is_refused_before_training(
    name: str, project_copy: Project, tmp_path: Path
) -> None:
    line = ["learning-curve", str(project_copy.folder), "-o", str(tmp_path / name)]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 1
    assert "not the name of a picture" in str(result.exception)


def test_a_report_is_replaced_where_that_is_wanted(project_copy: Project, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old", "utf-8")
    words = ["report", str(project_copy.folder), "-o", str(page), "--overwrite"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
