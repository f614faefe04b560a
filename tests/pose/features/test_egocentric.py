"""The egocentric set: the world turns with the animal."""

import numpy as np

from pixelethogram.pose.features.egocentric import egocentric_features
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SKELETON = Skeleton(("nose", "neck", "tail base"), ((0, 1), (1, 2)))
BODY = np.array([[8.0, 0.0], [4.0, 0.0], [-4.0, 0.0]])  # nose to tail base: 12


def build_pose(positions: np.ndarray) -> Pose:
    names = tuple("ab"[: positions.shape[1]])
    return Pose(positions, np.ones(positions.shape[:3]), SKELETON, names, 400, 400, 30.0)


def describe(pose: Pose) -> list[dict[str, float]]:
    columns = egocentric_features(pose)
    return [dict(zip(columns.names, row, strict=True)) for row in columns.values.tolist()]


def turned(angle: float) -> np.ndarray:
    """Matrix for rows of points; a positive angle turns clockwise on screen."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def test_the_other_animal_is_where_it_is_seen_from_the_first() -> None:
    positions = np.stack([BODY, BODY + [0, 24]])[None] + 200
    (found,) = describe(build_pose(positions))
    np.testing.assert_allclose(found["a: ahead nose"], 8 / 12, rtol=1e-4)
    np.testing.assert_allclose(found["a: aside nose"], 0, atol=1e-4)
    assert found["a: b's aside neck"] == 2 and found["b: a's aside neck"] == -2
    np.testing.assert_allclose(found["a: b's neck: distance"], np.log1p(2), rtol=1e-6)
    assert found["a: b's heading ahead"] == 1 and found["a: b's heading aside"] == 0


def test_nothing_but_walls_changes_when_the_whole_scene_turns_and_moves() -> None:
    generator = np.random.default_rng(3)
    positions = np.stack([BODY, BODY @ turned(2.0) + [9, 30]])[None] + generator.normal(
        0, 0.3, (8, 2, 3, 2)
    )
    here = describe(build_pose(positions + 200))
    there = describe(build_pose(positions @ turned(1.1) + [180, 210]))
    for one, other in zip(here, there, strict=True):
        for name in one:
            if ": to " not in name:
                np.testing.assert_allclose(one[name], other[name], atol=2e-4, err_msg=name)


def test_speed_ahead_and_turn_are_those_of_the_motion() -> None:
    steps = np.arange(12)
    ahead = BODY[None] + np.stack([6.0 * steps, 0 * steps], axis=1)[:, None] + 100
    found = describe(build_pose(ahead[:, None]))[-1]
    np.testing.assert_allclose(found["a: forward"], 0.5, rtol=1e-5)
    np.testing.assert_allclose(found["a: speed over 10"], 0.5, rtol=1e-5)
    np.testing.assert_allclose([found["a: sideways"], found["a: sine of turn"]], 0, atol=1e-5)
    spun = np.stack([BODY @ turned(0.1 * step) for step in steps]) + 100
    np.testing.assert_allclose(
        describe(build_pose(spun[:, None]))[-1]["a: sine of turn"], np.sin(0.1), rtol=1e-4
    )
