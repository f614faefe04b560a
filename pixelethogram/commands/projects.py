"""Commands that make a project and fill it: demo, doctor, new, add, import, status."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pixelethogram.commands.options import (
    DeviceOption,
    JsonOption,
    ProjectArgument,
    SourcesArgument,
)
from pixelethogram.commands.session import exit_partly, print_json


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
    print_json(result, json)


def doctor(json: JsonOption = False) -> None:
    """Say what is installed, what will work, and what to do about the rest."""
    from pixelethogram.doctor import examine
    from pixelethogram.terminal import build_console, build_table

    findings = examine()
    rows = [[finding.subject, finding.state, finding.advice] for finding in findings]
    build_console(json=json).print(
        build_table("pixelethogram doctor", ["", "state", "advice"], rows)
    )
    print_json({finding.subject: finding.state for finding in findings}, json)
    if any(finding.fatal for finding in findings):
        raise typer.Exit(4)


def new(
    project: ProjectArgument,
    behaviors: Annotated[str, typer.Option(help="Names, comma between them.", metavar="A,B,C")],
    exclusive: Annotated[bool, typer.Option(help="At most one behavior per frame.")] = False,
) -> None:
    """Make an empty project."""
    from pixelethogram.project import create_project

    create_project(project, behaviors.split(","), exclusive=exclusive)
    typer.echo(f'made {project}\nnext: pixelethogram add "{project}" VIDEO_OR_FOLDER')


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
    exit_partly(failed)


def import_(
    project: ProjectArgument,
    labels: Annotated[Path, typer.Argument(help="CSV: frame,<behavior>,… with 1, 0 or -1.")],
    video: Annotated[
        str | None, typer.Option(help="Video it belongs to, if its name does not say.")
    ] = None,
    rater: Annotated[
        str | None,
        typer.Option(
            help="Who scored it, beside labels.csv: judges, never trains.", metavar="NAME"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace labels that are there already.")] = False,
) -> None:
    """Check a labels file against its video and take it into the project."""
    from pixelethogram.intake import describe_labels, video_of_labels
    from pixelethogram.project import Project, import_labels

    opened = Project(project)
    target = opened.video(video or video_of_labels(labels))
    ethogram = import_labels(opened, target, labels, overwrite=overwrite, rater=rater)
    typer.echo(f"{target.name}: {describe_labels(ethogram)}")


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
    print_json(overview.to_dict(), json)
