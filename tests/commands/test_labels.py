"""`pixelethogram labels check` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from pixelethogram.cli import app
from pixelethogram.project import Project


def test_a_sound_project_ends_well_and_a_faulty_file_with_exit_code_3(
    make_toy_project: Callable[[Path], Project], tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "p")
    sound = CliRunner().invoke(app, ["labels", "check", str(project.folder), "--json"])
    assert sound.exit_code == 0
    assert json.loads(sound.stdout.splitlines()[-1])["error"] == 0
    path = tmp_path / "toy 0.csv"
    path.write_text("frame,lefd\n0,1\n", "utf-8")
    faulty = CliRunner().invoke(app, ["labels", "check", str(project.folder), str(path)])
    assert faulty.exit_code == 3
    assert 'rename it to "left"?' in faulty.output
    alone = CliRunner().invoke(app, ["labels", "check", str(path)])
    assert alone.exit_code == 0 and "present on every scored frame" in alone.output


def test_two_files_make_no_sense(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("frame,lick\n0,1\n", "utf-8")
    result = CliRunner().invoke(app, ["labels", "check", str(path), str(path)])
    assert "two files were given" in str(result.exception)
