"""`evaluate` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixelethogram.cli import app
from pixelethogram.evaluation_tables import HELP, OVERVIEW
from pixelethogram.project import Project


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
