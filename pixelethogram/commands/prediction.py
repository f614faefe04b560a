"""The command that makes ethograms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixelethogram.commands.options import ExactOption, FpsOption, JsonOption, SizeOption
from pixelethogram.commands.session import (
    exit_partly,
    open_job,
    print_json,
    read_facts,
    show_places,
)
from pixelethogram.errors import UsageError

if TYPE_CHECKING:
    from pixelethogram.progress import Progress
    from pixelethogram.stages import Job
    from pixelethogram.video_results import VideoResult

    Tell = Callable[[VideoResult], None]
    Outcome = tuple[str, Sequence[str], list[VideoResult]]


def predict(
    run: Annotated[Path, typer.Argument(help="Project folder, or the folder of a sequence run.")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Videos, pose files or folders; none means those of the project."),
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
    rater: Annotated[
        str | None,
        typer.Option(
            help="Whose habits to follow, where the model learned several raters'; else the first.",
            metavar="NAME",
        ),
    ] = None,
    fps: FpsOption = None,
    size: SizeOption = None,
    exact: ExactOption = False,
    shard: Annotated[
        str,
        typer.Option(help="A part of VIDEOS, e.g. 3/8: the third of eight.", metavar="I/N"),
    ] = "1/1",
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, cuda:1 or mps; all shares VIDEOS among the GPUs.", metavar="NAME"
        ),
    ] = "auto",
    summary: Annotated[
        bool, typer.Option(help="A table of all videos, summary.csv, in the folder of --out.")
    ] = True,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="One JSON object per video on stdout, at once.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make the ethogram of every video; what is done is skipped, a broken video stops nothing."""
    if sources:
        asked = Batch(
            run=run,
            sources=sources,
            out=out,
            overwrite=overwrite,
            exact=exact,
            shard=shard,
            device=device,
            thresholds=threshold or [],
            fps=fps,
            size=size,
            rater=rater,
            summary=summary,
        )
        _predict_new(asked, json=json, json_lines=json_lines)
        return
    strange: dict[str, object] = {
        **{"--out": out, "--exact": exact or None, "--json-lines": json_lines or None},
        **{"--shard": None if shard == "1/1" else shard, "--fps": fps, "--size": size},
        **{"--rater": rater, "--no-summary": None if summary else True},
    }
    _refuse_strange(run, [name for name, given in strange.items() if given is not None], device)
    _predict_again(open_job(run, None, None, device, json=json), threshold or [], overwrite, json)


def _refuse_strange(run: Path, options: list[str], device: str) -> None:
    """Stop where somebody asks for what only videos from outside the project can have."""
    if options:
        raise UsageError(
            f"{', '.join(options)}: only for videos from outside the project",
            do=f'pixelethogram predict "{run}" VIDEOS; features of the project: '
            f'pixelethogram extract "{run}" --overwrite --exact',
        )
    if device == "all":
        raise UsageError(
            "--device all shares videos from outside the project among the GPUs",
            why="the project's own are predicted from features that are there: seconds of work",
            do=f'leave --device away, or name videos: pixelethogram predict "{run}" VIDEOS '
            "--device all",
        )


@dataclasses.dataclass(frozen=True)
class Batch:
    """What is asked for videos from outside the project."""

    run: Path
    sources: list[Path]
    out: Path | None
    overwrite: bool
    exact: bool
    shard: str
    device: str
    thresholds: list[str]
    fps: float | None
    size: str | None
    rater: str | None
    summary: bool

    def to_options(self) -> list[str]:
        """What a process for a part of the videos is to be told, in words of the command line."""
        words = ["--overwrite"] * self.overwrite + ["--exact"] * self.exact
        words += [word for text in self.thresholds for word in ("--threshold", text)]
        named = {"--fps": self.fps, "--size": self.size, "--rater": self.rater}
        given = [(name, str(value)) for name, value in named.items() if value is not None]
        return words + [word for pair in given for word in pair]


def _predict_again(job: Job, thresholds: list[str], overwrite: bool, json: bool) -> None:
    from pixelethogram.pipeline import predict_project

    run = predict_project(job, overwrite=overwrite, thresholds=thresholds)
    job.progress.message(f"predicted with run {run.id}")
    show_places(job)
    videos = {video.name: str(video.ethogram_path) for video in job.project.videos()}
    print_json({"run": run.id, "ethograms": videos}, json)


def _predict_new(batch: Batch, *, json: bool, json_lines: bool) -> None:
    from pixelethogram.intake import leave_out_labels
    from pixelethogram.terminal import build_console, build_progress, build_table
    from pixelethogram.video_results import describe_places, summary_rows, write_summary

    def tell(result: VideoResult) -> None:
        if json_lines:
            typer.echo(result.to_line())

    console = build_console(json=json or json_lines)
    progress = build_progress(console)
    recordings = leave_out_labels(batch.sources, "give the recording itself")
    for source in batch.sources:
        if source not in recordings:
            progress.message(f"{source.name} holds labels and is no recording: skipped")
    batch = dataclasses.replace(batch, sources=recordings)
    predict_all = _predict_on_all if batch.device == "all" else _predict_here
    run_id, behaviors, results = predict_all(batch, progress, tell)
    places = describe_places(results, batch.out)
    if batch.out is not None and batch.summary:
        batch.out.mkdir(parents=True, exist_ok=True)
        part = "" if batch.shard == "1/1" else f".{batch.shard.replace('/', '-of-')}"
        table = batch.out / f"summary{part}.csv"
        write_summary(results, behaviors, table)
        places.append(f"one row per video: {table}")
    columns = ["video", "status", "frames", "frames/s", *behaviors]
    rows = summary_rows(results, behaviors)
    console.print(build_table("share of frames", columns, rows))
    for line in places:
        progress.message(line)
    print_json({"run": run_id, "videos": [result.to_dict() for result in results]}, json)
    exit_partly([result.source for result in results if result.status == "failed"])


def _predict_here(batch: Batch, progress: Progress, tell: Tell) -> Outcome:
    from pixelethogram import inference
    from pixelethogram.training.device import choose_device
    from pixelethogram.video_results import parse_shard

    shard = parse_shard(batch.shard)
    models = inference.load_models(
        batch.run, choose_device(batch.device), batch.thresholds, batch.rater
    )
    results = inference.predict_videos(
        models,
        batch.sources,
        batch.out,
        overwrite=batch.overwrite,
        exact=batch.exact,
        shard=shard,
        progress=progress,
        tell=tell,
        facts=read_facts(batch.fps, batch.size),
    )
    return models.run.id, models.behaviors, results


def _predict_on_all(batch: Batch, progress: Progress, tell: Tell) -> Outcome:
    from pixelethogram.inference import find_sequence_run
    from pixelethogram.parallel_prediction import predict_on_devices
    from pixelethogram.sequence.heads import choose_rater
    from pixelethogram.threshold_table import parse_overrides
    from pixelethogram.training.device import list_devices
    from pixelethogram.video_results import parse_shard

    run = find_sequence_run(batch.run)
    parse_overrides(batch.thresholds, run.behaviors)  # what is wrong is said once, and here
    choose_rater(run.results.get("raters", ()), batch.rater)
    read_facts(batch.fps, batch.size)
    results = predict_on_devices(
        run.folder,
        batch.sources,
        batch.out,
        list_devices(),
        options=batch.to_options(),
        shard=parse_shard(batch.shard),
        progress=progress,
        tell=tell,
    )
    return run.id, run.behaviors, results
