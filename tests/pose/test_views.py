"""Views: known points come to lie where the view says."""

from typing import get_args

import numpy as np
import pytest

from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import View, view_transforms


@pytest.fixture
def pose() -> Pose:
    """Two animals that walk round in circles."""
    angle = np.linspace(0, 6, 50)
    path = np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # (T, 2)
    ahead = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    animals = []
    for middle, radius in ((150, 60), (300, 40)):
        centre = path * radius + (middle, 120)
        animals.append(np.stack([centre + 25 * ahead, centre, centre - 25 * ahead], axis=1))
    points = np.stack(animals, axis=1)
    skeleton = Skeleton(("nose", "neck", "tail"))
    return Pose(points, np.ones(points.shape[:3]), skeleton, ("a", "b"), 240, 500, 30.0)


def test_the_arena_fills_the_picture_in_one_direction(pose: Pose) -> None:
    (panel,) = view_transforms(pose, "arena", 256, 256)
    corners = np.broadcast_to([[-0.5, -0.5], [499.5, 239.5]], (50, 2, 2))
    placed = panel.place(corners)[0]
    band = 256 * (1 - 240 / 500) / 2
    np.testing.assert_allclose(placed, [[-0.5, band - 0.5], [255.5, 255.5 - band]], atol=1e-3)
    assert (panel.scale, panel.follows) == (256 / 500, False)


def test_ego_puts_the_first_animal_in_the_middle_facing_right(pose: Pose) -> None:
    (panel,) = view_transforms(pose, "ego", 256, 256)
    nose, neck, tail = panel.place(pose.positions)[2:-2, 0].transpose(1, 0, 2)
    np.testing.assert_allclose(neck, np.full_like(neck, 127.5), atol=1.5)
    np.testing.assert_allclose(nose - tail, np.broadcast_to([64.0, 0], nose.shape), atol=0.5)


def test_dyad_keeps_the_middle_of_both_and_all_directions(pose: Pose) -> None:
    (panel,) = view_transforms(pose, "dyad", 128, 256)
    placed = panel.place(pose.positions)[2:-2]
    np.testing.assert_allclose(placed[:, :, 1].mean(axis=1), [[127.5, 63.5]] * 46, atol=1.0)
    before = pose.positions[2:-2, 0, 0] - pose.positions[2:-2, 0, 2]
    np.testing.assert_allclose(placed[:, 0, 0] - placed[:, 0, 2], before * panel.scale, atol=1e-3)


def test_composite_is_the_arena_and_an_ego_panel_of_each(pose: Pose) -> None:
    arena, first, second = view_transforms(pose, "composite", 256, 256)
    assert (arena.height, arena.width, arena.follows) == (144, 256, False)
    assert (first.height, first.width, first.top, first.left) == (112, 112, 144, 8)
    assert (second.left, second.follows) == (136, True)
    for animal, panel in enumerate((first, second)):
        neck = panel.place(pose.positions)[2:-2, animal, 1]
        middle = [panel.left + 55.5, panel.top + 55.5]
        np.testing.assert_allclose(neck, np.broadcast_to(middle, neck.shape), atol=1.5)


@pytest.mark.parametrize("view", get_args(View))
@pytest.mark.parametrize("size", [(64, 64), (96, 160), (160, 96)])
def test_panels_keep_apart_and_within_the_picture(
    pose: Pose, view: View, size: tuple[int, int]
) -> None:
    used = np.zeros(size, int)
    for panel in view_transforms(pose, view, *size):
        part = used[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width]
        assert part.shape == (panel.height, panel.width)
        part += 1
        turn = panel.matrices[:, :, :2]
        same = np.broadcast_to(np.eye(2) * panel.scale**2, turn.shape)
        np.testing.assert_allclose(turn @ turn.transpose(0, 2, 1), same, atol=1e-5)
    assert used.max() == 1


def test_a_given_body_length_decides_the_scale(pose: Pose) -> None:
    (panel,) = view_transforms(pose, "ego", 256, 256, body=100.0)
    assert panel.scale == pytest.approx(0.64)
