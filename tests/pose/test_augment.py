"""Changes of a pose: inverses, left and right, chance that comes from one generator."""

import dataclasses
import math

import numpy as np
import pytest

from pixelethogram.pose.augment import Change, apply_change, draw_change
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SKELETON = Skeleton(("nose", "left ear", "right ear", "tail base"))


def build_pose() -> Pose:
    generator = np.random.default_rng(0)
    positions = generator.uniform(10, 90, (6, 2, 4, 2))
    positions[3, 1, 2] = np.nan
    sure = generator.random((6, 2, 4))
    return Pose(positions, sure, SKELETON, ("a", "b"), 101, 201, 30.0)


def change(pose: Pose, **settings: object) -> Pose:
    wanted = dataclasses.replace(Change(), **settings)  # type: ignore[arg-type]
    return apply_change(pose, wanted, np.random.default_rng(0))


def test_no_change_changes_nothing() -> None:
    pose = build_pose()
    np.testing.assert_allclose(change(pose).positions, pose.positions, atol=1e-4)


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ({"mirror": True}, {"mirror": True}),
        ({"angle": 0.7}, {"angle": -0.7}),
        ({"scale": 1.25}, {"scale": 0.8}),
        ({"shift": (5.0, -7.0)}, {"shift": (-5.0, 7.0)}),
    ],
)
def test_every_change_can_be_undone(there: dict, back: dict) -> None:
    pose = build_pose()
    again = change(change(pose, **there), **back)
    np.testing.assert_allclose(again.positions, pose.positions, atol=1e-3)
    np.testing.assert_array_equal(again.confidence, pose.confidence)


def test_a_quarter_turn_is_clockwise_on_screen() -> None:
    positions = np.full((1, 1, 4, 2), [110.0, 50.0])  # 10 to the right of the middle (100, 50)
    pose = Pose(positions, np.ones((1, 1, 4)), SKELETON, ("a",), 101, 201, 30.0)
    turned = change(pose, angle=math.pi / 2)
    np.testing.assert_allclose(turned.positions[0, 0, 0], [100, 60], atol=1e-4)


def test_in_a_mirror_left_becomes_right_and_the_nose_stays_the_nose() -> None:
    pose = build_pose()
    mirrored = change(pose, mirror=True)
    flipped = pose.positions * [-1, 1] + [200, 0]
    np.testing.assert_allclose(mirrored.positions[:, :, 0], flipped[:, :, 0], atol=1e-4)
    np.testing.assert_allclose(mirrored.positions[:, :, 1], flipped[:, :, 2], atol=1e-4)
    assert mirrored.missing[3, 1, 1] and not mirrored.missing[3, 1, 2]


def test_handedness_survives_a_mirror() -> None:
    """The left ear is left of the nose, seen from the tail, before and after."""

    def side(pose: Pose) -> np.ndarray:
        nose, left, _, tail = np.moveaxis(pose.positions, 2, 0)
        ahead, aside = nose - tail, left - tail
        return np.sign(ahead[..., 0] * aside[..., 1] - ahead[..., 1] * aside[..., 0])

    body = np.array([[20.0, 0], [15, -5], [15, 5], [0, 0]]) + 50
    pose = Pose(body[None, None], np.ones((1, 1, 4)), SKELETON, ("a",), 101, 201, 30.0)
    np.testing.assert_array_equal(side(pose), side(change(pose, mirror=True, angle=1.0)))


def test_noise_is_as_large_as_asked_for_and_new_on_every_frame() -> None:
    positions = np.zeros((500, 2, 4, 2))
    pose = Pose(positions, np.ones((500, 2, 4)), SKELETON, ("a", "b"), 101, 201, 30.0)
    noisy = change(pose, noise=2.0).positions
    assert noisy.std() == pytest.approx(2.0, rel=0.05)
    assert not np.allclose(noisy[0], noisy[1])


def test_drawn_changes_stay_within_their_bounds_and_repeat_with_the_seed() -> None:
    drawn = [draw_change(np.random.default_rng(seed), shift=3.0) for seed in range(200)]
    assert 0.35 < np.mean([each.mirror for each in drawn]) < 0.65
    assert max(abs(each.angle) for each in drawn) <= math.pi
    assert all(0.9 <= each.scale <= 1.1 for each in drawn)
    assert max(abs(value) for each in drawn for value in each.shift) <= 3
    assert drawn[7] == draw_change(np.random.default_rng(7), shift=3.0)
    still = draw_change(np.random.default_rng(0), mirror=0, rotation_degrees=0, scale=0, noise=0)
    assert still == Change()


def test_animals_in_another_order_keep_their_own_points() -> None:
    pair = build_pose()
    pose = dataclasses.replace(
        pair,
        positions=np.concatenate([pair.positions, pair.positions[:, :1] + 5], axis=1),
        confidence=np.concatenate([pair.confidence, pair.confidence[:, :1] / 2], axis=1),
        individuals=("a", "b", "c"),
    )
    exchanged = change(pose, order=(1, 2, 0))
    np.testing.assert_allclose(exchanged.positions, pose.positions[:, [1, 2, 0]], atol=1e-4)
    np.testing.assert_array_equal(exchanged.confidence, pose.confidence[:, [1, 2, 0]])
    assert exchanged.individuals == pose.individuals


def test_every_order_is_drawn_as_often_and_none_where_none_is_wanted() -> None:
    drawn = [
        draw_change(np.random.default_rng(seed), exchange=1, animals=3).order for seed in range(600)
    ]
    counts = [drawn.count(order) for order in set(drawn)]
    assert len(counts) == 6 and min(counts) > 70
    assert draw_change(np.random.default_rng(0), animals=3).order == ()
