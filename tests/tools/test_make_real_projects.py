"""Folders as a user would have them, made from recordings beside the checkout."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import read_csv
from pixelethogram.toy import make_toy_video

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_real_projects.py"


@pytest.fixture(scope="module")
def tool() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(TOOL)))


def test_a_video_and_its_labels_are_copied_side_by_side(
    tool: SimpleNamespace, tmp_path: Path
) -> None:
    labels = make_toy_video(tmp_path / "toy.mp4", seed=0, num_frames=40, size=32, fps=25.0)
    tool.write_labelled_video(
        tmp_path / "toy.mp4", labels[:, :2], ("a", "b"), tmp_path / "out" / "mouse.mp4"
    )
    assert tool.count_frames(tmp_path / "out" / "mouse.mp4") == (40, 25.0)
    written = read_csv(tmp_path / "out" / "mouse.labels.csv", ("a", "b"), 40, 25.0)
    assert np.array_equal(written.values, labels[:, :2])


def test_labels_of_another_length_are_refused(tool: SimpleNamespace, tmp_path: Path) -> None:
    labels = make_toy_video(tmp_path / "toy.mp4", seed=0, num_frames=40, size=32)
    with pytest.raises(InputError, match="40 frames, but 39 labels"):
        tool.write_labelled_video(
            tmp_path / "toy.mp4", labels[1:], ("a", "b", "c", "d"), tmp_path / "mouse.mp4"
        )
    assert not (tmp_path / "mouse.mp4").exists()


def test_the_fish_clips_have_one_behavior_each(
    tool: SimpleNamespace, tmp_path: Path, real_data: Path
) -> None:
    tool.write_fish(real_data / "fish_clips", "sq64", tmp_path)
    files = sorted(tmp_path.glob("*.labels.csv"))
    values = [read_csv(file, ("bite", "lateral"), None, 30.0).values for file in files]
    assert len(files) == 10
    assert all(np.array_equal(each.sum(axis=1), np.ones(len(each))) for each in values)
    assert [int(each[0, 0]) for each in values] == [0, 0, 1, 0, 0, 1, 0, 1, 1, 1]
