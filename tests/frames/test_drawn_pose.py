"""Drawn poses are frames like all others; what they show depends on the settings and the pose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pixelethogram.config import DrawingConfig
from pixelethogram.frames.drawn_pose import DrawnPose, fade, hash_drawing
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton


def make_pose(**changes: Any) -> Pose:
    """One animal that walks to the right, one pixel per frame."""
    shape = np.array([[10.0, 0], [0, -5], [0, 5], [-10, 0]])
    points = shape[None] + np.stack([30 + np.arange(20.0), np.full(20, 30)], axis=-1)[:, None]
    skeleton = Skeleton(("nose", "left", "right", "tail"), ((0, 1), (0, 2)), (0, 1, 3, 2), 0, 3)
    fields = {"positions": points[:, None], "confidence": np.ones((20, 1, 4))} | changes
    return Pose(**fields, skeleton=skeleton, individuals=("a",), height=64, width=96, fps=25.0)


def draw(pose: Pose, **settings: Any) -> np.ndarray:
    return np.stack(list(DrawnPose(pose, DrawingConfig(**settings), 64, 96).iterate()))


def missing(start: int, stop: int) -> Pose:
    positions = make_pose().positions.copy()
    positions[start:stop] = np.nan
    return make_pose(positions=positions)


def test_it_is_a_source_of_frames() -> None:
    with DrawnPose(make_pose(), DrawingConfig(), 64, 96) as frames:
        frames.scan()
        everything = np.stack(list(frames.iterate()))
        assert everything.shape == (20, 64, 96, 3)
        assert everything.dtype == np.uint8
        assert (frames.num_frames, frames.fps, frames.height, frames.width) == (20, 25.0, 64, 96)
        np.testing.assert_array_equal(frames.read([7, 0, 7]), everything[[7, 0, 7]])
        for outside in (-1, 20):
            with pytest.raises(IndexError, match="20 frames"):
                frames.read([outside])


def test_batches_show_the_same_frames() -> None:
    with DrawnPose(make_pose(), DrawingConfig(), 64, 96) as frames:
        batch = frames.read_batch([7, 0, 7], "cpu")
        assert (batch.shape, batch.dtype) == ((3, 3, 64, 96), torch.float32)
        levels = batch.permute(0, 2, 3, 1).numpy() * 255
        np.testing.assert_allclose(levels, frames.read([7, 0, 7]), atol=0.8)


def test_short_gaps_are_bridged_and_in_long_ones_nothing_is_drawn() -> None:
    whole, empty = draw(make_pose(), view="arena"), draw(missing(0, 20), view="arena")
    bridged = draw(missing(8, 13), view="arena")
    np.testing.assert_allclose(bridged, whole, atol=1)
    broken = draw(missing(8, 14), view="arena")
    np.testing.assert_array_equal(broken[8:14], empty[8:14])
    np.testing.assert_array_equal(broken[14:], whole[14:])


def test_unsure_points_fade_and_vanish() -> None:
    empty = draw(missing(0, 20), view="arena").astype(int)
    seen = [
        np.abs(draw(make_pose(confidence=np.full((20, 1, 4), each)), view="arena") - empty).sum()
        for each in (1.0, 0.9, 0.6, 0.4, 0.29)
    ]
    assert seen[0] == seen[1] > seen[2] > seen[3] > seen[4] == 0


def test_fade_is_a_ramp_or_a_step() -> None:
    confidence = np.array([0.2, 0.3, 0.6, 0.9, 1.0])
    np.testing.assert_allclose(fade(confidence, 0.3, 0.9), [0, 0, 0.5, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(fade(confidence, 0.6, 0.6), [0, 0, 1, 1, 1])


def test_in_ego_view_the_ground_moves_instead_of_the_animal() -> None:
    frames = draw(make_pose(), view="ego").astype(int)[3:-3]
    change = np.abs(np.diff(frames, axis=0)).max(axis=(0, 3))
    assert change[28:36, 36:60].max() <= 2, "the animal stands still in the middle"
    assert change.max() > 10, "the ground tells that it walks"


def test_other_settings_and_other_poses_have_other_names() -> None:
    names = [
        hash_drawing(DrawingConfig(**settings), sha256)
        for settings, sha256 in (
            ({}, "a"),
            ({}, "b"),
            ({"view": "ego"}, "a"),
            ({"min_confidence": 0.1}, "a"),
            ({"max_gap_frames": 0}, "a"),
        )
    ]
    assert len(set(names)) == 5
    assert hash_drawing(DrawingConfig(), "a") == names[0]
