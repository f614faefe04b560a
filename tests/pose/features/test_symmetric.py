"""The symmetric set: swapping animals, on any frame, changes nothing."""

import dataclasses

import numpy as np
import pytest

from pixelethogram.pose.features.symmetric import symmetric_features
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SKELETON = Skeleton(("head", "body", "tail"), ((0, 1), (1, 2)))


def build_pose(positions: np.ndarray) -> Pose:
    names = tuple("abc"[: positions.shape[1]])
    sure = np.random.default_rng(1).random(positions.shape[:3])
    return Pose(positions, sure, SKELETON, names, 300, 300, 30.0)


def wandering(num_animals: int, seed: int = 0) -> Pose:
    generator = np.random.default_rng(seed)
    walk = generator.normal(0, 3, (60, num_animals, 1, 2)).cumsum(axis=0)
    positions = 150 + walk + generator.normal(0, 20, (60, num_animals, 3, 2))
    positions[generator.random((60, num_animals, 3)) < 0.3] = np.nan
    return build_pose(positions)


@pytest.mark.parametrize("num_animals", [2, 3])
def test_identities_that_swap_on_every_frame_change_nothing(num_animals: int) -> None:
    pose = wandering(num_animals)
    order = np.random.default_rng(2).permuted(
        np.tile(np.arange(num_animals), (pose.num_frames, 1)), axis=1
    )
    rows = np.arange(pose.num_frames)[:, None]
    swapped = dataclasses.replace(
        pose, positions=pose.positions[rows, order], confidence=pose.confidence[rows, order]
    )
    one, other = symmetric_features(pose), symmetric_features(swapped)
    assert one.names == other.names
    np.testing.assert_allclose(one.values, other.values, atol=1e-4)


def test_distance_motion_and_seen_points_of_two_known_animals() -> None:
    body = np.array([[10.0, 0], [5.0, 0], [0.0, 0]])
    positions = np.stack([np.stack([body + [t, 0], body + [40, 30]]) for t in range(8)]) + 50
    positions[7, 1, 0] = np.nan
    columns = symmetric_features(build_pose(positions))
    first, *_, last = (dict(zip(columns.names, row, strict=True)) for row in columns.values)
    np.testing.assert_allclose(first["least distance"], 5.0, rtol=1e-5)
    np.testing.assert_allclose(first["least nearest points"], np.hypot(30, 30) / 10, rtol=1e-5)
    np.testing.assert_allclose(first["least head to tail"], 1)
    np.testing.assert_allclose(first["most bend at body"], -1, rtol=1e-6)
    np.testing.assert_allclose(last["most motion of body over 5"], 0.5, rtol=1e-5)
    np.testing.assert_allclose(last["least motion of body over 5"], 0, atol=1e-6)
    assert last["share of head seen"] == 0.5 and last["least points seen"] == np.float32(2 / 3)
    assert last["share of animals seen"] == 1


def test_one_animal_alone_has_no_extremes_and_no_others() -> None:
    names = symmetric_features(wandering(1)).names
    assert not [name for name in names if "least" in name or "other's" in name or name == "facing"]
    assert "head to tail" in names
