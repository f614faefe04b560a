"""What is known of each video besides its frames: subject, group, session, camera, drug …

One file per project, `videos.csv`, written by people in a spreadsheet: the first column is called
`video` and holds names of videos of the project, every other column is theirs to name. An empty
cell, or a video without a row, is unknown.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from pixelethogram.errors import InputError
from pixelethogram.project import Project

METADATA_FILE = "videos.csv"
VIDEO_COLUMN = "video"
UNKNOWN = ""

Metadata = dict[str, dict[str, str]]
"""Video -> column -> text."""


def read_metadata(project: Project) -> Metadata:
    """Rows of videos.csv for every video of the project; empty texts where nothing is known.

    Raises:
        InputError: A row is damaged, names no video of the project, or names one twice.
    """
    path = project.folder / METADATA_FILE
    videos = [video.name for video in project.videos()]
    if not path.exists():
        return {name: {} for name in videos}
    columns, rows = _read_table(path)
    found: Metadata = {}
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) != len(columns):
            raise InputError(f"{len(row)} cells, expected {len(columns)}", where=where)
        name = row[0].strip()
        if name not in videos:
            raise InputError(
                f'there is no video "{name}"', where=where, do=f"known: {', '.join(videos)}"
            )
        if name in found:
            raise InputError(f'"{name}" has two rows', where=where, do="delete one")
        found[name] = dict(zip(columns[1:], map(str.strip, row[1:]), strict=True))
    unknown = dict.fromkeys(columns[1:], UNKNOWN)
    return {name: found.get(name, unknown) for name in videos}


def read_column(project: Project, column: str) -> dict[str, str]:
    """Video -> text of one column.

    Raises:
        InputError: There is no such column.
    """
    metadata = read_metadata(project)
    columns = list(dict.fromkeys(name for row in metadata.values() for name in row))
    if column not in columns:
        known = f"; columns there: {', '.join(columns)}" if columns else ""
        raise InputError(
            f'nothing is known of the videos under "{column}"{known}',
            where=project.folder / METADATA_FILE,
            do=f'write that file in a spreadsheet, as CSV: a header "{VIDEO_COLUMN},{column}", '
            "then a row per video",
        )
    return {video: row[column] for video, row in metadata.items()}


def group_videos(values: Mapping[str, str]) -> dict[str, list[str]]:
    """Value -> its videos, sorted by value; unknown ones last, under an empty text."""
    groups: dict[str, list[str]] = {}
    for value in sorted(set(values.values()), key=lambda text: (text == UNKNOWN, text)):
        groups[value] = [video for video, found in values.items() if found == value]
    return groups


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and the rows with the numbers of their lines."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text: {error.reason}", where=path, do="save it again as 'CSV UTF-8'"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""))
    columns = [name.strip() for name in next(reader, [])]
    if not columns or columns[0] != VIDEO_COLUMN or len(set(columns)) < len(columns):
        raise InputError(
            f'the header is "{",".join(columns)[:80]}"',
            where=f"{path}, line 1",
            why=f'the first column must be called "{VIDEO_COLUMN}", every other has its own name, '
            "and commas part them",
            do=f"write a header such as: {VIDEO_COLUMN},subject,group",
        )
    return columns, [(reader.line_num, row) for row in reader if any(row)]
