"""The table of groups: matched by name, whole or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixelethogram.errors import InputError
from pixelethogram.group_table import find_groups, read_group_table


def write(folder: Path, text: str) -> Path:
    path = folder / "groups.csv"
    path.write_text(text, "utf-8")
    return path


def test_a_table_is_read_by_video_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, "video,group,camera\nmouse 1, drug ,é\n\nmouse 2.mp4,control,b\n")
    found = read_group_table(path)
    assert found == {
        "mouse 1": {"group": "drug", "camera": "é"},
        "mouse 2.mp4": {"group": "control", "camera": "b"},
    }
    groups = {"mouse 2": "control", "mouse 1.mp4": "drug"}
    assert find_groups(found, "group", list(groups)) == groups
    assert find_groups(found, None, list(groups)) == groups
    assert find_groups(found, "camera", ["day 2/mouse 1.mp4"]) == {"day 2/mouse 1.mp4": "é"}


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
        read_group_table(write(tmp_path, text))


def test_a_missing_video_or_column_is_refused(tmp_path: Path) -> None:
    found = read_group_table(write(tmp_path, "video,group\na,1\n"))
    with pytest.raises(InputError, match="known: group"):
        find_groups(found, "camera", ["a"])
    with pytest.raises(InputError, match='"b" is not in the table'):
        find_groups(found, "group", ["a", "b"])
    with pytest.raises(InputError, match="known: none"):
        find_groups({}, None, ["a"])
    with pytest.raises(InputError, match="no such file"):
        read_group_table(tmp_path / "none.csv")
