"""Pose: shapes are checked, never turned; missing is missing in both coordinates."""

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SKELETON = Skeleton(("nose", "neck", "tail"), ((0, 1), (1, 2)))


def make(positions: np.ndarray, confidence: np.ndarray) -> Pose:
    return Pose(positions, confidence, SKELETON, ("a", "b"), 100, 200, 30.0)


def test_half_missing_points_are_missing_with_confidence_zero() -> None:
    positions = np.zeros((4, 2, 3, 2))
    positions[1, 0, 2, 1] = np.nan
    pose = make(positions, np.ones((4, 2, 3)))
    assert pose.num_frames == 4
    assert pose.positions.dtype == pose.confidence.dtype == np.float32
    assert np.isnan(pose.positions[1, 0, 2]).all()
    assert pose.confidence[1, 0, 2] == 0
    assert pose.missing.sum() == 1


@pytest.mark.parametrize("shape", [(4, 2, 2, 3), (2, 4, 3, 2), (4, 6, 2), ()])
def test_another_order_of_axes_is_refused_with_the_expected_shape(shape: tuple) -> None:
    with pytest.raises(InputError, match=r"\(frames, animals, keypoints, 2\)"):
        make(np.zeros(shape), np.ones((4, 2, 3)))


def test_confidence_must_fit_and_lie_between_0_and_1() -> None:
    with pytest.raises(InputError, match="confidence has shape"):
        make(np.zeros((4, 2, 3, 2)), np.ones((4, 3, 2)))
    with pytest.raises(InputError, match="outside 0 to 1"):
        make(np.zeros((4, 2, 3, 2)), np.full((4, 2, 3), 1.5))
