"""Pose flow: exact for a skeleton that moves in a known way, in every view; never for a jump."""

import numpy as np
import pytest

from pixelethogram.pose.drawing import Scene
from pixelethogram.pose.flow import pose_flow
from pixelethogram.pose.look import build_look
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import View, view_transforms

SKELETON = Skeleton(
    ("nose", "left", "right", "tail"), ((0, 1), (0, 2), (1, 3), (2, 3)), (0, 1, 3, 2)
)
BODY = np.array([[20.0, 0], [0, -8], [0, 8], [-20, 0]])  # 40 pixels long
SIZE = (96, 96)


def flow_of(positions: np.ndarray, view: View = "arena") -> np.ndarray:
    """Flow of animals in a recording as large as the picture."""
    names = tuple("ab"[: positions.shape[1]])
    pose = Pose(positions, np.ones(positions.shape[:3]), SKELETON, names, *SIZE, 30.0)
    scene = Scene(SKELETON, build_look(SKELETON, len(names)), *SIZE, 40.0)
    panels = view_transforms(pose, view, *SIZE, 40.0)
    return pose_flow(scene, panels, pose.positions, SIZE)


def moving(step: tuple[float, float], num_frames: int = 4) -> np.ndarray:
    """(T, 1, 4, 2) one body that moves by `step` pixels per frame."""
    time = np.arange(num_frames)[:, None, None, None]
    return BODY + np.array([40.0, 48.0]) + time * np.array(step)


@pytest.mark.parametrize("step", [(2.0, 0.0), (-1.0, 3.0), (0.25, -0.5)])
def test_every_pixel_of_a_moving_body_has_its_velocity(step: tuple[float, float]) -> None:
    flow = flow_of(moving(step))
    assert flow.shape == (3, 2, 48, 48)
    inside = np.abs(flow).sum(axis=1) > 0
    assert inside[0, 24, 20] and 150 < inside[0].sum() < 400  # area 320 / 4, limbs, edges
    for axis in (0, 1):
        np.testing.assert_allclose(flow[:, axis][inside], step[axis] / 2, atol=1e-5)
    assert (flow[~np.broadcast_to(inside[:, None], flow.shape)] == 0).all()


def test_a_turning_limb_moves_faster_at_its_far_end() -> None:
    still, turned = BODY.copy(), BODY.copy()
    turned[0] += [0, 6]
    flow = flow_of(np.stack([still, turned])[:, None] + [40.0, 48.0])[0]
    tail, nose = flow[1, 24, 10], flow[1, 24, 29:31].mean()
    assert abs(tail) < 0.05
    assert nose == pytest.approx(3.0, abs=0.1)
    middle_of_limb = flow[1, 22, 25]  # half-way from nose (30, 24) to left (20, 20)
    assert middle_of_limb == pytest.approx(1.5, abs=0.35)


def test_a_jump_of_more_than_a_body_length_is_no_motion() -> None:
    assert (flow_of(moving((41.0, 0.0), 2)) == 0).all()
    assert flow_of(moving((39.0, 0.0), 2)).max() == pytest.approx(19.5)


def test_one_point_that_jumps_leaves_the_motion_of_the_others() -> None:
    positions = moving((2.0, 0.0), 2)
    positions[1, 0, 0, 0] += 60
    flow = flow_of(positions)[0]
    assert flow[0, 24, 10:13].max() == pytest.approx(1.0, abs=0.05)  # the tail
    assert flow.max() < 1.01


def test_missing_points_do_not_move_and_break_nothing() -> None:
    positions = moving((2.0, 0.0), 3)
    positions[1] = np.nan
    assert (flow_of(positions) == 0).all()


def test_two_animals_move_each_in_their_own_way() -> None:
    one, other = moving((1.0, 0.0), 2) - [12, 28], moving((0.0, 2.0), 2) + [10, 28]
    flow = flow_of(np.concatenate([one, other], axis=1))[0]
    np.testing.assert_allclose(flow[:, 10, 14], [0.5, 0], atol=1e-4)
    np.testing.assert_allclose(flow[:, 38, 25], [0, 1.0], atol=1e-4)


def test_an_animal_that_the_view_follows_stands_still() -> None:
    positions = np.concatenate([moving((2.0, 0.0), 12), moving((0.0, 0.0), 12) + [0, 25]], axis=1)
    flow = flow_of(positions, "ego")
    np.testing.assert_allclose(flow[5, :, 24, 24], [0, 0], atol=1e-3)
    assert flow[5, 0].min() < -0.5  # the other one falls behind
