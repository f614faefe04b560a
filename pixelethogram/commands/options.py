"""Arguments and options that several commands take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from pixelethogram.errors import UsageError

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
ExactOption = Annotated[
    bool, typer.Option("--exact", help="Compute in fp32: several times slower, no rounding.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="End with one JSON object on stdout.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files of that name that are there already.")
]
SourcesArgument = Annotated[
    list[Path],
    typer.Argument(help="Videos, image folders, HDF5 movies, pose files, or folders of videos."),
]
FpsOption = Annotated[
    float | None,
    typer.Option(help="Frames per second, where a pose file does not say.", metavar="NUMBER"),
]
SizeOption = Annotated[
    str | None,
    typer.Option(help="Size in pixels, where a pose file does not say.", metavar="WIDTHxHEIGHT"),
]


def refuse_existing(files: Iterable[Path], overwrite: bool) -> None:
    """A file that the user names is not replaced unasked: it may be labels, or a recording.

    Raises:
        UsageError: One of the files exists, and it was not said to replace it.
    """
    for file in files:
        if file.exists() and not overwrite:
            raise UsageError(
                "this file exists already",
                where=file,
                do="choose another name, or add --overwrite to replace it",
            )
