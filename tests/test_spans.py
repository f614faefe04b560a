"""Spans: the parts by number of video, unlabelled videos train the flow, or validate it in part."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.label_files import keep_labels
from pixelethogram.project import Project, create_project
from pixelethogram.recordings import add_video
from pixelethogram.spans import flow_spans, read_labelled
from pixelethogram.splits import Segment


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Videos a, b, c and d of 10, 11, 12 and 13 frames; a and c are scored."""
    made = create_project(tmp_path / "project", ("lick", "rear"))
    for number, name in enumerate("abcd"):
        path = tmp_path / f"{name}.h5"
        frames = np.full((10 + number, 32, 32, 3), number, dtype=np.uint8)
        with h5py.File(path, "w") as file:
            file["frames"] = frames
            file["frames"].attrs["fps"] = 30.0
        video, _ = add_video(made, path)
        if name in "ac":
            values = np.zeros((10 + number, 2), dtype=np.int8)
            keep_labels(made, video, Ethogram(values, made.behaviors, 30.0), path)
    return made


def test_videos_of_a_part_are_numbered_as_they_are_listed(project: Project) -> None:
    project.write_splits({"train": [Segment("c", 0, 12)], "val": [Segment("a", 2, 9)]})
    videos, labels, spans = read_labelled(project)
    assert [video.name for video in videos] == ["a", "c"]
    assert [values.shape for values in labels] == [(10, 2), (12, 2)]
    assert spans == {"train": [(1, 0, 12)], "val": [(0, 2, 9)]}


def test_a_scored_video_without_part_is_left_out(project: Project) -> None:
    project.write_splits({"train": [Segment("c", 0, 6)], "val": [Segment("c", 6, 12)]})
    assert [video.name for video in read_labelled(project)[0]] == ["c"]


@pytest.mark.parametrize(("part", "empty"), [("train", "val"), ("val", "train"), ("test", "train")])
def test_parts_that_leave_nothing_to_learn_or_to_choose_by_are_refused(
    project: Project, part: str, empty: str
) -> None:
    other = [Segment("b", 0, 11)]  # has no labels
    project.write_splits({empty: other, part: [Segment("a", 0, 10), Segment("c", 0, 12)]})
    with pytest.raises(InputError, match=f"no labelled video is in the part {empty}") as error:
        read_labelled(project)
    assert "project.yaml" in str(error.value) and "delete `splits`" in str(error.value)


def test_without_labels_the_command_that_brings_them_is_named(project: Project) -> None:
    with pytest.raises(InputError, match="pixelethogram import"):
        read_labelled(project)  # no video has a part yet


def test_videos_without_part_train_the_flow(project: Project) -> None:
    project.write_splits({"train": [Segment("c", 0, 12)], "val": [Segment("a", 2, 9)]})
    train, val = flow_spans(project, project.videos())
    assert (train, val) == ([(2, 0, 12), (1, 0, 11), (3, 0, 13)], [(0, 2, 9)])


def test_where_nothing_is_labelled_the_last_fifth_of_each_video_validates(project: Project) -> None:
    train, val = flow_spans(project, project.videos())
    assert train == [(0, 0, 8), (1, 0, 9), (2, 0, 10), (3, 0, 10)]
    assert val == [(0, 8, 10), (1, 9, 11), (2, 10, 12), (3, 10, 13)]
