"""What is known of each video besides its frames: subject, group, session, camera, drug …

One file per project, `videos.csv`, written by people in a spreadsheet: the first column is called
`video` and holds names of videos of the project, every other column is theirs to name. An empty
cell, or a video without a row, is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from pixelethogram.errors import InputError
from pixelethogram.group_table import VIDEO_COLUMN, read_video_table
from pixelethogram.project import Project

METADATA_FILE = "videos.csv"
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
    columns, found = read_video_table(path)
    for name in found:
        if name not in videos:
            raise InputError(
                f'there is no video "{name}"', where=path, do=f"known: {', '.join(videos)}"
            )
    unknown = dict.fromkeys(columns, UNKNOWN)
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
