"""The EPFL set: 140 columns for two mice of seven keypoints, each with a known answer."""

import numpy as np

from pixelethogram.pose.features.epfl import epfl_features
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SEVEN = Skeleton(("nose", "left ear", "right ear", "neck", "left hip", "right hip", "tail base"))


def build_pose(positions: np.ndarray) -> Pose:
    names = tuple("ab"[: positions.shape[1]])
    skeleton = Skeleton(SEVEN.keypoints[: positions.shape[2]])
    return Pose(positions, np.ones(positions.shape[:3]), skeleton, names, 570, 1024, 30.0)


def test_two_mice_of_seven_keypoints_have_140_columns() -> None:
    positions = np.random.default_rng(0).uniform(0, 500, (9, 2, 7, 2))
    assert epfl_features(build_pose(positions)).values.shape == (9, 140)


def test_one_animal_has_no_columns_about_two() -> None:
    positions = np.random.default_rng(0).uniform(0, 500, (9, 1, 7, 2))
    columns = epfl_features(build_pose(positions))
    assert columns.values.shape == (9, 14 + 21 + 7 + 2 + 1)


def test_every_formula_on_two_points() -> None:
    one = np.array([[512.0, 285.0], [515.0, 289.0]])  # the origin, and (3, 4)
    positions = np.stack([[one, one + [0, 2]], [one + [6, 8], one + [0, 2]]])
    columns = epfl_features(build_pose(positions))
    first, second = (dict(zip(columns.names, row, strict=True)) for row in columns.values)
    assert (first["a: x of left ear"], first["a: y of left ear"]) == (3, 4)
    assert first["a: nose to left ear"] == 5
    assert first["a: speed of nose"] == 0 and second["a: speed of nose"] == 300
    assert second["b: speed of nose"] == 0
    assert (first["a: x of centre"], first["a: y of centre"]) == (1.5, 2)
    assert first["a: extension"] == 2.5
    assert first["a and b: nose to nose"] == 2 and first["a and b: left ear to left ear"] == 2
    assert first["a and b: overlap"] == 3 * 2 and second["a and b: overlap"] == 0
