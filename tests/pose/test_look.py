"""Look: animals differ for every eye, fronts are brightest, left is lighter than right."""

import numpy as np
import pytest

from pixelethogram.pose.look import BODIES, build_look
from pixelethogram.pose.skeleton import Skeleton

SKELETON = Skeleton(("nose", "left ear", "right ear", "tail"), ((0, 1), (0, 2), (1, 3)))
GREY = np.array([0.299, 0.587, 0.114])
PROTAN = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
DEUTAN = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])


@pytest.mark.parametrize("num_animals", [1, 2, 3, 6, 8])
def test_the_front_is_brightest_and_drawn_last(num_animals: int) -> None:
    look = build_look(SKELETON, num_animals)
    grey = look.points @ GREY
    assert (grey.argmax(axis=1) == 0).all()
    assert look.order[-1] == 0
    assert sorted(look.order) == [0, 1, 2, 3]
    assert (grey[:, 1] > grey[:, 3] + 0.02).all()
    assert (grey[:, 3] > grey[:, 2] + 0.02).all()


def test_the_first_is_warm_and_the_second_cool() -> None:
    first, second = build_look(SKELETON, 2).bodies
    assert first[0] > first[2] + 0.5
    assert second[2] > second[0] + 0.5


@pytest.mark.parametrize("eye", [np.eye(3), PROTAN, DEUTAN])
def test_bodies_differ_for_color_blind_eyes(eye: np.ndarray) -> None:
    """Machado et al. 2009: full loss of red or green cones."""
    seen = BODIES[:3] @ eye.T
    for one in range(3):
        for other in range(one):
            assert np.linalg.norm(seen[one] - seen[other]) > 0.25
