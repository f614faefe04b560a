"""Commands that end in tables and pages for people: stats, learning-curve, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pixelethogram.commands.options import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    ProjectArgument,
    SetOption,
    refuse_existing,
)
from pixelethogram.commands.session import open_job, print_json
from pixelethogram.errors import UsageError

PICTURES = (".png", ".svg", ".pdf")


def stats(
    folder: Annotated[
        Path, typer.Argument(help="Project, or the --out folder of predict.", metavar="FOLDER")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Files to write; else FOLDER/statistics.*")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Count your labels instead of the model's predictions.")
    ] = False,
    bin_seconds: Annotated[
        float | None, typer.Option(help="Count in time bins of this length too.", min=0.1)
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV: video,group,…; else videos.csv of the project.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Column that divides the videos.")] = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Count what the animals did: time, bouts, latency, pauses, transitions; CSV and xlsx."""
    from pixelethogram.behavior_statistics import (
        choose_groups,
        describe_source,
        name_tables,
        overview_rows,
        read_ethograms,
        share_unscored,
        write_tables,
    )
    from pixelethogram.ethogram.time_budget import build_rows
    from pixelethogram.terminal import build_console, build_table

    files = name_tables(out or folder / "statistics")
    if out:
        refuse_existing(files, overwrite)
    source = read_ethograms(folder, labels=labels)
    found = choose_groups(folder, list(source.ethograms), groups, by)
    rows = build_rows(source.ethograms, found, bin_seconds)
    write_tables(rows, source, files)
    console = build_console(json=json)
    columns = ["group", "behavior", "videos", "share", "bouts/min", "mean bout s", "latency s"]
    console.print(build_table(f"{source.kind}, mean over videos", columns, overview_rows(rows)))
    console.print(describe_source(source), soft_wrap=True, highlight=False, markup=False)
    unscored = share_unscored(source.ethograms)
    if unscored:
        console.print(f"{unscored:.1%} of all frames are not scored and not counted")
    if source.outdated:
        console.print(
            "warning: not made by the newest sequence run: ethograms of "
            f'{", ".join(source.outdated)}; run pixelethogram predict "{folder}" first',
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
    for file in files:
        console.print(f"wrote {file}", soft_wrap=True, highlight=False, markup=False)
    written = {"counted": source.kind, "files": [str(file) for file in files]}
    print_json({**written, "unscored": unscored, "outdated": list(source.outdated)}, json)


def learning_curve(
    project: ProjectArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Picture; else PROJECT/learning_curve.png")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Draws of training videos.", min=1)] = 3,
    target: Annotated[float, typer.Option(help="F1 that is wished for.", min=0.0, max=1.0)] = 0.8,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Say how much more to label: trains on 1, 2, 4, 8 … videos from cached features."""
    from pixelethogram.learning_curve import (
        measure_learning,
        open_curve_job,
        outlook_rows,
        write_trainings,
    )
    from pixelethogram.reporting.figures import draw_learning_curve
    from pixelethogram.terminal import build_console, build_table

    if out:
        if out.suffix not in PICTURES:
            raise UsageError(
                "this is not the name of a picture", where=out, do=f"end it in {PICTURES[0]}"
            )
        refuse_existing([out, out.with_suffix(".csv")], overwrite)
        out.parent.mkdir(parents=True, exist_ok=True)
    job = open_curve_job(open_job(project, None, None, device, json=json), set_ or [])
    curve = measure_learning(job, repeats=repeats)
    picture = out or job.project.learning_curve_path
    write_trainings(curve, picture.with_suffix(".csv"))
    points = curve.points()
    draw_learning_curve(list(points), points, curve.fits()).savefig(picture, dpi=150)
    rows = outlook_rows(curve, target)
    columns = ["", "positive frames", "F1 now", "with twice", "with four times", f"F1 {target:g}"]
    console = build_console(json=json)
    console.print(build_table(f"what more labels bring ({curve.part} part)", columns, rows))
    for file in (picture, picture.with_suffix(".csv")):
        console.print(f"wrote {file}", soft_wrap=True, highlight=False, markup=False)
    print_json({"part": curve.part, "columns": columns, "rows": rows}, json)


def report(
    project: ProjectArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML file; else PROJECT/report.html")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write one HTML file about the newest model: scores, pictures, alarms, hashes."""
    from pixelethogram.reporting.page import write_report

    if out:
        refuse_existing([out], overwrite)
    job = open_job(project, None, None, "cpu")
    path = out or project / "report.html"
    size = write_report(job, path)
    job.progress.message(f"wrote {path} ({size / 1e6:.1f} MB)")
