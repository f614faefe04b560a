"""The command line: one small function per command; it computes nothing.

Exit codes: 0 ok, 1 bug, 2 wrong arguments, 3 input data, 4 not enough resources,
5 partly done (failed videos are listed), 130 cancelled with a checkpoint kept.
"""

from __future__ import annotations

import json as json_module
import logging
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pixelethogram.errors import PixelethogramError, UsageError, explain_shortage

if TYPE_CHECKING:
    from pixelethogram.pipeline import Job

PARTLY_DONE = 5
CANCELLED = 130


class _Cancelled(Exception):
    """Ctrl+C in a command."""


class _Commands(TyperGroup):
    """Keeps Ctrl+C from typer, whose answer differs between its versions."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Cancelled from error


app = typer.Typer(
    cls=_Commands,
    help="Videos of animals in, ethograms out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ProjectArgument = Annotated[Path, typer.Argument(help="Project folder.", metavar="PROJECT")]
PresetOption = Annotated[
    str | None, typer.Option(help="Named settings: fast, medium or slow.", metavar="NAME")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a setting, e.g. --set frames.height=128.", metavar="KEY=VALUE"
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", metavar="NAME")]
JsonOption = Annotated[bool, typer.Option("--json", help="End with one JSON object on stdout.")]
SourcesArgument = Annotated[
    list[Path], typer.Argument(help="Videos, image folders, HDF5 movies, or folders of them.")
]


class StageOrAll(str, Enum):
    """What `train` takes."""

    flow = "flow"
    features = "features"
    sequence = "sequence"
    all = "all"


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put it; made anew if missing.")] = Path(
        "demo_project"
    ),
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Make a small toy project and run the whole pipeline on it (minutes on two CPU cores)."""
    from pixelethogram.demo import run_demo
    from pixelethogram.terminal import build_console

    result = run_demo(folder, device, build_console(json=json))
    _print_json(result, json)


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Say what is installed, what will work, and what to do about the rest."""
    from pixelethogram.doctor import examine
    from pixelethogram.terminal import build_console, build_table

    findings = examine()
    rows = [[finding.subject, finding.state, finding.advice] for finding in findings]
    build_console(json=json).print(
        build_table("pixelethogram doctor", ["", "state", "advice"], rows)
    )
    _print_json({finding.subject: finding.state for finding in findings}, json)
    if any(finding.fatal for finding in findings):
        raise typer.Exit(4)


@app.command()
def new(
    project: ProjectArgument,
    behaviors: Annotated[str, typer.Option(help="Names, comma between them.", metavar="A,B,C")],
    exclusive: Annotated[bool, typer.Option(help="At most one behavior per frame.")] = False,
) -> None:
    """Make an empty project."""
    from pixelethogram.project import create_project

    create_project(project, behaviors.split(","), exclusive=exclusive)
    typer.echo(f'made {project}\nnext: pixelethogram add "{project}" VIDEO_OR_FOLDER')


@app.command()
def add(
    project: ProjectArgument,
    sources: SourcesArgument,
    copy: Annotated[bool, typer.Option(help="Copy the videos instead of linking them.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace labels that are there already.")] = False,
) -> None:
    """Index videos; NAME.labels.csv beside a video NAME.* becomes its labels."""
    from pixelethogram.intake import add_recordings
    from pixelethogram.project import Project
    from pixelethogram.terminal import build_console, build_progress

    failed = add_recordings(
        Project(project),
        sources,
        copy=copy,
        overwrite=overwrite,
        progress=build_progress(build_console()),
    )
    _exit_partly(failed)


@app.command("import")
def import_(
    project: ProjectArgument,
    labels: Annotated[Path, typer.Argument(help="CSV: frame,<behavior>,… with 1, 0 or -1.")],
    video: Annotated[
        str | None, typer.Option(help="Video it belongs to, if its name does not say.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace labels that are there already.")] = False,
) -> None:
    """Check a labels file against its video and take it into the project."""
    from pixelethogram.intake import describe_labels, video_of_labels
    from pixelethogram.project import Project, import_labels

    opened = Project(project)
    target = opened.video(video or video_of_labels(labels))
    ethogram = import_labels(opened, target, labels, overwrite=overwrite)
    typer.echo(f"{target.name}: {describe_labels(ethogram)}")


@app.command()
def status(project: ProjectArgument, json: JsonOption = False) -> None:
    """Show videos, labels, splits and runs, what is missing, and the next command."""
    from pixelethogram.overview import build_overview
    from pixelethogram.project import Project
    from pixelethogram.terminal import build_console, build_table

    overview = build_overview(Project(project))
    console = build_console(json=json)
    console.print(build_table("videos", overview.columns, overview.rows))
    for line in overview.lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    _print_json(overview.to_dict(), json)


@app.command()
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

    job = _open_job(project, preset, set_, device, resume=resume, json=json, training=True)
    if dry_run:
        if stage is StageOrAll.all:
            tried = pipeline.try_all(job)
        else:
            tried = [pipeline.try_stage(job, stage.value)]
        _print_json({"dry_run": tried}, json)
        return
    if stage is StageOrAll.all:
        run = pipeline.train_all(job)
    else:
        run = pipeline.train_one(job, stage.value)
    job.progress.message(f"run {run.id} is finished: {run.folder}")
    if run.stage == "sequence":
        _show_scores(job, json)
    else:
        _show_start_weights(run.results["start_weights"], json)
        _print_json({"run": run.id, "folder": str(run.folder), "results": run.results}, json)


@app.command()
def extract(
    project: ProjectArgument,
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option(help="Extract again what is there already.")] = False,
) -> None:
    """Write the features of every video with the newest features run."""
    from pixelethogram.pipeline import extract_project

    job = _open_job(project, None, None, device)
    job.progress.message(f"extracted {extract_project(job, overwrite=overwrite)} videos")


@app.command()
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
    overwrite: Annotated[bool, typer.Option(help="Predict again what is done.")] = False,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Make the ethogram of every video; what is done is skipped, a broken video stops nothing."""
    if sources:
        _predict_new(run, sources, out, overwrite, device, json)
        return
    if out is not None:
        raise UsageError(
            "--out is for videos from outside the project",
            do=f'pixelethogram predict "{run}" VIDEOS --out "{out}"',
        )
    _predict_again(_open_job(run, None, None, device, json=json), overwrite, json)


@app.command()
def evaluate(project: ProjectArgument, json: JsonOption = False) -> None:
    """Show the scores of the newest sequence run, of the features alone, and of chance."""
    _show_scores(_open_job(project, None, None, "cpu", json=json), json)


@app.command()
def models(json: JsonOption = False) -> None:
    """List every network: size, work per frame of 256 x 256 pixels, frames it sees, paper."""
    from pixelethogram.catalogue import COLUMNS, list_networks
    from pixelethogram.terminal import build_console, build_table

    networks = list_networks()
    for stage in dict.fromkeys(network.stage for network in networks):
        rows = [network.to_row() for network in networks if network.stage == stage]
        build_console(json=json).print(build_table(stage, COLUMNS, rows))
    _print_json({"networks": [vars(network) for network in networks]}, json)


@app.command()
def settings(
    section: Annotated[str, typer.Argument(help="e.g. frames or features.train")] = "",
) -> None:
    """Explain every setting: key, type, default, meaning."""
    from pixelethogram.config import setting_rows

    rows = setting_rows(section)
    if not rows:
        raise UsageError(f'no setting starts with "{section}"', do="pixelethogram settings")
    for key, kind, default, meaning in rows:
        typer.echo(f"{key} = {default}   ({kind})\n    {meaning}")


def main() -> None:
    """Run a command; our own errors become one message and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    try:
        app(standalone_mode=True)
    except PixelethogramError as error:
        _stop(f"error: {error}", error.exit_code)
    except _Cancelled:
        _stop("cancelled; run the same command again to go on", CANCELLED)
    except (OSError, MemoryError, RuntimeError) as error:
        shortage = explain_shortage(error)
        if shortage is None:
            raise
        _stop(f"error: {shortage}", shortage.exit_code)


def _open_job(
    project: Path,
    preset: str | None,
    overrides: list[str] | None,
    device: str,
    *,
    resume: bool = True,
    json: bool = False,
    training: bool = False,
) -> Job:
    from pixelethogram.config import load_config
    from pixelethogram.pipeline import Job
    from pixelethogram.project import Project
    from pixelethogram.start_weights.adopt import load_adopted_config
    from pixelethogram.terminal import build_console, build_progress
    from pixelethogram.training.device import choose_device

    opened = Project(project)
    layers = (preset, opened.settings, overrides or ())
    config = load_adopted_config(*layers, runs=opened.runs) if training else load_config(*layers)
    progress = build_progress(build_console(json=json))
    return Job(opened, config, choose_device(device), progress, resume)


def _predict_again(job: Job, overwrite: bool, json: bool) -> None:
    from pixelethogram.pipeline import predict_project

    run = predict_project(job, overwrite=overwrite)
    job.progress.message(f"predicted with run {run.id}")
    videos = {video.name: str(video.ethogram_path) for video in job.project.videos()}
    _print_json({"run": run.id, "ethograms": videos}, json)


def _predict_new(
    run: Path, sources: list[Path], out: Path | None, overwrite: bool, device: str, json: bool
) -> None:
    from pixelethogram import inference
    from pixelethogram.terminal import build_console, build_progress, build_table
    from pixelethogram.training.device import choose_device

    console = build_console(json=json)
    models = inference.load_models(run, choose_device(device))
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
    _print_json({"run": models.run.id, "videos": [result.to_dict() for result in results]}, json)
    _exit_partly([result.source for result in results if result.status == "failed"])


def _show_start_weights(about: dict[str, Any], json: bool) -> None:
    from pixelethogram.start_weights.report import table_rows
    from pixelethogram.terminal import build_console, build_table

    if about["kind"]:
        title = f"start weights ({about['network']})"
        table = build_table(title, ["", "tensors", "which"], table_rows(about))
        build_console(json=json).print(table)


def _show_scores(job: Job, json: bool) -> None:
    from pixelethogram.evaluation import final_part, score_columns, score_rows
    from pixelethogram.pipeline import evaluate_project
    from pixelethogram.terminal import build_console, build_table

    evaluations = evaluate_project(job)
    part = final_part(evaluations)
    table = build_table(
        f"scores on the {part} part",
        score_columns(job.project.behaviors),
        score_rows(evaluations, part),
    )
    build_console(json=json).print(table)
    _print_json({name: each.to_dict() for name, each in evaluations.items()}, json)


def _exit_partly(failed: list[Path]) -> None:
    if failed:
        typer.echo(f"failed: {len(failed)}\n" + "\n".join(f"  {path}" for path in failed), err=True)
        raise typer.Exit(PARTLY_DONE)


def _print_json(content: dict[str, Any], wanted: bool) -> None:
    if wanted:
        typer.echo(json_module.dumps(content, ensure_ascii=False, default=str))


def _stop(message: str, code: int) -> None:
    typer.echo(message, err=True)
    sys.exit(code)
