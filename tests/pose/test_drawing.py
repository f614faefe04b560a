"""Drawing: what is drawn moves smoothly, fades, overlaps without order, and is never wrong."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.pose.drawing import Scene, draw_frame, invert
from pixelethogram.pose.look import BACKGROUND, build_look
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import Panel

SIZE = (64, 96)
SKELETON = Skeleton(
    ("nose", "left", "right", "tail"), ((0, 1), (0, 2), (1, 3), (2, 3)), (0, 1, 3, 2), 0, 3
)
ANIMAL = np.array([[60, 30], [45, 22], [45, 38], [25, 30]], np.float32)
PLAIN = Panel(0, 0, *SIZE, 1.0, np.eye(2, 3, dtype=np.float32)[None], follows=False)


def draw(points: np.ndarray, opacity: np.ndarray | float = 1.0) -> np.ndarray:
    """Animals (N, P, 2) in a recording of the size of the picture."""
    scene = Scene(SKELETON, build_look(SKELETON, len(points)), *SIZE, 35.0)
    share = np.broadcast_to(np.float32(opacity), points.shape[:2])
    return draw_frame(scene, [PLAIN], 0, points, share, SIZE)


def drawn(points: np.ndarray, opacity: np.ndarray | float = 1.0) -> np.ndarray:
    """(H, W) how much differs from the empty picture."""
    empty = draw(np.full_like(points, np.nan))
    return np.abs(draw(points, opacity) - empty).sum(axis=-1)


def test_an_animal_is_drawn_where_it_is_and_nowhere_else() -> None:
    change = drawn(ANIMAL[None])
    rows, columns = np.nonzero(change)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 40, 23, 62)
    picture = draw(ANIMAL[None])
    np.testing.assert_allclose(picture[30, 60], [1, 1, 0.2], atol=1e-6)
    assert picture[30, 40, 0] > BACKGROUND > picture[30, 40, 2]


def test_a_tenth_of_a_pixel_changes_pixels_smoothly() -> None:
    pictures = [draw(ANIMAL[None] + step) for step in np.arange(0, 1.05, 0.1, dtype=np.float32)]
    steps = [np.abs(after - before) for before, after in zip(pictures, pictures[1:], strict=False)]
    assert max(step.max() for step in steps) < 0.2, "no pixel jumps"
    assert min(step.sum() for step in steps) > 0.7 * max(step.sum() for step in steps)


def test_animals_of_which_none_lies_on_top() -> None:
    both = np.stack([ANIMAL, ANIMAL + (6, 5)])
    look = build_look(SKELETON, 2)
    swapped = type(look)(look.bodies[::-1], look.limbs[::-1], look.points[::-1], look.order)
    one = draw_frame(Scene(SKELETON, look, *SIZE, 35.0), [PLAIN], 0, both, np.ones((2, 4)), SIZE)
    other = draw_frame(
        Scene(SKELETON, swapped, *SIZE, 35.0), [PLAIN], 0, both[::-1], np.ones((2, 4)), SIZE
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("gone", [[0], [1], [3], [0, 1], [0, 1, 2], [0, 1, 2, 3]])
def test_a_missing_point_takes_its_limbs_along_and_changes_nothing_far_away(
    gone: list[int],
) -> None:
    points = ANIMAL[None].copy()
    points[0, gone] = np.nan
    picture = draw(points)
    assert np.isfinite(picture).all()
    for point in range(4):
        x, y = ANIMAL[point].astype(int)
        change = np.abs(picture[y, x] - draw(np.full_like(points, np.nan))[y, x]).sum()
        assert (change > 0.2) == (point not in gone)


def test_opacity_zero_is_missing_and_half_is_half() -> None:
    half = np.ones((1, 4))
    half[0, 0] = 0.5
    full, faded = drawn(ANIMAL[None]), drawn(ANIMAL[None], half)
    assert 0.4 * full[30, 60] < faded[30, 60] < 0.75 * full[30, 60]
    half[0, 0] = 0
    gone = ANIMAL[None].copy()
    gone[0, 0] = np.nan
    np.testing.assert_array_equal(drawn(ANIMAL[None], half), drawn(gone))


def test_what_lies_outside_is_cut_off() -> None:
    inside = draw(ANIMAL[None] + np.float32(0.3))
    for shift in ((0, -30), (50, 20), (-50, 30)):
        assert np.isfinite(draw(ANIMAL[None] + np.array(shift, np.float32))).all()
    cut = draw(ANIMAL[None] + np.array([-54.7, 0.3], np.float32))
    np.testing.assert_allclose(cut[5:-5, 2:40], inside[5:-5, 57:95], atol=1e-5)
    empty = draw(np.full((1, 4, 2), np.nan, np.float32))
    np.testing.assert_array_equal(draw(ANIMAL[None] - np.float32(500)), empty)


def test_points_of_the_picture_are_found_again_in_the_recording() -> None:
    matrix = np.array([[0.6, 0.8, 3.0], [-0.8, 0.6, -7.0]])
    points = np.random.default_rng(0).uniform(0, 99, (20, 2))
    x, y = (points @ matrix[:, :2].T + matrix[:, 2]).T
    np.testing.assert_allclose(np.stack(invert(matrix, x, y), axis=-1), points, atol=1e-9)


def test_a_skeleton_of_one_point_is_a_dot() -> None:
    skeleton = Skeleton(("body",))
    scene = Scene(skeleton, build_look(skeleton, 1), *SIZE, 30.0)
    point = np.array([[[40.0, 30.0]]], np.float32)
    picture = draw_frame(scene, [PLAIN], 0, point, np.ones((1, 1)), SIZE)
    np.testing.assert_allclose(picture[30, 40], [1, 1, 0.2], atol=1e-6)
