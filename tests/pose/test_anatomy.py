"""What files leave open is found by name and by distance; swapped sides are noticed."""

import dataclasses

import numpy as np
import pytest

from pixelethogram.pose.anatomy import (
    complete_skeleton,
    convex_hull,
    measure_mirrored,
    shortest_tree,
)
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

NAMES = ("left_ear", "right_ear", "snout", "tail_tip", "tail_base", "spine")
SHAPE = np.array([[10.0, -6], [10, 6], [20, 0], [-40, 0], [-20, 0], [0, 0]])


def make_pose(names: tuple[str, ...] = NAMES, shape: np.ndarray = SHAPE) -> Pose:
    """The shape, turning slowly."""
    angle = np.linspace(0, 5, 30)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1)
    points = np.einsum("tij,pj->tpi", turn.reshape(-1, 2, 2), shape)[:, None] + 60
    ones = np.ones(points.shape[:3])
    return Pose(points, ones, Skeleton(names), ("a",), 120, 120, 30.0)


def test_ends_by_name_limbs_by_distance_and_an_outline_without_the_tail() -> None:
    skeleton = complete_skeleton(make_pose()).skeleton
    assert (skeleton.front, skeleton.back) == (2, 4)
    assert {(0, 2), (1, 2), (3, 4), (4, 5)} < set(skeleton.edges)
    assert len(skeleton.edges) == 5
    assert set(skeleton.outline) == {0, 1, 2, 4}


@pytest.mark.parametrize(
    ("names", "ends"),
    [
        (("p0", "p1", "p2", "p3", "p4", "p5"), (0, 5)),
        (("a", "head", "thorax", "abdomen", "left wing", "right wing"), (1, 3)),
        (("nose", "l_ear", "r_ear", "l_hip", "r_hip", "l_eye"), (0, 5)),
    ],
)
def test_without_telling_names_the_last_that_is_on_no_side_is_the_back(
    names: tuple[str, ...], ends: tuple[int, int]
) -> None:
    skeleton = complete_skeleton(make_pose(names)).skeleton
    assert (skeleton.front, skeleton.back) == ends


def test_ends_do_not_depend_on_the_recording_and_guessed_edges_say_so() -> None:
    names = ("p0", "p1", "p2", "p3", "p4", "p5")
    skeletons = [
        complete_skeleton(make_pose(names, shape)).skeleton for shape in (SHAPE, SHAPE[::-1])
    ]
    one, other = skeletons
    assert (one.front, one.back) == (other.front, other.back)
    assert one.edges != other.edges
    assert one.stated_edges == other.stated_edges == ()
    stated = dataclasses.replace(make_pose(), skeleton=Skeleton(NAMES, ((0, 2),)))
    skeleton = complete_skeleton(stated).skeleton
    assert skeleton.edges == skeleton.stated_edges == ((0, 2),)
    again = complete_skeleton(complete_skeleton(make_pose())).skeleton
    assert again.guessed_edges, "what was guessed once stays a guess"


def test_points_never_seen_are_joined_to_nothing() -> None:
    pose = make_pose()
    pose.positions[:, :, 5] = np.nan
    skeleton = complete_skeleton(pose).skeleton
    assert all(5 not in edge for edge in skeleton.edges)
    assert 5 not in skeleton.outline
    pose.positions[:] = np.nan
    assert complete_skeleton(pose).skeleton.edges == ()


def test_swapped_sides_are_measured() -> None:
    pose = complete_skeleton(make_pose())
    assert measure_mirrored(pose) == 0
    swapped = make_pose(("right_ear", "left_ear", *NAMES[2:]))
    assert measure_mirrored(complete_skeleton(swapped)) == 1
    assert np.isnan(measure_mirrored(make_pose(("a", "b", "c", "d", "e", "f"))))


def test_the_shortest_tree_is_the_shortest() -> None:
    """Against all trees of four points (Prufer codes)."""
    points = np.random.default_rng(0).uniform(0, 1, (4, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    edges = shortest_tree(distances)
    lengths = []
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    for first in range(6):
        for second in range(first + 1, 6):
            for third in range(second + 1, 6):
                chosen = [pairs[k] for k in (first, second, third)]
                if {end for edge in chosen for end in edge} == {0, 1, 2, 3}:
                    lengths.append(sum(distances[edge] for edge in chosen))
    assert sum(distances[edge] for edge in edges) == pytest.approx(min(lengths))


def test_a_hull_goes_round_all_points_and_lines_have_none() -> None:
    points = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [2, 2], [np.nan, np.nan], [1, 3]])
    hull = convex_hull(points)
    assert set(hull) == {0, 1, 2, 3}
    x, y = points[list(hull)].T
    assert abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2) == 16
    assert convex_hull(np.array([[0.0, 0], [1, 1], [2, 2]])) == ()
