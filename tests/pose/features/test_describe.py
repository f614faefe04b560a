"""What a network is told of a pose; and what every set of the table keeps to."""

import dataclasses

import numpy as np
import pytest

from pixelethogram.pose.anatomy import complete_skeleton
from pixelethogram.pose.features import FEATURE_SETS
from pixelethogram.pose.features.describe import describe_pose, missing_points
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

KEYPOINTS = (
    *("nose", "left forepaw", "right forepaw", "left hindpaw", "right hindpaw"),
    *("tail base", "tail tip"),
)


def wandering(num_animals: int = 2, num_frames: int = 50) -> Pose:
    generator = np.random.default_rng(0)
    walk = generator.normal(0, 3, (num_frames, num_animals, 1, 2)).cumsum(axis=0)
    positions = 200 + walk + generator.normal(0, 20, (num_frames, num_animals, 7, 2))
    names = tuple(f"animal {number}" for number in range(num_animals))
    shape = positions.shape[:3]
    skeleton = Skeleton(KEYPOINTS, ((0, 5), (5, 6)), back=5)
    return Pose(positions, np.ones(shape), skeleton, names, 400, 400, 30.0)


@pytest.mark.parametrize("num_animals", [1, 2, 3])
@pytest.mark.parametrize("name", list(FEATURE_SETS))
def test_every_set_knows_everything_of_a_whole_pose(name: str, num_animals: int) -> None:
    columns = FEATURE_SETS[name](wandering(num_animals))
    assert len(columns.values) == 50
    assert np.isfinite(columns.values).all()


@pytest.mark.parametrize("name", list(FEATURE_SETS))
def test_every_set_has_the_same_columns_whatever_is_missing(name: str) -> None:
    pose = wandering()
    nothing = dataclasses.replace(pose, positions=np.full_like(pose.positions, np.nan))
    assert FEATURE_SETS[name](nothing).names == FEATURE_SETS[name](pose).names


@pytest.mark.parametrize("name", list(FEATURE_SETS))
def test_recordings_of_one_skeleton_have_the_same_columns_where_no_file_states_edges(
    name: str,
) -> None:
    """Edges are guessed for each recording; here other points lie near each other in each."""
    names, trees = set(), set()
    for seed in range(4):
        shape = np.random.default_rng(seed).uniform(-60, 60, (len(KEYPOINTS), 2))
        pose = complete_skeleton(
            dataclasses.replace(
                wandering(),
                positions=np.tile(shape + 200, (50, 2, 1, 1)),
                skeleton=Skeleton(KEYPOINTS),
            )
        )
        names.add(FEATURE_SETS[name](pose).names)
        trees.add(pose.skeleton.edges)
    assert len(trees) == 4
    assert len(names) == 1


@pytest.mark.parametrize("name", list(FEATURE_SETS))
def test_no_set_looks_farther_than_fifteen_frames_back_nor_ahead(name: str) -> None:
    """Lengths are in body lengths, a median, so the cut pose must have the same one."""
    pose = wandering()
    late = pose.positions.copy()
    late[30:] += 1000
    late[:10] += 1000
    changed = FEATURE_SETS[name](dataclasses.replace(pose, positions=late)).values[25:30]
    np.testing.assert_allclose(changed, FEATURE_SETS[name](pose).values[25:30], atol=1e-3)


@pytest.mark.parametrize("name", list(FEATURE_SETS))
def test_a_missing_point_is_nowhere(name: str) -> None:
    """Were it at (0, 0), distances to it would change when the scene moves."""
    pose = wandering()
    gone = pose.positions.copy()
    gone[np.random.default_rng(1).random(gone.shape[:3]) < 0.3] = np.nan
    here = FEATURE_SETS[name](dataclasses.replace(pose, positions=gone))
    there = FEATURE_SETS[name](dataclasses.replace(pose, positions=gone + 100))
    places = (": x of", ": y of", ": to ", "way to")
    kept = [index for index, text in enumerate(here.names) if not any(p in text for p in places)]
    assert np.isnan(here.values[:, kept]).any() and len(kept) > 20
    np.testing.assert_allclose(here.values[:, kept], there.values[:, kept], atol=2e-3, rtol=1e-4)


def test_short_gaps_are_bridged_and_the_indicator_still_tells() -> None:
    pose = wandering()
    gone = pose.positions.copy()
    gone[20:23, 1, 2] = np.nan
    pose = dataclasses.replace(pose, positions=gone)
    columns = describe_pose(pose, ["epfl"], max_gap_frames=5)
    assert np.isfinite(columns.values).all()
    indicator = columns.values[:, columns.names.index("animal 1: no right forepaw")]
    assert np.flatnonzero(indicator).tolist() == [20, 21, 22]
    assert np.isnan(describe_pose(pose, ["epfl"]).values[21]).any()


def test_unsure_points_count_as_missing() -> None:
    pose = wandering()
    sure = pose.confidence.copy()
    sure[5, 0, 0] = 0.4
    pose = dataclasses.replace(pose, confidence=sure)
    columns = describe_pose(pose, ["epfl"], min_confidence=0.5)
    assert columns.values[5, columns.names.index("animal 0: no nose")] == 1


def test_sets_stand_side_by_side_with_context() -> None:
    pose = wandering()
    each = [describe_pose(pose, [name]).values.shape[1] for name in ("epfl", "egocentric")]
    both = describe_pose(pose, ["epfl", "egocentric"], context_radii=(3,))
    indicators = missing_points(pose).values.shape[1]
    assert indicators == 14
    assert both.values.shape[1] == 3 * (sum(each) - indicators)
