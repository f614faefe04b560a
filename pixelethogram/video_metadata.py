"""What is known about videos besides their pixels: a CSV file of animal, group, camera, day, …

::

    video,group,camera,animal
    mouse 1,drug,north,A7
    mouse 2,control,south,B2

`metadata.csv` in the project folder is read by every command that compares videos.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelethogram.errors import InputError

METADATA_FILE = "metadata.csv"
VIDEO_COLUMN = "video"

Metadata = Mapping[str, Mapping[str, str]]
"""Video -> column -> value; every video has the same columns."""


def read_metadata(path: Path) -> dict[str, dict[str, str]]:
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
            do=f"begin with {VIDEO_COLUMN}, then one name per column, such as video,group,camera",
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


def read_project_metadata(folder: Path) -> dict[str, dict[str, str]]:
    """`metadata.csv` of a project; empty where there is none."""
    path = folder / METADATA_FILE
    return read_metadata(path) if path.is_file() else {}


def list_columns(metadata: Metadata) -> list[str]:
    """Names of the columns."""
    return list(next(iter(metadata.values()), {}))


def find_groups(metadata: Metadata, column: str, videos: Sequence[str]) -> dict[str, str]:
    """Value of a column for each of some videos.

    Args:
        metadata: From `read_metadata`; videos are matched by name, with or without suffix.
        column: Which one.
        videos: Names.

    Raises:
        InputError: There is no such column, or a video is not in the table.
    """
    if column not in list_columns(metadata):
        known = ", ".join(list_columns(metadata)) or "none"
        raise InputError(f'there is no column "{column}"', do=f"known: {known}")
    rows = {**{Path(name).stem: row for name, row in metadata.items()}, **metadata}
    groups = {}
    for video in videos:
        row = rows.get(video) or rows.get(Path(video).stem)
        if row is None:
            raise InputError(f'"{video}" is not in the table of videos', do="add a row for it")
        groups[video] = row[column]
    return groups
