"""The command that makes ethograms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixelethogram.commands.options import DeviceOption, JsonOption
from pixelethogram.commands.session import exit_partly, open_job, print_json
from pixelethogram.errors import UsageError

if TYPE_CHECKING:
    from pixelethogram.stages import Job


def predict(
    run: Annotated[Path, typer.Argument(help="Project folder, or the folder of a sequence run.")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Videos or folders; none means the videos of the project."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results; else ethograms/ beside each video."),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="Another threshold, e.g. --threshold groom=0.3.", metavar="NAME=VALUE"),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Predict again what is done.")] = False,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Make the ethogram of every video; what is done is skipped, a broken video stops nothing."""
    if sources:
        _predict_new(run, sources, out, threshold or [], overwrite, device, json)
        return
    if out is not None:
        raise UsageError(
            "--out is for videos from outside the project",
            do=f'pixelethogram predict "{run}" VIDEOS --out "{out}"',
        )
    _predict_again(open_job(run, None, None, device, json=json), threshold or [], overwrite, json)


def _predict_again(job: Job, thresholds: list[str], overwrite: bool, json: bool) -> None:
    from pixelethogram.pipeline import predict_project

    run = predict_project(job, overwrite=overwrite, thresholds=thresholds)
    job.progress.message(f"predicted with run {run.id}")
    videos = {video.name: str(video.ethogram_path) for video in job.project.videos()}
    print_json({"run": run.id, "ethograms": videos}, json)


def _predict_new(
    run: Path,
    sources: list[Path],
    out: Path | None,
    thresholds: list[str],
    overwrite: bool,
    device: str,
    json: bool,
) -> None:
    from pixelethogram import inference
    from pixelethogram.terminal import build_console, build_progress, build_table
    from pixelethogram.training.device import choose_device

    console = build_console(json=json)
    models = inference.load_models(run, choose_device(device), thresholds)
    results = inference.predict_videos(
        models, sources, out, overwrite=overwrite, progress=build_progress(console)
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        inference.write_summary(results, models.behaviors, out / "summary.csv")
    columns = ["video", "status", "frames", "frames/s", *models.behaviors]
    console.print(
        build_table("share of frames", columns, inference.summary_rows(results, models.behaviors))
    )
    print_json({"run": models.run.id, "videos": [result.to_dict() for result in results]}, json)
    exit_partly([result.source for result in results if result.status == "failed"])
