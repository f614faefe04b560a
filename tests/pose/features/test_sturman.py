"""The Sturman set: 44 columns of a mouse whose shape is drawn on squared paper."""

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.features.sturman import find_roles, sturman_features
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

NAMES = ("nose", "forepaw_L", "forepaw_R", "hindpaw_L", "hindpaw_R", "tail_base", "tail_tip")
# facing right on screen, so its left is up (y points down)
MOUSE = np.array([[10, 0], [7, -2], [7, 2], [2, -3], [2, 3], [0, 0], [-4, 0]], dtype=float)


def describe(points: np.ndarray) -> dict[str, float]:
    pose = Pose(
        points[None, None], np.ones((1, 1, 7)), Skeleton(NAMES, back=5), ("m",), 100, 200, 25.0
    )
    columns = sturman_features(pose)
    assert columns.values.shape == (1, 44)
    return {
        name.removeprefix("m: "): float(value)
        for name, value in zip(columns.names, columns.values[0], strict=True)
    }


def test_distances_angles_and_area_of_a_drawn_mouse() -> None:
    found = describe(MOUSE + [50, 50])
    assert found["nose to tail base"] == 10 and found["tail base to tip"] == 4
    assert found["between forepaws"] == 4 and found["between hindpaws"] == 6
    assert found["fore to hind"] == pytest.approx(np.hypot(5, 1))
    assert found["forepaws to nose"] == pytest.approx(np.hypot(3, 2))
    assert abs(found["angle of tail"]) == pytest.approx(np.pi)
    assert found["angle of right forepaw"] == pytest.approx(np.arctan2(2, 2.5))
    assert found["angle of left forepaw"] == pytest.approx(-np.arctan2(2, 2.5))
    assert found["area"] == 2 * (2 * 3 / 2 + 5 * (2 + 3) / 2 + 3 * 2 / 2)
    np.testing.assert_allclose([found["x of nose"], found["y of nose"]], [0.3, 0.5], rtol=1e-6)


def test_what_lies_along_the_body_does_not_turn_with_the_mouse() -> None:
    turn = np.array([[np.cos(1.0), np.sin(1.0)], [-np.sin(1.0), np.cos(1.0)]])
    straight, turned = describe(MOUSE + 50), describe(MOUSE @ turn + 50)
    same = [name for name in straight if not name.startswith(("x of", "y of"))]
    assert len(same) == 28
    for name in same:
        if name != "angle of tail":  # pi and minus pi are the same
            assert turned[name] == pytest.approx(straight[name], abs=1e-4), name
    assert straight["x along the body of nose"] == 10
    assert straight["y along the body of right forepaw"] == 2


@pytest.mark.parametrize("names", [("Nose", "ForepawLeft"), ("snout", "left_forepaw")])
def test_roles_are_found_in_the_usual_spellings(names: tuple[str, ...]) -> None:
    rest = ("right front paw", "hindpaw.L", "RHindPaw", "TailBase", "tail-tip")
    assert find_roles((*names, *rest)) == dict(
        zip(
            ("nose", "left forepaw", "right forepaw", "left hindpaw", "right hindpaw")
            + ("tail base", "tail tip"),
            range(7),
            strict=True,
        )
    )


def test_a_skeleton_without_paws_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="left forepaw, right forepaw"):
        find_roles(("nose", "tail base", "tail tip"))
