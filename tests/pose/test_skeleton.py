"""Skeletons: mirrors by name, and refusal of keypoints that are not there."""

import pytest

from pixelethogram.pose.skeleton import Skeleton, other_side


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("left ear", "right ear"),
        ("Right_hip", "Left_hip"),
        ("earL", "earR"),
        ("l_paw", "r_paw"),
        ("ear.R", "ear.L"),
        ("nose", "nose"),
        ("Rear", "Rear"),
        ("tail base", "tail base"),
    ],
)
def test_other_side(name: str, expected: str) -> None:
    assert other_side(name) == expected
    assert other_side(expected) == name


def test_mirror_is_its_own_inverse_and_leaves_unpaired_points() -> None:
    skeleton = Skeleton(("nose", "left ear", "right ear", "left hip"))
    mirror = skeleton.mirror
    assert mirror == (0, 2, 1, 3)
    assert [mirror[index] for index in mirror] == [0, 1, 2, 3]


def test_back_is_the_last_keypoint() -> None:
    assert Skeleton(("nose", "neck", "tail")).back == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"keypoints": ()},
        {"keypoints": ("nose", "nose")},
        {"keypoints": ("nose", "tail"), "edges": ((0, 2),)},
        {"keypoints": ("nose", "tail"), "outline": (0, 1, -3)},
    ],
)
def test_a_wrong_skeleton_is_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="keypoints"):
        Skeleton(**arguments)
