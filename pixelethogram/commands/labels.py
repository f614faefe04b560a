"""Commands about labels."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixelethogram.commands.options import JsonOption
from pixelethogram.commands.session import print_json
from pixelethogram.errors import InputError, UsageError

if TYPE_CHECKING:
    from pixelethogram.label_check import Findings
    from pixelethogram.progress import Progress


class LabelsTask(str, Enum):
    """What `labels` does."""

    check = "check"


def labels(
    task: Annotated[LabelsTask, typer.Argument(help="check: look for mistakes; changes nothing.")],
    where: Annotated[
        Path, typer.Argument(help="Project folder, or a labels file.", metavar="PATH")
    ],
    file: Annotated[
        Path | None, typer.Argument(help="A labels file to be imported into that project.")
    ] = None,
    video: Annotated[
        str | None, typer.Option(help="Video of the project, or the recording of a labels file.")
    ] = None,
    motion: Annotated[
        bool, typer.Option(help="Compare with what moves in the videos, which decodes them.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Check labels: rows, names, overlaps, empty columns, shifts; nothing is changed."""
    from pixelethogram.ethogram.label_faults import summarize
    from pixelethogram.terminal import build_console, build_progress

    console = build_console(json=json)
    findings = _check(where, file, video, motion, build_progress(console))
    lines = [
        f"{name}: {each.level}: {each.what}" + (f"\n    do: {each.do}" if each.do else "")
        for name, found in findings.items()
        for each in found
    ]
    lines += [f"{name}: nothing strange" for name, found in findings.items() if not found]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    summary = summarize(findings)
    print_json(summary, json)
    if summary["error"]:
        raise typer.Exit(InputError.exit_code)


def _check(
    where: Path, file: Path | None, video: str | None, motion: bool, progress: Progress
) -> Findings:
    from pixelethogram.label_check import check_file, check_import, check_project
    from pixelethogram.project import Project

    if where.is_dir():
        project = Project(where)
        if file is not None:
            return check_import(project, file, video, motion=motion, progress=progress)
        return check_project(project, video, motion=motion, progress=progress)
    if file is not None:
        raise UsageError(
            "two files were given", do="pixelethogram labels check PROJECT FILE.csv --video NAME"
        )
    recording = Path(video) if video else None
    return check_file(where, recording, motion=motion, progress=progress)
