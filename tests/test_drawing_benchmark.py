"""The benchmark of drawing: a row for every view, and both ways draw the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np
import pytest
import torch

from pixelethogram.config import DrawingConfig, FramesConfig
from pixelethogram.drawing_benchmark import COLUMNS, measure_views
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import View

SETTINGS = FramesConfig(height=32, width=48, pose=DrawingConfig(view="ego"))


@pytest.fixture
def pose() -> Pose:
    skeleton = Skeleton(("nose", "left", "right", "tail"), ((0, 3),), (0, 1, 3, 2), 0, 3)
    shape = np.array([[10.0, 0], [0, -5], [0, 5], [-10, 0]])
    positions = (shape + np.arange(30, 50)[:, None, None])[:, None]
    return Pose(positions, np.ones((20, 1, 4)), skeleton, ("a",), 64, 96, 25.0)


@pytest.fixture
def threads() -> Iterator[int]:
    """More than one, so that the one of the measurement is another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_every_view_is_measured_in_both_ways(pose: Pose, threads: int) -> None:
    rows = measure_views(pose, SETTINGS, device="cpu", num_frames=10, rounds=1)
    assert torch.get_num_threads() == threads
    assert [row["view"] for row in rows] == list(get_args(View))
    for row in rows:
        assert list(row) == list(COLUMNS)
        assert min(row["per_core"], row["wall"], row["batches"]) > 0
        assert row["difference"] <= 1


def test_an_error_leaves_the_number_of_threads_as_it_was(
    pose: Pose, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(drawn: DrawnPose, indices: Sequence[int], device: str) -> None:
        assert torch.get_num_threads() == 1
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(DrawnPose, "read_batch", refuse)
    with pytest.raises(torch.OutOfMemoryError):
        measure_views(pose, SETTINGS, device="cpu", num_frames=10, rounds=1)
    assert torch.get_num_threads() == threads
