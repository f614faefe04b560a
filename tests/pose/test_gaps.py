"""Gaps: straight lines come back, long gaps and ends stay missing."""

import numpy as np
import pytest

from pixelethogram.pose.gaps import drop_unsure, fill_gaps, nearest_known
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton


def moving(missing: list[int], length: int = 20) -> Pose:
    """One animal with one point on a straight line at (t, 3 t)."""
    time = np.arange(length, dtype=float)
    positions = np.stack([time, 3 * time], axis=-1)[:, None, None]
    positions[missing] = np.nan
    return Pose(positions, np.ones((length, 1, 1)), Skeleton(("nose",)), ("a",), 64, 64, 30.0)


@pytest.mark.parametrize("missing", [[3], [3, 4, 5], [1, 5, 6, 11]])
def test_a_straight_line_comes_back(missing: list[int]) -> None:
    filled = fill_gaps(moving(missing), 3)
    np.testing.assert_allclose(filled.positions, moving([]).positions, atol=1e-5)
    assert (filled.confidence == 1).all()


def test_long_gaps_and_both_ends_stay() -> None:
    missing = [0, 1, 5, 6, 7, 8, 18, 19]
    filled = fill_gaps(moving(missing), 3)
    assert np.flatnonzero(filled.missing[:, 0, 0]).tolist() == missing


def test_a_gap_of_exactly_the_limit_is_filled_and_one_more_is_not() -> None:
    assert not fill_gaps(moving([4, 5, 6]), 3).missing.any()
    assert fill_gaps(moving([4, 5, 6]), 2).missing.sum() == 3


def test_nothing_known_and_no_frames_are_left_alone() -> None:
    assert fill_gaps(moving(list(range(20))), 5).missing.all()
    assert fill_gaps(moving([], length=0), 5).num_frames == 0


def test_tracks_do_not_mix() -> None:
    positions = np.zeros((5, 2, 1, 2))
    positions[:, 1] = 7
    positions[2, 0] = np.nan
    pose = Pose(positions, np.ones((5, 2, 1)), Skeleton(("nose",)), ("a", "b"), 9, 9, 30.0)
    filled = fill_gaps(pose, 1)
    assert (filled.positions[:, 0] == 0).all() and (filled.positions[:, 1] == 7).all()


def test_unsure_points_become_missing() -> None:
    pose = moving([])
    confidence = np.linspace(0, 1, 20)[:, None, None]
    unsure = drop_unsure(Pose(pose.positions, confidence, pose.skeleton, ("a",), 64, 64, 30.0), 0.5)
    assert unsure.missing[:, 0, 0].sum() == 10


def test_nearest_known() -> None:
    before, after = nearest_known(np.array([[False, True, False, True, False]]).T)
    assert before[:, 0].tolist() == [-1, 1, 1, 3, 3]
    assert after[:, 0].tolist() == [1, 1, 3, 3, 5]
