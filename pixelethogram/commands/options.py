"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
