"""Tables that say something of each video, written by people in a spreadsheet.

::

    video,group,dose
    mouse 1,drug,5
    mouse 2,control,0

What is known of the videos of a project stands in its videos.csv, see `metadata.py`. Videos that
are in no project are matched with the rows of a table by `find_groups`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pixelethogram.errors import InputError
from pixelethogram.frames.pose_files import POSE_SUFFIXES
from pixelethogram.frames.video import VIDEO_SUFFIXES

VIDEO_COLUMN = "video"
SUFFIXES = VIDEO_SUFFIXES | POSE_SUFFIXES

Groups = Mapping[str, Mapping[str, str]]
"""Video -> column -> value; every video has the same columns."""


def read_group_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of `read_video_table`."""
    return read_video_table(path)[1]


def read_video_table(path: Path) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Read a table of videos.

    Returns:
        Its columns without the first one, and by video the texts in them.

    Raises:
        InputError: No such file, no column `video`, a row of another width, a video twice.
    """
    header, rows = _read_rows(path)
    if header[:1] != [VIDEO_COLUMN] or len(set(header)) < len(header) or "" in header:
        raise InputError(
            f'the header is "{",".join(header)[:80]}"',
            where=f"{path}, line 1",
            why=f'the first column must be called "{VIDEO_COLUMN}", every other has its own name, '
            "and commas part them",
            do=f"write a header such as: {VIDEO_COLUMN},subject,group",
        )
    found: dict[str, dict[str, str]] = {}
    for line, cells in rows:
        where = f"{path}, line {line}: {cells[0]}"
        if len(cells) != len(header):
            raise InputError(
                f"{len(cells)} cells, expected {len(header)}", where=where, do="mend the row"
            )
        if cells[0] in found:
            raise InputError(f'"{cells[0]}" has two rows', where=where, do="delete one")
        found[cells[0]] = dict(zip(header[1:], cells[1:], strict=True))
    return header[1:], found


def find_groups(table: Groups, column: str | None, videos: Sequence[str]) -> dict[str, str]:
    """Value of a column for each of some videos.

    A row belongs to the video of exactly its name; else to the one whose name differs only by a
    folder, or a suffix of videos or pose files, that one of the two leaves out.

    Args:
        table: From `read_group_table`.
        column: Which one; None takes the first.
        videos: Names.

    Raises:
        InputError: There is no such column, a video is not in the table, or it is not clear which
            row and which video belong together.
    """
    columns = list(next(iter(table.values()), {}))
    if not columns or (column is not None and column not in columns):
        known = ", ".join(columns) or "none"
        raise InputError(f'there is no column "{column}"', do=f"known: {known}")
    rows = {video: _find_row(table, video) for video in videos}
    users: dict[str, list[str]] = {}
    for video, row in rows.items():
        users.setdefault(row, []).append(video)
    for row, same in users.items():
        if len(same) > 1:
            raise InputError(
                f'the row "{row}" may be of {" or ".join(same)}',
                do="give each of them a row with its whole name",
            )
    return {video: table[row][column or columns[0]] for video, row in rows.items()}


def _find_row(table: Groups, video: str) -> str:
    """Name of the row of a video."""
    if video in table:
        return video
    fitting = [row for row in table if _is_same(row, video)]
    if not fitting:
        raise InputError(f'"{video}" is not in the table of videos', do="add a row for it")
    if len(fitting) > 1:
        raise InputError(
            f'"{video}" may be {" or ".join(fitting)}', do="write its whole name into the table"
        )
    return fitting[0]


def _is_same(one: str, other: str) -> bool:
    """Whether two names differ at most by a folder or suffix that one of them leaves out."""
    (folder, stem, suffix), (other_folder, other_stem, other_suffix) = map(_divide, (one, other))
    alike = [(folder, other_folder), (suffix, other_suffix)]
    return stem == other_stem and all(a == b or "" in (a, b) for a, b in alike)


def _divide(name: str) -> tuple[str, str, str]:
    """Folder, name and suffix; what follows a dot is a suffix only if videos or poses have it."""
    path = PurePosixPath(name)
    folder = "" if path.parent == PurePosixPath() else str(path.parent)
    if path.suffix.lower() in SUFFIXES:
        return folder, path.stem, path.suffix.lower()
    return folder, path.name, ""


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and rows that are not empty with the numbers of their lines."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("there is no such file", where=path, do="check the name") from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", where=path, do="save it as 'CSV UTF-8'") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    found = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    return (found[0][1], found[1:]) if found else ([], [])
