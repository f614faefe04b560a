"""Pose flow: exact for a skeleton that moves in a known way, in every view; never for a jump."""

import dataclasses

import numpy as np
import pytest
import torch

from pixelethogram.errors import InputError
from pixelethogram.pose.flow import PoseFlow, PoseLayout
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import View, view_transforms

SKELETON = Skeleton(
    ("nose", "left", "right", "tail"), ((0, 1), (0, 2), (1, 3), (2, 3)), (0, 1, 3, 2)
)
BODY = np.array([[20.0, 0], [0, -8], [0, 8], [-20, 0]])  # 40 pixels long
SIZE = (96, 96)


def rows_of(
    positions: np.ndarray, view: View = "arena", skeleton: Skeleton = SKELETON
) -> tuple[PoseLayout, np.ndarray]:
    """Rows of animals in a recording as large as the picture, and what they say."""
    names = tuple("ab"[: positions.shape[1]])
    pose = Pose(positions, np.ones(positions.shape[:3]), skeleton, names, *SIZE, 30.0)
    panels = view_transforms(pose, view, *SIZE, 40.0)
    boxes = tuple((each.top, each.left, each.height, each.width) for each in panels)
    layout = PoseLayout(skeleton, len(names), boxes, SIZE)
    matrices = np.stack([panel.matrices for panel in panels], axis=1)
    return layout, layout.to_rows(pose.positions, matrices, 40.0)


def flow_of(
    positions: np.ndarray, view: View = "arena", skeleton: Skeleton = SKELETON
) -> np.ndarray:
    """(T - 1, 2, h, w) where the whole recording is one clip."""
    layout, rows = rows_of(positions, view, skeleton)
    (flow,) = PoseFlow(layout)(torch.from_numpy(rows)[None])
    return flow[0].transpose(0, 1).numpy()


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


def test_a_clip_is_laid_by_the_frame_in_its_middle() -> None:
    """The animal that the view follows keeps its own motion, the other one stands still."""
    walker, other = moving((2.0, 0.0), 11), moving((0.0, 0.0), 11) + [0, 25]
    flow = flow_of(np.concatenate([walker, other], axis=1), "ego")
    scale = SIZE[0] / (4 * 40)  # an ego view is four bodies wide
    np.testing.assert_allclose(flow[5, :, 24, 24], [2 * scale / 2, 0], atol=1e-3)
    assert flow[5, 0].min() > -1e-4
    np.testing.assert_allclose(flow[5][:, 24 + 7, 20:28], 0, atol=1e-3)


def test_in_an_ego_view_motion_is_turned_with_the_animal() -> None:
    turned = moving((0.0, 0.0), 11)
    middle = turned.mean(axis=(0, 2))
    up = (turned - middle) @ np.array([[0.0, -1.0], [1.0, 0.0]]) + middle  # faces up
    walking = up + np.arange(11)[:, None, None, None] * np.array([0.0, -2.0])
    flow = flow_of(walking, "ego")
    np.testing.assert_allclose(flow[5, :, 24, 24], [2 * SIZE[0] / 160 / 2, 0], atol=1e-3)


def test_panels_do_not_run_into_each_other() -> None:
    positions = np.concatenate([moving((2.0, 0.0), 11) - [12, 28], moving((0.0, 2.0), 11)], axis=1)
    layout, _ = rows_of(positions, "composite")
    flow = flow_of(positions, "composite")
    top, left, height, width = layout.boxes[1]
    outside = np.ones((48, 48), bool)
    for top, left, height, width in layout.boxes:
        outside[top // 2 : -(-(top + height) // 2), left // 2 : -(-(left + width) // 2)] = False
    assert len(layout.boxes) == 3 and outside.any()
    assert (flow[:, :, outside] == 0).all()
    assert (np.abs(flow[:, :, : layout.boxes[0][2] // 2]).max(axis=(1, 2, 3)) > 0.1).all()


def test_clips_of_a_batch_do_not_mix() -> None:
    layout, rows = rows_of(moving((2.0, 0.0), 8), "composite")
    clips = torch.from_numpy(np.stack([rows[:5], rows[3:8], rows[2:7]]))
    (together,) = PoseFlow(layout)(clips)
    for clip, flow in zip(clips, together, strict=True):
        torch.testing.assert_close(PoseFlow(layout)(clip[None])[0][0], flow)


def test_a_network_of_sixteen_bits_changes_no_velocity() -> None:
    layout, rows = rows_of(moving((0.25, 0.5), 5))
    (plain,) = PoseFlow(layout)(torch.from_numpy(rows)[None])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (flow,) = PoseFlow(layout)(torch.from_numpy(rows)[None])
    assert flow.dtype == torch.float32
    torch.testing.assert_close(flow, plain)


def test_a_corner_that_is_missing_makes_the_body_smaller() -> None:
    positions = moving((2.0, 0.0), 2)
    positions[:, 0, 1] = np.nan
    flow = flow_of(positions)[0]
    assert flow[0, 26, 20] == pytest.approx(1.0, abs=1e-4)  # nose, tail and right remain
    assert flow[0, 22, 20] == 0  # where left was


def test_without_an_outline_only_limbs_and_points_move() -> None:
    line = Skeleton(("nose", "left", "right", "tail"), ((0, 3),))
    flow = flow_of(moving((2.0, 0.0), 2), skeleton=line)[0]
    assert flow[0, 24, 24] == pytest.approx(1.0, abs=1e-4)
    assert flow[0, 22, 22] == 0


def test_a_layout_comes_back_from_plain_values() -> None:
    layout, rows = rows_of(moving((2.0, 0.0), 2), "composite")
    assert PoseLayout.from_dict(layout.to_dict()) == layout
    assert rows.shape == (2, layout.num_columns)


def test_other_animals_or_keypoints_are_refused_by_name() -> None:
    layout, _ = rows_of(moving((2.0, 0.0), 2))
    two, _ = rows_of(np.concatenate([moving((2.0, 0.0), 2)] * 2, axis=1))
    with pytest.raises(InputError, match="the pose has 2 animals with the keypoints nose, left"):
        layout.check(two)
    layout.check(layout)


def test_guessed_edges_of_another_recording_are_no_other_skeleton() -> None:
    names = ("nose", "neck", "tail")
    skeletons = [Skeleton(names, edges, (), 0, 2, True) for edges in (((0, 1),), ((0, 2),))]
    one, other = (PoseLayout(each, 1, ((0, 0, 8, 8),), (8, 8)) for each in skeletons)
    one.check(other)
    renamed = dataclasses.replace(skeletons[0], keypoints=("nose", "neck", "ear"))
    with pytest.raises(InputError, match="the pose has"):
        one.check(dataclasses.replace(one, skeleton=renamed))
