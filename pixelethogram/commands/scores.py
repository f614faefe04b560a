"""Commands that judge a trained model, and people."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixelethogram.commands.options import DeviceOption, JsonOption, ProjectArgument
from pixelethogram.commands.session import open_job, print_json
from pixelethogram.errors import UsageError

if TYPE_CHECKING:
    from pixelethogram.stages import Job

SPLITS_HELP = "Train on so many other splits (see --retrain); mean ± s.e.m."
RETRAIN_HELP = (
    "What --splits trains on each: sequence (minutes; the features have seen labels that judge), "
    "or features, and sequence on them (hours; no network that learned from labels has seen what "
    "judges). Broken off, the same command goes on."
)


class Retrain(str, Enum):
    """What `evaluate --retrain` takes."""

    sequence = "sequence"
    features = "features"


class ProtocolName(str, Enum):
    """What `evaluate --protocol` takes."""

    calms21 = "calms21"


def evaluate(
    project: ProjectArgument,
    splits: Annotated[int, typer.Option(help=SPLITS_HELP, metavar="N")] = 0,
    by: Annotated[
        str,
        typer.Option(help="What the other splits keep whole: video, or a column of videos.csv."),
    ] = "video",
    retrain: Annotated[Retrain, typer.Option(help=RETRAIN_HELP)] = Retrain.sequence,
    slice_: Annotated[
        str | None,
        typer.Option("--slice", help="Scores per value of a column of videos.csv.", metavar="NAME"),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every metric of every behavior.")] = False,
    protocol: Annotated[
        ProtocolName | None, typer.Option(help="Count as a challenge does: calms21.")
    ] = None,
    submission: Annotated[
        Path | None, typer.Option(help="Judge this file instead of the project; with --truth.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="File with the annotations.")] = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Show the scores of the newest sequence run, of the features alone, and of chance.

    Columns of the table by behavior:
    present: frames with the behavior
    95 %: interval of F1, bootstrap over three or more videos
    chance: F1 of labels that are shifted in a circle
    prec.: precision
    AP: average precision
    ECE: calibration error; with ethogram.calibration also before it
    bout F1: of bouts that overlap by a quarter
    onset: median error in frames
    time r: correlation of the share of time, over videos
    """
    if (submission is None) != (truth is None) or (submission and protocol is None):
        raise UsageError(
            "--submission and --truth go together, and with --protocol",
            do=f'pixelethogram evaluate "{project}" --protocol calms21 --submission FILE '
            "--truth FILE",
        )
    if retrain is Retrain.features and not splits:
        raise UsageError(
            "--retrain features trains on other splits, and none are asked for",
            do=f'pixelethogram evaluate "{project}" --splits 5 --retrain features',
        )
    if protocol is not None:
        _show_protocol(project, submission, truth, json)
        return
    from pixelethogram.alarms import find_alarms
    from pixelethogram.verdict import judge_project, repeat_and_keep

    job = open_job(project, None, None, device, json=json)
    verdict = judge_project(job, slice_)
    options: Any = {"column": by, "retrained": retrain.value}
    repeated = repeat_and_keep(job, verdict, splits, **options) if splits else []
    _print_verdict(verdict, job, slice_, full, json)
    _print_repeated(repeated, job, json)
    for alarm in find_alarms(job.project, verdict.run.config).alarms:
        job.progress.message(f"{alarm.level}: {alarm.what}; {alarm.do}")
    print_json(verdict.to_dict(repeated), json)


def raters(project: ProjectArgument, json: JsonOption = False) -> None:
    """Compare people who scored the same videos, and the model with each of them."""
    from pixelethogram.human_ceiling import judge_raters
    from pixelethogram.terminal import build_console

    job = open_job(project, None, None, "cpu", json=json)
    found = judge_raters(job)
    _print_tables(found.tables(), json)
    build_console(json=json).print(found.note, soft_wrap=True, highlight=False, markup=False)
    print_json(found.to_dict(), json)


def _show_protocol(project: Path, submission: Path | None, truth: Path | None, json: bool) -> None:
    from pixelethogram.interop.mabe import read_submission, score_submission
    from pixelethogram.pose.readers.calms21 import read_sequences
    from pixelethogram.protocols import COLUMNS, evaluate_calms21
    from pixelethogram.terminal import build_console, build_table

    if submission and truth:
        answers = read_submission(submission)
        rows = {submission.name: score_submission(answers, read_sequences(truth), submission)}
    else:
        rows = evaluate_calms21(open_job(project, None, None, "cpu", json=json))
    behaviors = next(iter(rows.values())).behaviors
    table = build_table(
        "scores as CalMS21 counts them",
        [*COLUMNS, *behaviors],
        [found.to_row(who) for who, found in rows.items()],
    )
    build_console(json=json).print(table)
    print_json({who: found.to_dict() for who, found in rows.items()}, json)


def show_scores(job: Job, json: bool) -> None:
    """Predictors, and the behaviors of the sequence model, on the part that judges."""
    from pixelethogram.verdict import judge_project

    verdict = judge_project(job, None)
    _print_verdict(verdict, job, None, full=False, json=json)
    print_json(verdict.to_dict([]), json)


def _print_verdict(verdict: Any, job: Job, slice_: str | None, full: bool, json: bool) -> None:
    _print_tables(verdict.tables(slice_, full=full), json)
    for line in verdict.notes():
        job.progress.message(line)


def _print_repeated(repeated: Any, job: Job, json: bool) -> None:
    from pixelethogram.repeated_splits import WHY, repeated_rows

    if repeated:
        columns = ["F1 over repeated splits", "splits", "macro", *job.project.behaviors]
        _print_tables([("repeated splits", columns, repeated_rows(repeated))], json)
        job.progress.message(WHY[repeated[0].retrained])


def _print_tables(tables: Any, json: bool) -> None:
    from pixelethogram.terminal import build_console, build_table

    for title, columns, rows in tables:
        build_console(json=json).print(build_table(title, columns, rows))
