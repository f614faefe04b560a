"""Clips of drawn poses: unchanged they are the recording's frames, changed all goes along."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from pixelethogram.config import DrawingConfig, PoseAugmentConfig
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.frames.pose_clips import PoseClips, sample_colors
from pixelethogram.frames.statistics import measure_colors
from pixelethogram.pose.augment import Change, apply_change
from pixelethogram.pose.flow import PoseFlow
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SIZE = (64, 96)
FRAMES = 30
LABELS = [np.arange(2 * FRAMES).reshape(FRAMES, 2).astype(np.int8) % 2]
NO_CHANGE = {"mirror": 0, "rotation_degrees": 0, "scale": 0, "shift": 0, "noise": 0}


def make_pose(num_frames: int = FRAMES) -> Pose:
    """Two animals that walk in circles, with noses that swing."""
    time = np.arange(num_frames)
    shape = np.array([[10.0, 0], [0, -5], [0, 5], [-10, 0]])
    points = np.zeros((num_frames, 2, 4, 2))
    for animal, (x, y, speed) in enumerate([(35.0, 30.0, 0.1), (65.0, 30.0, -0.07)]):
        angle = speed * time
        turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1)
        body = shape + np.sin(time / 3)[:, None, None] * np.array(
            [[0.0, 2], [0, 0], [0, 0], [0, 0]]
        )
        centre = np.stack([x + 8 * np.sin(angle), y + 8 * np.cos(angle)], axis=-1)
        points[:, animal] = np.einsum("tij,tpj->tpi", turn.reshape(-1, 2, 2), body)
        points[:, animal] += centre[:, None]
    skeleton = Skeleton(("nose", "left", "right", "tail"), ((0, 1), (0, 2)), (0, 1, 3, 2), 0, 3)
    return Pose(points, np.ones(points.shape[:3]), skeleton, ("a", "b"), *SIZE, 25.0)


def draw(pose: Pose, **settings: Any) -> DrawnPose:
    return DrawnPose(pose, DrawingConfig(body_pixels=20.0, **settings), *SIZE)


def build(augment: dict[str, Any] | None = None, **options: Any) -> PoseClips:
    changes = None if augment is None else PoseAugmentConfig(**augment)
    samples = [(0, frame) for frame in range(FRAMES)]
    return PoseClips([draw(make_pose())], samples, 5, LABELS, augment=changes, **options)


@pytest.mark.parametrize("augment", [None, NO_CHANGE])
def test_an_unchanged_clip_is_the_recording(augment: dict[str, Any] | None) -> None:
    recording = draw(make_pose())
    clips = build(augment, spacing=2)
    for frame, around in ((0, [0, 0, 0, 2, 4]), (9, [5, 7, 9, 11, 13]), (29, [25, 27, 29, 29, 29])):
        item = clips[frame]
        np.testing.assert_array_equal(item["clip"], recording.read(around))
        np.testing.assert_array_equal(item["pose"], recording.rows[around])
        np.testing.assert_array_equal(item["labels"], LABELS[0][frame])


def test_only_the_frame_itself_is_drawn_where_no_other_is_seen() -> None:
    clips = build()
    item = clips.with_length(1)[7]
    np.testing.assert_array_equal(item["clip"], clips[7]["clip"][2:3])
    np.testing.assert_array_equal(item["pose"], clips[7]["pose"])
    assert len(clips[7]["clip"]) == 5


def test_without_rows_there_are_none() -> None:
    assert set(build(with_rows=False)[3]) == {"clip", "labels"}


def test_every_draw_is_another_and_the_seed_brings_it_back() -> None:
    clips = build({})
    first, second = clips[7], clips[7]
    assert not torch.equal(first["clip"], second["clip"])
    assert not torch.equal(first["pose"], second["pose"])
    torch.manual_seed(0)
    again = pickle.loads(pickle.dumps(clips))[7]
    assert torch.equal(first["clip"], again["clip"])


@pytest.mark.parametrize("view", ["arena", "dyad", "ego", "composite"])
@pytest.mark.parametrize(
    "change",
    [
        Change(mirror=True),
        Change(angle=0.7),
        Change(shift=(4.0, -3.0)),
        Change(mirror=True, angle=-0.4, shift=(1.0, 2.0)),
    ],
    ids=["mirror", "angle", "shift", "all"],
)
def test_a_changed_clip_is_drawn_as_the_changed_recording_would_be(
    view: Any, change: Change
) -> None:
    """Also where the view follows an animal, whose place is found anew in the changed recording."""
    pose, random = make_pose(), np.random.default_rng(0)
    changed = draw(apply_change(pose, change, random), view=view)
    taken = draw(pose, view=view).take(np.arange(10, 15), change, random)
    difference = np.abs(taken.read(range(5)).astype(int) - changed.read(range(10, 15)))
    assert difference.max() <= 2
    np.testing.assert_allclose(taken.rows, changed.rows[10:15], atol=2e-2)


@pytest.mark.parametrize("view", ["arena", "dyad", "composite"])
@pytest.mark.parametrize("change", [Change(order=(1, 2, 0)), Change(angle=0.7, order=(1, 2, 0))])
def test_exchanged_animals_are_drawn_as_if_they_came_in_that_order(
    view: Any, change: Change
) -> None:
    """Three animals: the order is not its own inverse."""
    pose, random = make_pose(), np.random.default_rng(0)
    third = pose.positions[:, :1] * [0.8, 1] + [8, 4]
    pose = dataclasses.replace(
        pose,
        positions=np.concatenate([pose.positions, third], axis=1),
        confidence=np.ones((FRAMES, 3, 4)),
        individuals=("a", "b", "c"),
    )
    changed = draw(apply_change(pose, change, random), view=view)
    taken = draw(pose, view=view).take(np.arange(10, 15), change, random)
    pictures = taken.read(range(5)).astype(int)
    assert np.abs(pictures - changed.read(range(10, 15))).max() <= 2
    assert np.abs(pictures - draw(pose, view=view).read(range(10, 15))).max() > 50
    np.testing.assert_allclose(taken.rows, changed.rows[10:15], atol=2e-2)


def test_an_animal_that_no_panel_follows_cannot_come_in() -> None:
    recording = draw(make_pose(), view="ego")
    with pytest.raises(ValueError, match="no panel follows animal 1"):
        recording.take(np.arange(3), Change(order=(1, 0)), np.random.default_rng(0))


def test_animals_of_training_clips_change_places_where_that_is_wanted() -> None:
    """Half of the clips of two animals in random order begin with the second."""
    still = build(NO_CHANGE)
    mixed = build({**NO_CHANGE, "exchange": 1})
    torch.manual_seed(0)
    same = [torch.equal(mixed[7]["clip"], still[7]["clip"]) for _ in range(40)]
    assert 10 < sum(same) < 30


def test_a_larger_animal_is_larger_in_a_view_that_follows_it() -> None:
    """Body lengths are those of the recording, so that size is something to be robust against."""
    recording, frames = draw(make_pose(), view="ego"), np.arange(10, 15)
    generator = np.random.default_rng(0)
    plain = recording.take(frames, Change(), generator)
    large = recording.take(frames, Change(scale=1.2), generator)
    flow = PoseFlow(recording.layout)
    areas = [
        (flow(torch.from_numpy(each.rows)[None])[0] != 0).any(dim=1).float().mean()
        for each in (plain, large)
    ]
    assert 1.1 < areas[1] / areas[0] < 1.44


def test_noise_is_drawn_once_for_a_frame_that_repeats() -> None:
    taken = draw(make_pose()).take(
        np.array([0, 0, 0, 1, 2]), Change(noise=2.0), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(taken.rows[0], taken.rows[2])
    assert not np.array_equal(taken.rows[2, :16], draw(make_pose()).rows[0, :16])


def test_colors_are_those_of_the_drawn_frames() -> None:
    recording = draw(make_pose())
    found = sample_colors([recording, recording])
    expected = measure_colors(recording.read([0, 10, 20]))
    assert found.num_frames == 6
    np.testing.assert_allclose(found.mean, expected.mean)
    long = draw(make_pose(1200))
    assert sample_colors([long]).num_frames == 50
    assert dataclasses.replace(found, num_frames=3) == dataclasses.replace(expected, num_frames=3)
