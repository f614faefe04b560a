"""Location: known paths are found again, also from a part of the keypoints."""

import numpy as np
import pytest

from pixelethogram.pose.location import locate_animals, measure_body, usual_shape
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SHAPE = np.array([[20.0, 0], [10, -6], [10, 6], [-8, -7], [-8, 7], [-20, 0]])
NAMES = ("nose", "left_ear", "right_ear", "left_hip", "right_hip", "tail_base")


def walk(headings: np.ndarray, centres: np.ndarray) -> Pose:
    """One animal of a fixed shape on a known path."""
    turn = np.stack([np.cos(headings), -np.sin(headings), np.sin(headings), np.cos(headings)], -1)
    points = np.einsum("tij,pj->tpi", turn.reshape(-1, 2, 2), SHAPE) + centres[:, None]
    confidence = np.ones((len(points), 1, len(SHAPE)))
    return Pose(points[:, None], confidence, Skeleton(NAMES), ("a",), 300, 400, 30.0)


@pytest.fixture
def path() -> tuple[np.ndarray, np.ndarray]:
    frames = np.arange(60.0)
    return 0.15 * frames, np.stack([100 + 2 * frames, 150 - frames], axis=-1)


def without(pose: Pose, frames: slice, points: list[int]) -> Pose:
    positions = pose.positions.copy()
    positions[frames, :, points] = np.nan
    return Pose(
        positions, pose.confidence, pose.skeleton, pose.individuals, pose.height, pose.width, 30.0
    )


def test_the_usual_shape_and_the_body_length_are_those_of_the_animal(
    path: tuple[np.ndarray, np.ndarray],
) -> None:
    pose = walk(*path)
    np.testing.assert_allclose(usual_shape(pose), SHAPE, atol=1e-4)
    assert measure_body(pose) == pytest.approx(40.0, rel=1e-5)


@pytest.mark.parametrize("gone", [[], [0], [5], [0, 5], [0, 1, 3, 5], [1, 2, 3, 4]])
def test_any_two_points_tell_place_and_heading(
    path: tuple[np.ndarray, np.ndarray], gone: list[int]
) -> None:
    headings, centres = path
    location = locate_animals(without(walk(headings, centres), slice(10, 50), gone))
    middle = slice(2, -2)  # smoothing repeats the ends
    np.testing.assert_allclose(location.centres[middle, 0], centres[middle], atol=0.15)
    off = np.exp(1j * (location.headings[middle, 0] - headings[middle]))
    np.testing.assert_allclose(np.angle(off), 0, atol=1e-3)


def test_an_animal_that_is_gone_is_waited_for_on_a_straight_line(
    path: tuple[np.ndarray, np.ndarray],
) -> None:
    headings, centres = path
    location = locate_animals(without(walk(0 * headings, centres), slice(20, 40), list(range(6))))
    np.testing.assert_allclose(location.centres[2:-2, 0], centres[2:-2], atol=1e-3)


def test_one_that_is_never_seen_is_in_the_middle(path: tuple[np.ndarray, np.ndarray]) -> None:
    location = locate_animals(without(walk(*path), slice(None), list(range(6))))
    assert not location.seen.any()
    np.testing.assert_array_equal(location.centres[:, 0], [[199.5, 149.5]] * 60)
    assert location.body == 300 / 8
