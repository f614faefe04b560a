"""The benchmark of drawing: a row for every view, and both ways draw the same."""

from __future__ import annotations

from typing import get_args

import numpy as np
import torch

from pixelethogram.config import DrawingConfig, FramesConfig
from pixelethogram.drawing_benchmark import COLUMNS, measure_views
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import View


def test_every_view_is_measured_in_both_ways() -> None:
    skeleton = Skeleton(("nose", "left", "right", "tail"), ((0, 3),), (0, 1, 3, 2), 0, 3)
    shape = np.array([[10.0, 0], [0, -5], [0, 5], [-10, 0]])
    positions = (shape + np.arange(30, 50)[:, None, None])[:, None]
    pose = Pose(positions, np.ones((20, 1, 4)), skeleton, ("a",), 64, 96, 25.0)
    settings = FramesConfig(height=32, width=48, pose=DrawingConfig(view="ego"))
    threads = torch.get_num_threads()
    rows = measure_views(pose, settings, device="cpu", num_frames=10, rounds=1)
    assert torch.get_num_threads() == threads
    assert [row["view"] for row in rows] == list(get_args(View))
    for row in rows:
        assert list(row) == list(COLUMNS)
        assert min(row["per_core"], row["wall"], row["batches"]) > 0
        assert row["difference"] <= 1
