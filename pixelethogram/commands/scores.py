"""Commands that judge a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelethogram.commands.options import JsonOption, ProjectArgument
from pixelethogram.commands.session import open_job, print_json

if TYPE_CHECKING:
    from pixelethogram.stages import Job


def evaluate(project: ProjectArgument, json: JsonOption = False) -> None:
    """Show the scores of the newest sequence run, of the features alone, and of chance."""
    show_scores(open_job(project, None, None, "cpu", json=json), json)


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
