"""Batches on a device show what the CPU shows; heat-maps have their spots where they belong."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from pixelethogram.pose.batch_drawing import (
    HEATMAP_SIGMA,
    draw_batch,
    draw_heatmaps,
    draw_limb_heatmaps,
    draw_view_heatmaps,
)
from pixelethogram.pose.drawing import Scene, draw_frame
from pixelethogram.pose.look import build_look
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import View, view_transforms

SKELETON = Skeleton(
    ("nose", "left", "right", "tail"), ((0, 1), (0, 2), (1, 3), (2, 3)), (0, 1, 3, 2), 0, 3
)


def make_pose(num_animals: int, seed: int = 0) -> Pose:
    """Animals that tremble, with points missing and unsure."""
    random = np.random.default_rng(seed)
    shape = np.array([[20, 0], [5, -8], [5, 8], [-20, 0]])
    middles = random.uniform(30, 170, (1, num_animals, 1, 2))
    points = middles + shape + random.normal(0, 2, (12, num_animals, 4, 2))
    points[random.random(points.shape[:3]) < 0.2] = np.nan
    confidence = random.uniform(0.2, 1, points.shape[:3])
    names = tuple(f"animal {number}" for number in range(num_animals))
    return Pose(points, confidence, SKELETON, names, 200, 240, 30.0)


@pytest.mark.parametrize("view", get_args(View))
@pytest.mark.parametrize("num_animals", [1, 2, 3])
def test_batches_agree_with_single_pictures(view: View, num_animals: int) -> None:
    pose, size = make_pose(num_animals), (96, 128)
    panels = view_transforms(pose, view, *size)
    scene = Scene(SKELETON, build_look(SKELETON, num_animals), 200, 240, 40.0)
    frames = torch.tensor([3, 0, 7, 11])
    batch = draw_batch(
        scene,
        panels,
        frames,
        torch.from_numpy(pose.positions)[frames],
        torch.from_numpy(pose.confidence)[frames],
        size,
    )
    for place, frame in enumerate(frames.tolist()):
        single = draw_frame(
            scene, panels, frame, pose.positions[frame], pose.confidence[frame], size
        )
        np.testing.assert_allclose(batch[place].permute(1, 2, 0).numpy(), single, atol=1e-3)


def test_heatmaps_have_their_centroid_at_the_point_and_their_peak_is_the_confidence() -> None:
    points = torch.tensor([[[20.3, 14.6], [30.0, 25.0], [float("nan")] * 2]])
    maps = draw_heatmaps(points, torch.tensor([[1.0, 0.4, 0.9]]), (48, 64))
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    spot = maps[0, 0] / maps[0, 0].sum()
    torch.testing.assert_close((spot * x).sum(), torch.tensor(20.3), atol=1e-4, rtol=0)
    torch.testing.assert_close((spot * y).sum(), torch.tensor(14.6), atol=1e-4, rtol=0)
    assert maps[0, 1, 25, 30] == pytest.approx(0.4)
    assert maps[0, 2].max() == 0


@pytest.mark.parametrize("view", get_args(View))
def test_heatmaps_of_a_view_are_the_strongest_spots_of_every_panel(view: View) -> None:
    pose, size = make_pose(2), (96, 128)
    panels = view_transforms(pose, view, *size)
    points, shares = torch.from_numpy(pose.positions), torch.from_numpy(pose.confidence)
    maps = draw_view_heatmaps(panels, torch.tensor([7]), points[[7]], shares[[7]], size)[0].numpy()
    expected = np.zeros((4, *size))
    rows, columns = np.mgrid[: size[0], : size[1]]
    for panel in panels:
        inside = (rows >= panel.top) & (rows < panel.top + panel.height)
        inside &= (columns >= panel.left) & (columns < panel.left + panel.width)
        for animal, point in np.ndindex(2, 4):
            x, y = panel.place(pose.positions)[7, animal, point]
            square = (columns - x) ** 2 + (rows - y) ** 2
            spot = pose.confidence[7, animal, point] * np.exp(-square / (2 * HEATMAP_SIGMA**2))
            expected[point] = np.maximum(expected[point], np.nan_to_num(spot) * inside)
    assert expected.max() > 0.5
    np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_limbs_are_ridges_between_points_that_are_both_seen() -> None:
    points = torch.tensor([[[10.0, 10], [30, 10], [float("nan")] * 2]])
    maps = draw_limb_heatmaps(points, torch.tensor([[0.8, 0.5, 1.0]]), ((0, 1), (1, 2)), (32, 48))
    torch.testing.assert_close(maps[0, 0, 10, 10:31], torch.full((21,), 0.5))
    assert maps[0, 0, 20].max() < 1e-6
    assert maps[0, 1].max() == 0
