"""Statistics of ethograms: predictions or a project in, a tidy CSV file and a workbook out."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, read_csv
from pixelethogram.ethogram.time_budget import COLUMNS, MEASURES, Row, summarize_groups
from pixelethogram.group_table import find_groups, read_group_table
from pixelethogram.metadata import read_column
from pixelethogram.progress import format_count
from pixelethogram.project import Project
from pixelethogram.runs import find_runs
from pixelethogram.store import array_file

LABELS, PREDICTIONS = "labels", "predictions"
PREDICTION_SUFFIX = ".ethogram.csv"


@dataclasses.dataclass(frozen=True)
class Source:
    """Ethograms that are counted."""

    ethograms: dict[str, Ethogram]
    """Video -> who did what."""
    kind: str
    """In words, for the table."""
    outdated: tuple[str, ...] = ()
    """Videos of a project whose ethogram the newest sequence run did not make."""
    has_labels: bool = False
    """They are of a project, whose labels can be counted, too."""


def read_ethograms(folder: Path, *, labels: bool = False) -> Source:
    """The ethograms of a project, or those that `predict` left in a folder.

    Args:
        folder: A project, or the `--out` folder of `predict`.
        labels: Those of people instead of those of the model; projects only.

    Raises:
        InputError: There is none, or they do not have the same behaviors.
    """
    if (folder / "project.yaml").is_file():
        project = Project(folder)
        found = _read_project(project, labels)
        outdated = () if labels else _find_outdated(project, found)
        source = Source(found, LABELS if labels else PREDICTIONS, outdated, has_labels=True)
        remedy = f'pixelethogram train all "{folder}"'
    else:
        if labels:
            raise UsageError("--labels is for projects", do="give the project folder")
        source = Source(_read_predictions(folder), PREDICTIONS)
        remedy = "give a project, or the --out folder of: pixelethogram predict"
    if not source.ethograms:
        raise InputError(f"there are no {source.kind} here", where=folder, do=remedy)
    _refuse_other_behaviors(source.ethograms, folder)
    return source


def choose_groups(
    folder: Path, videos: Sequence[str], table: Path | None, column: str | None
) -> dict[str, str]:
    """Group of each video; empty where no groups are asked for.

    Args:
        folder: A project, whose videos.csv may know them, or a folder of predictions.
        videos: Their names.
        table: CSV file of videos; None takes that of the project.
        column: Which column; None takes the first one of a table that was given.
    """
    if table is not None:
        return find_groups(read_group_table(table), column, videos)
    if column is None:
        return {}
    if not (folder / "project.yaml").is_file():
        raise UsageError("--by needs a table of the videos", do="add --groups FILE.csv")
    values = read_column(Project(folder), column)
    return {video: values[video] for video in videos}


def name_tables(path: Path) -> list[Path]:
    """PATH.csv, PATH_groups.csv and PATH.xlsx; PATH may end in .csv or .xlsx."""
    stem = path.with_suffix("") if path.suffix in (".csv", ".xlsx") else path
    return [stem.with_name(f"{stem.name}{end}") for end in (".csv", "_groups.csv", ".xlsx")]


def write_tables(rows: Sequence[Row], source: Source, files: Sequence[Path]) -> None:
    """Write a table of one number per row, one of groups, and a workbook with all of it.

    Args:
        rows: Numbers.
        source: Where they come from.
        files: Three, from `name_tables`.
    """
    files[0].parent.mkdir(parents=True, exist_ok=True)
    groups = summarize_groups(rows)
    tables = {
        "numbers": (list(COLUMNS), [_plain(dataclasses.astuple(row)) for row in rows]),
        "groups": (list(groups[0]), [_plain(each.values()) for each in groups]),
        "one row per video": _spread(rows),
    }
    for file, name in zip(files, ("numbers", "groups"), strict=False):
        write_bytes(file, _to_csv(*tables[name]))
    write_bytes(files[2], _to_workbook(tables, source))


def describe_source(source: Source) -> str:
    """Whose ethograms were counted, and how to count the others."""
    videos = format_count(len(source.ethograms), "video")
    if source.kind == LABELS:
        return f"counted: your labels of {videos}; without --labels: the model's predictions"
    other = "; --labels counts your labels instead" if source.has_labels else ""
    return f"counted: the model's predictions of {videos}, not labels{other}"


def share_unscored(ethograms: Mapping[str, Ethogram]) -> float:
    """Share of the entries of all videos that nobody scored."""
    unscored = sum(int((~each.scored).sum()) for each in ethograms.values())
    return unscored / max(sum(each.values.size for each in ethograms.values()), 1)


def overview_rows(rows: Iterable[Row]) -> list[list[Any]]:
    """Rows (group, behavior, videos, share of time, bouts per minute, mean s, latency s)."""
    shown = ("time_fraction", "bouts_per_minute", "mean_seconds", "latency_seconds")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    whole = [row for row in rows if math.isnan(row.stop_seconds) and row.measure in shown]
    for each in summarize_groups(whole):
        cells = found.setdefault((each["group"], each["behavior"]), {})
        cells[each["measure"]] = None if math.isnan(each["mean"]) else each["mean"]
        cells["videos"] = max(cells.get("videos", 0), each["num_videos"])
    return [
        [group or "all", behavior, cells["videos"], *(cells[name] for name in shown)]
        for (group, behavior), cells in found.items()
    ]


def _read_project(project: Project, labels: bool) -> dict[str, Ethogram]:
    if labels:
        return project.read_labels()
    return {
        video.name: read_csv(video.ethogram_path, project.behaviors, video.num_frames, video.fps)
        for video in project.videos()
        if video.ethogram_path.is_file()
    }


def _find_outdated(project: Project, videos: Iterable[str]) -> tuple[str, ...]:
    """Videos without probabilities of the newest sequence run, so with an older ethogram."""
    newest = find_runs(project.runs, "sequence")[-1:]
    return tuple(
        name
        for name in videos
        if not any(
            array_file(project.video(name).arrays, "sequence", run.id).exists() for run in newest
        )
    )


def _read_predictions(folder: Path) -> dict[str, Ethogram]:
    found = {}
    for path in sorted(folder.rglob(f"*{PREDICTION_SUFFIX}")):
        recording = path.name.removesuffix(PREDICTION_SUFFIX)
        stamp = path.with_name(f"{recording}.json")
        if not stamp.is_file():
            raise InputError(
                f"there is no {stamp.name} beside it, which holds the frame rate",
                where=path,
                why="only a part of the results was copied",
                do="copy all files that predict left",
            )
        record = json.loads(stamp.read_text("utf-8"))
        name = (path.parent.relative_to(folder) / recording).as_posix()
        found[name] = read_csv(path, None, record["num_frames"], float(record["fps"]))
    return found


def _refuse_other_behaviors(ethograms: Mapping[str, Ethogram], folder: Path) -> None:
    first, *others = ethograms.items()
    for name, ethogram in others:
        if ethogram.behaviors != first[1].behaviors:
            raise InputError(
                f"{first[0]} has {', '.join(first[1].behaviors)}, {name} has "
                f"{', '.join(ethogram.behaviors)}",
                where=folder,
                why="they come from different projects",
                do="put them into different folders",
            )


def _spread(rows: Sequence[Row]) -> tuple[list[str], list[list[Any]]]:
    """One row per video, one column per behavior and measure; without bins and transitions."""
    whole = [row for row in rows if math.isnan(row.stop_seconds) and not row.to]
    columns = list(dict.fromkeys(f"{row.behavior} {row.measure}" for row in whole))
    videos: dict[tuple[str, str], dict[str, float]] = {}
    for row in whole:
        cells = videos.setdefault((row.video, row.group), {})
        cells[f"{row.behavior} {row.measure}"] = row.value
    table = [[*key, *_plain(cells[name] for name in columns)] for key, cells in videos.items()]
    return ["video", "group", *columns], table


def _plain(values: Iterable[Any]) -> list[Any]:
    """Cells; what does not exist is empty, numbers have six digits."""
    return [_plain_cell(value) for value in values]


def _plain_cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else float(f"{value:.6g}")


def _to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _to_workbook(tables: Mapping[str, tuple[list[str], list[list[Any]]]], source: Source) -> bytes:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    workbook = Workbook(write_only=True)
    about = [["measure", "unit", "meaning"], *([name, *rest] for name, rest in MEASURES.items())]
    sheets = {name: [columns, *rows] for name, (columns, rows) in tables.items()}
    for name, rows in {**sheets, "what they mean": [*about, ["source", "", source.kind]]}.items():
        sheet = workbook.create_sheet(name)
        sheet.freeze_panes = "A2"
        heads = [WriteOnlyCell(sheet, value=text) for text in rows[0]]
        for head in heads:
            head.font = Font(bold=True)
        sheet.append(heads)
        for row in rows[1:]:
            sheet.append(row)
    content = io.BytesIO()
    workbook.save(content)
    return content.getvalue()
