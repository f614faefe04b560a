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


def test_what_follows_a_dot_is_not_always_a_suffix(tmp_path: Path) -> None:
    """Trials 1.2 and 1.3 of a mouse are no files of the type .2 and .3."""
    found = read_group_table(write(tmp_path, "video,group\nm1.2,drug\nm1.3.MP4,control\n"))
    groups = {"m1.3": "control", "day 1/m1.2.avi": "drug"}
    assert find_groups(found, None, list(groups)) == groups
    with pytest.raises(InputError, match='"m1.4" is not in the table'):
        find_groups(found, None, ["m1.4"])
    with pytest.raises(InputError, match='"m1" is not in the table'):
        find_groups(found, None, ["m1"])


def test_folders_and_suffixes_that_differ_are_other_videos(tmp_path: Path) -> None:
    found = read_group_table(write(tmp_path, "video,group\nday 1/a,drug\nb.mp4,control\n"))
    for video in ("day 2/a.mp4", "b.avi"):
        with pytest.raises(InputError, match="is not in the table"):
            find_groups(found, None, [video])


def test_a_video_or_a_row_that_is_not_clear_is_refused(tmp_path: Path) -> None:
    twice = read_group_table(write(tmp_path, "video,group\nday 1/a,drug\nday 2/a,control\n"))
    with pytest.raises(InputError, match="may be day 1/a or day 2/a"):
        find_groups(twice, None, ["a.mp4"])
    once = read_group_table(write(tmp_path, "video,group\na,drug\n"))
    with pytest.raises(InputError, match='the row "a" may be of day 1/a.mp4 or day 2/a.mp4'):
        find_groups(once, None, ["day 1/a.mp4", "day 2/a.mp4"])


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
