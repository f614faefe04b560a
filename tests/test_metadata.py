"""What is known of the videos: one table, matched by name, nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pixelethogram.errors import InputError
from pixelethogram.metadata import group_videos, read_column, read_metadata
from pixelethogram.project import Project, create_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = create_project(tmp_path / "project", ("lick",))
    for name in ("mouse 1", "mouse 2", "souris é"):
        folder = project.folder / "videos" / name
        folder.mkdir()
        (folder / "video.yaml").write_text(yaml.safe_dump({"num_frames": 5}))
    return project


def write(project: Project, text: str, encoding: str = "utf-8") -> Project:
    (project.folder / "videos.csv").write_bytes(text.encode(encoding))
    return project


def test_rows_are_matched_by_name_and_missing_ones_are_unknown(project: Project) -> None:
    write(project, "\ufeffvideo,sex,group\nsouris é,f,drug\r\n\nmouse 1, m ,\n")
    assert read_metadata(project) == {
        "mouse 1": {"sex": "m", "group": ""},
        "mouse 2": {"sex": "", "group": ""},
        "souris é": {"sex": "f", "group": "drug"},
    }
    found = read_column(project, "sex")
    assert group_videos(found) == {"f": ["souris é"], "m": ["mouse 1"], "": ["mouse 2"]}


def test_without_a_table_nothing_is_known(project: Project) -> None:
    assert read_metadata(project) == {"mouse 1": {}, "mouse 2": {}, "souris é": {}}
    with pytest.raises(InputError, match=r"video,sex"):
        read_column(project, "sex")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,sex\nmouse 1,f\n", "header"),
        ("video,sex,sex\nmouse 1,f,f\n", "header"),
        ("", "header"),
        ("video,sex\nmouse 9,f\n", 'no video "mouse 9"'),
        ("video,sex\nmouse 1,f\nmouse 1,m\n", "two rows"),
        ("video,sex\nmouse 1,f,m\n", "3 cells, expected 2"),
    ],
)
def test_a_damaged_table_is_refused(project: Project, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        read_metadata(write(project, text))
    assert "videos.csv" in str(refusal.value)


def test_a_table_in_another_encoding_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="UTF-8"):
        read_metadata(write(project, "video,sex\nsouris é,f\n", "latin-1"))


def test_a_column_that_is_not_there_names_those_that_are(project: Project) -> None:
    with pytest.raises(InputError, match="columns there: sex, group"):
        read_column(write(project, "video,sex,group\n"), "Sex")
