"""Commands that write what other programs take."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from pixelethogram.commands.options import OverwriteOption, ProjectArgument, refuse_existing


class Format(str, Enum):
    """What `export --to` takes."""

    mabe = "mabe"


def export(
    project: ProjectArgument,
    to: Annotated[Format, typer.Option("--to", help="mabe: submission of MABe 2021.")],
    sample: Annotated[Path, typer.Option(help="mabe: the sample submission, which is checked.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    overwrite: OverwriteOption = False,
) -> None:
    """Write predictions in the format of another program; nothing is written where it differs."""
    from pixelethogram.interop.mabe import export_submission
    from pixelethogram.progress import format_count
    from pixelethogram.project import Project

    refuse_existing([out], overwrite)
    number = export_submission(Project(project), sample, out)
    typer.echo(f"{out}: {format_count(number, 'sequence')}, checked against {sample}")
