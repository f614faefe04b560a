"""Which group videos belong to: a CSV file for videos that are in no project.

::

    video,group,dose
    mouse 1,drug,5
    mouse 2,control,0

What is known of the videos of a project stands in its videos.csv, see `metadata.py`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelethogram.errors import InputError

VIDEO_COLUMN = "video"

Groups = Mapping[str, Mapping[str, str]]
"""Video -> column -> value; every video has the same columns."""


def read_group_table(path: Path) -> dict[str, dict[str, str]]:
    """Read a table of videos.

    Raises:
        InputError: No such file, no column `video`, a row of another width, a video twice.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("there is no such file", where=path, do="check the name") from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", where=path, do="save it as 'CSV UTF-8'") from None
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(row)]
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header[:1] != [VIDEO_COLUMN] or len(set(header)) < len(header) or "" in header:
        raise InputError(
            f'the header is "{",".join(header)[:80]}"',
            where=f"{path}, line 1",
            do=f"begin with {VIDEO_COLUMN}, then one name per column, such as video,group",
        )
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows[1:], start=2):
        cells = [cell.strip() for cell in row]
        if len(cells) != len(header) or cells[0] in found:
            problem = (
                "this video stands here twice" if cells[0] in found else "too many or few cells"
            )
            raise InputError(problem, where=f"{path}, row {number}: {cells[0]}", do="mend the row")
        found[cells[0]] = dict(zip(header[1:], cells[1:], strict=True))
    return found


def find_groups(table: Groups, column: str | None, videos: Sequence[str]) -> dict[str, str]:
    """Value of a column for each of some videos.

    Args:
        table: From `read_group_table`; videos are matched by name, with or without suffix.
        column: Which one; None takes the first.
        videos: Names.

    Raises:
        InputError: There is no such column, or a video is not in the table.
    """
    columns = list(next(iter(table.values()), {}))
    if not columns or (column is not None and column not in columns):
        known = ", ".join(columns) or "none"
        raise InputError(f'there is no column "{column}"', do=f"known: {known}")
    rows = {**{Path(name).stem: row for name, row in table.items()}, **table}
    groups = {}
    for video in videos:
        row = rows.get(video) or rows.get(Path(video).stem)
        if row is None:
            raise InputError(f'"{video}" is not in the table of videos', do="add a row for it")
        groups[video] = row[column or columns[0]]
    return groups
