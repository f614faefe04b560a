"""Commands that judge a trained model."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixelethogram.commands.options import JsonOption, ProjectArgument
from pixelethogram.commands.session import open_job, print_json
from pixelethogram.errors import UsageError

if TYPE_CHECKING:
    from pixelethogram.stages import Job


class ProtocolName(str, Enum):
    """What `evaluate --protocol` takes."""

    calms21 = "calms21"


def evaluate(
    project: ProjectArgument,
    protocol: Annotated[
        ProtocolName | None, typer.Option(help="Count as a challenge does: calms21.")
    ] = None,
    submission: Annotated[
        Path | None, typer.Option(help="Judge this file instead of the project; with --truth.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="File with the annotations.")] = None,
    json: JsonOption = False,
) -> None:
    """Show the scores of the newest sequence run, of the features alone, and of chance."""
    if (submission is None) != (truth is None) or (submission and protocol is None):
        raise UsageError(
            "--submission and --truth go together, and with --protocol",
            do=f'pixelethogram evaluate "{project}" --protocol calms21 --submission FILE '
            "--truth FILE",
        )
    if protocol is None:
        show_scores(open_job(project, None, None, "cpu", json=json), json)
    else:
        _show_protocol(project, submission, truth, json)


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
    print_json({name: each.to_dict() for name, each in evaluations.items()}, json)
