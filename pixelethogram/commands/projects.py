"""Commands that make a project and fill it: demo, doctor, new, add, import, status."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from pixelethogram.commands.options import (
    DeviceOption,
    FpsOption,
    JsonOption,
    ProjectArgument,
    SizeOption,
    SourcesArgument,
)
from pixelethogram.commands.session import exit_partly, print_json, read_facts
from pixelethogram.errors import UsageError


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
    fps: FpsOption = None,
    size: SizeOption = None,
) -> None:
    """Index videos and pose files; NAME.labels.csv beside a video NAME.* becomes its labels."""
    from pixelethogram.intake import add_recordings
    from pixelethogram.project import Project
    from pixelethogram.terminal import build_console, build_progress

    failed = add_recordings(
        Project(project),
        sources,
        copy=copy,
        overwrite=overwrite,
        progress=build_progress(build_console()),
        facts=read_facts(fps, size),
    )
    exit_partly(failed)


class Source(str, Enum):
    """What `import --from` takes."""

    auto = "auto"
    calms21 = "calms21"


class Part(str, Enum):
    """What `import --part` takes."""

    train = "train"
    val = "val"
    test = "test"


def import_(
    project: ProjectArgument,
    files: Annotated[
        list[Path],
        typer.Argument(help="Labels (CSV: frame,<behavior>,… with 1, 0 or -1), or pose files."),
    ],
    from_: Annotated[
        Source,
        typer.Option("--from", help="calms21: .npy or .json of CalMS21, MABe 2021, all of it."),
    ] = Source.auto,
    video: Annotated[
        str | None, typer.Option(help="Video it belongs to, if its name does not say.")
    ] = None,
    rater: Annotated[
        str | None,
        typer.Option(
            help="Who scored it, beside labels.csv: judges, never trains.", metavar="NAME"
        ),
    ] = None,
    trains: Annotated[
        bool, typer.Option("--trains", help="It is labels.csv, and --rater says who scored it.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace what is there already.")] = False,
    size: SizeOption = None,
    task: Annotated[
        int | None, typer.Option(help="calms21: 1, 2 or 3, to be checked.", min=1, max=3)
    ] = None,
    part: Annotated[
        Part | None, typer.Option(help="calms21: part of the labelled sequences.")
    ] = None,
) -> None:
    """Check files of labels, keypoints or a challenge, and take them into the project."""
    of_challenge = from_ is Source.calms21
    _refuse_others(
        of_challenge,
        {"--video": video, "--rater": rater, "--size": size}
        if of_challenge
        else {"--task": task, "--part": part},
    )
    if of_challenge:
        _import_calms21(project, files, task, part, overwrite)
        return
    if video is not None and len(files) > 1:
        raise UsageError("--video is for one file", do="import the files one by one")
    for file in files:
        _import_one(project, file, video, rater, overwrite, size, trains=trains)


def _refuse_others(of_challenge: bool, options: Mapping[str, object]) -> None:
    """Stop where an option would be ignored."""
    if given := [name for name, value in options.items() if value is not None]:
        kind = "cannot be used with" if of_challenge else "can only be used with"
        raise UsageError(f"{', '.join(given)} {kind} --from calms21", do="leave it away")


def _import_one(
    project: Path,
    file: Path,
    video: str | None,
    rater: str | None,
    overwrite: bool,
    size: str | None,
    *,
    trains: bool,
) -> None:
    from pixelethogram.frames.pose_files import holds_pose
    from pixelethogram.intake import describe_labels, import_pose, video_of_labels
    from pixelethogram.label_files import import_labels
    from pixelethogram.project import Project

    opened = Project(project)
    target = opened.video(video or video_of_labels(file))
    if holds_pose(file) and rater is not None:
        raise UsageError(
            "--rater goes with labels, this file holds keypoints", where=file, do="leave it away"
        )
    if holds_pose(file):
        text = import_pose(target, file, read_facts(None, size), overwrite=overwrite)
    else:
        text = describe_labels(
            import_labels(opened, target, file, overwrite=overwrite, rater=rater, trains=trains)
        )
    typer.echo(f"{target.name}: {text}")


def _import_calms21(
    project: Path, files: list[Path], task: int | None, part: Part | None, overwrite: bool
) -> None:
    from pixelethogram.interop.calms21 import import_calms21
    from pixelethogram.progress import format_count
    from pixelethogram.terminal import build_console, build_progress

    found = import_calms21(
        project,
        files,
        task=task,
        part=part.value if part else None,
        overwrite=overwrite,
        progress=build_progress(build_console()),
    )
    typer.echo(
        f"{project}: {format_count(len(found.labelled), 'sequence')} with labels, "
        f"{len(found.held_out)} held out; "
        f"behaviors: {', '.join(found.project.behaviors)}"
    )


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
