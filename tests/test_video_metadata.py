"""The table of videos: matched by name, whole or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixelethogram.errors import InputError
from pixelethogram.video_metadata import (
    METADATA_FILE,
    find_groups,
    list_columns,
    read_metadata,
    read_project_metadata,
)


def write(folder: Path, text: str) -> Path:
    path = folder / METADATA_FILE
    path.write_text(text, "utf-8")
    return path


def test_a_table_is_read_by_video_and_column(tmp_path: Path) -> None:
    write(tmp_path, "video,group,camera\nmouse 1, drug ,é\n\nmouse 2.mp4,control,b\n")
    found = read_project_metadata(tmp_path)
    assert found == {
        "mouse 1": {"group": "drug", "camera": "é"},
        "mouse 2.mp4": {"group": "control", "camera": "b"},
    }
    assert list_columns(found) == ["group", "camera"]
    groups = find_groups(found, "group", ["mouse 2", "mouse 1.mp4"])
    assert groups == {"mouse 2": "control", "mouse 1.mp4": "drug"}


def test_a_project_without_a_table_has_none(tmp_path: Path) -> None:
    assert read_project_metadata(tmp_path) == {}
    assert list_columns({}) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name,group\na,b\n",
        "video,a,a\n",
        "video,a\nx,1,2\n",
        "video,a\nx\n",
        "video,a\nx,1\nx,2\n",
    ],
    ids=["empty", "first column", "twice", "wide", "narrow", "same video"],
)
def test_a_table_that_is_not_clear_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        read_metadata(write(tmp_path, text))


def test_a_missing_video_or_column_is_refused(tmp_path: Path) -> None:
    found = read_metadata(write(tmp_path, "video,group\na,1\n"))
    with pytest.raises(InputError, match="known: group"):
        find_groups(found, "camera", ["a"])
    with pytest.raises(InputError, match='"b" is not in the table'):
        find_groups(found, "group", ["a", "b"])
    with pytest.raises(InputError, match="no such file"):
        read_metadata(tmp_path / "none.csv")
