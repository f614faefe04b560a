"""`evaluate` as a user types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixelethogram.cli import app
from pixelethogram.errors import UsageError
from pixelethogram.evaluation_tables import HELP, OVERVIEW
from pixelethogram.project import Project
from pixelethogram.repeated_splits import UNSEEN, WHY
from pixelethogram.runs import latest_run


def test_the_help_explains_every_column_so_that_the_legend_is_short() -> None:
    text = " ".join(CliRunner().invoke(app, ["evaluate", "--help"]).output.split())
    columns = [name for name in OVERVIEW if name not in ("F1", "recall", "ECE before")]
    assert [name for name in columns if f"{name}: " not in text] == []
    assert "evaluate --help" in HELP and len(HELP) < 100


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_a_project_is_judged_without_its_recordings(
    make_large_project: Callable[..., Project], tmp_path: Path, command: str
) -> None:
    """There are no proxies either, as on a machine that got the results only."""
    project = make_large_project(tmp_path / "eight", 8, 90)
    (tmp_path / "eight" / "movie.h5").unlink()
    options = ["--json"] if command == "evaluate" else []
    result = CliRunner().invoke(app, [command, str(project.folder), *options])
    assert result.exit_code == 0, result.output
    if command == "evaluate":
        assert "scene unknown" in result.stderr
        assert json.loads(result.stdout.splitlines()[-1])["part"] == "test"
    else:
        assert "scene unknown" in (project.folder / "report.html").read_text("utf-8")


def test_features_trained_on_each_split_give_one_line_without_a_warning(
    project_copy: Project,
) -> None:
    for video in project_copy.videos()[:2]:
        shutil.copytree(video.folder, video.folder.with_name(video.name + " again"))
    command = ["evaluate", str(project_copy.folder), "--splits", "2", "--json", "--device", "cpu"]
    result = CliRunner().invoke(app, [*command, "--retrain", "features"])
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stderr.split())
    assert "4 trainings to come" in shown
    assert WHY["features"] in shown
    assert "too good" not in shown
    kept = latest_run(project_copy.runs, "sequence").folder / "evaluation.json"
    for text in (result.stdout.splitlines()[-1], kept.read_text("utf-8")):
        (found,) = json.loads(text)["repeated_splits"].items()
        assert (found[0], found[1]["retrained"], len(found[1]["f1"])) == (UNSEEN, "features", 2)


def test_retraining_without_splits_is_refused_with_the_command_that_was_meant(
    tmp_path: Path,
) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--retrain", "features"])
    assert isinstance(result.exception, UsageError)
    assert "--splits 5 --retrain features" in str(result.exception)
