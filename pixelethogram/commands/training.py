"""Commands that train stages and extract features."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer

from pixelethogram.commands.options import (
    DeviceOption,
    ExactOption,
    JsonOption,
    PresetOption,
    ProjectArgument,
    SetOption,
)
from pixelethogram.commands.scores import show_scores
from pixelethogram.commands.session import open_job, print_json, show_places


class StageOrAll(str, Enum):
    """What `train` takes."""

    flow = "flow"
    features = "features"
    sequence = "sequence"
    all = "all"


def train(
    stage: Annotated[StageOrAll, typer.Argument(help="flow, features, sequence, or all of them.")],
    project: ProjectArgument,
    preset: PresetOption = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Two steps, validation, save, reload; nothing is kept."),
    ] = False,
    resume: Annotated[
        bool, typer.Option(help="Go on with a broken-off run of the same settings and data.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Train a stage on labelled videos; `sequence` and `all` end with every video's ethogram."""
    from pixelethogram import pipeline
    from pixelethogram.overview import build_overview

    job = open_job(project, preset, set_, device, resume=resume, json=json, training=True)
    if dry_run:
        if stage is StageOrAll.all:
            tried = pipeline.try_all(job)
        else:
            tried = [pipeline.try_stage(job, stage.value)]
        print_json({"dry_run": tried}, json)
        return
    if stage is StageOrAll.all:
        run = pipeline.train_all(job)
    else:
        run = pipeline.train_one(job, stage.value)
    job.progress.message(f"run {run.id} is finished: {run.folder}")
    if run.stage == "sequence":
        show_scores(job, json)
        show_places(job)
        job.progress.message(f"next: {build_overview(job.project).next_command}")
    else:
        _show_start_weights(run.results["start_weights"], json)
        print_json({"run": run.id, "folder": str(run.folder), "results": run.results}, json)


def extract(
    project: ProjectArgument,
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option(help="Extract again what is there already.")] = False,
    exact: ExactOption = False,
) -> None:
    """Write the features of every video with the newest features run."""
    from pixelethogram.extraction import extract_project
    from pixelethogram.progress import format_count

    job = open_job(project, None, None, device)
    number = extract_project(job, overwrite=overwrite, exact=exact)
    job.progress.message(f"extracted {format_count(number, 'video')}")


def _show_start_weights(about: dict[str, Any], json: bool) -> None:
    from pixelethogram.start_weights.report import table_rows
    from pixelethogram.terminal import build_console, build_table

    if about["kind"]:
        title = f"start weights ({about['network']})"
        table = build_table(title, ["", "tensors", "which"], table_rows(about))
        build_console(json=json).print(table)
