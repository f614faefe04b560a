"""Commands that end in tables and pages for people: stats, learning-curve, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pixelethogram.commands.options import JsonOption
from pixelethogram.commands.session import print_json


def stats(
    folder: Annotated[
        Path, typer.Argument(help="Project, or the --out folder of predict.", metavar="FOLDER")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Files to write; else FOLDER/statistics.*")
    ] = None,
    labels: Annotated[bool, typer.Option(help="Count the labels instead of the model.")] = False,
    bin_seconds: Annotated[
        float | None, typer.Option(help="Count in time bins of this length too.", min=0.1)
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV: video,group,…; else metadata.csv of the project.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Column that divides the videos.")] = None,
    json: JsonOption = False,
) -> None:
    """Count what the animals did: time, bouts, latency, pauses, transitions; CSV and xlsx."""
    from pixelethogram.behavior_statistics import (
        choose_groups,
        overview_rows,
        read_ethograms,
        share_unscored,
        write_tables,
    )
    from pixelethogram.ethogram.time_budget import build_rows
    from pixelethogram.terminal import build_console, build_table

    source = read_ethograms(folder, labels=labels)
    found = choose_groups(folder, list(source.ethograms), groups, by)
    rows = build_rows(source.ethograms, found, bin_seconds)
    files = write_tables(rows, source, out or folder / "statistics")
    console = build_console(json=json)
    columns = ["group", "behavior", "videos", "share", "bouts/min", "mean bout s", "latency s"]
    console.print(build_table(f"{source.kind}, mean over videos", columns, overview_rows(rows)))
    unscored = share_unscored(source.ethograms)
    if unscored:
        console.print(f"{unscored:.1%} of all frames are not scored and not counted")
    for file in files:
        console.print(f"wrote {file}", soft_wrap=True, highlight=False, markup=False)
    print_json({"files": [str(file) for file in files], "unscored": unscored}, json)
