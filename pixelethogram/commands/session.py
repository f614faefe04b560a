"""How commands begin and end: open a project, print JSON, list what failed."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pixelethogram.pose.readers.assembly import Facts
    from pixelethogram.stages import Job

PARTLY_DONE = 5


def open_job(
    project: Path,
    preset: str | None,
    overrides: list[str] | None,
    device: str,
    *,
    resume: bool = True,
    json: bool = False,
    training: bool = False,
) -> Job:
    from pixelethogram.config_layers import load_config
    from pixelethogram.project import Project
    from pixelethogram.stages import Job
    from pixelethogram.start_weights.adopt import load_adopted_config
    from pixelethogram.terminal import build_console, build_progress
    from pixelethogram.training.device import choose_device

    opened = Project(project)
    layers = (preset, opened.settings, overrides or ())
    config = load_adopted_config(*layers, runs=opened.runs) if training else load_config(*layers)
    progress = build_progress(build_console(json=json))
    return Job(opened, config, choose_device(device), progress, resume)


def show_places(job: Job) -> None:
    """Where the ethograms of the project's videos lie."""
    place = job.project.folder / "videos" / "NAME" / "ethogram.csv"
    job.progress.message(f"ethogram of each video: {place}, beside it bouts.csv and ethogram.png")


def read_facts(fps: float | None, size: str | None) -> Facts:
    from pixelethogram.pose.readers.assembly import Facts, read_size

    width, height = read_size(size) if size else (None, None)
    return Facts(fps, height, width)


def exit_partly(failed: list[Path]) -> None:
    if failed:
        typer.echo(f"failed: {len(failed)}\n" + "\n".join(f"  {path}" for path in failed), err=True)
        raise typer.Exit(PARTLY_DONE)


def print_json(content: dict[str, Any], wanted: bool) -> None:
    if wanted:
        typer.echo(json_module.dumps(content, ensure_ascii=False, default=str))
