"""Recordings at their final size; keypoints come along where a flow is made of them."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from pixelethogram.config import DrawingConfig, FramesConfig
from pixelethogram.errors import InputError
from pixelethogram.features.pictures import Pictures, open_resized
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.pose.flow import PoseLayout
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SETTINGS = FramesConfig(height=32, width=48)


def draw(num_animals: int) -> DrawnPose:
    positions = np.random.default_rng(0).uniform(0, 30, (6, num_animals, 3, 2))
    names = tuple("abc"[:num_animals])
    skeleton = Skeleton(("nose", "neck", "tail"), ((0, 1), (1, 2)))
    pose = Pose(positions, np.ones(positions.shape[:3]), skeleton, names, 32, 48, 25.0)
    return DrawnPose(pose, DrawingConfig(), SETTINGS.height, SETTINGS.width)


def open_one(source: Any, layout: PoseLayout | None) -> Pictures:
    (opening,) = open_resized([lambda: contextlib.nullcontext(source)], SETTINGS, layout)
    with opening as pictures:
        return pictures


def test_frames_come_at_the_size_of_the_settings(array_source: Any) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3)).astype(np.uint8)
    pictures = open_one(array_source(frames), None)
    assert [each.shape for each in pictures.iterate()] == [(32, 48, 3)] * 4
    assert (pictures.height, pictures.width, pictures.poses.size) == (20, 30, 0)


def test_rows_of_keypoints_come_only_where_they_are_needed() -> None:
    drawn = draw(2)
    np.testing.assert_array_equal(open_one(drawn, drawn.layout).poses, drawn.rows)
    assert open_one(drawn, None).poses.shape == (0, 0)


def test_pixels_are_refused_where_keypoints_are_needed(array_source: Any) -> None:
    pictures = open_one(array_source(np.zeros((2, 32, 48, 3), np.uint8)), draw(2).layout)
    with pytest.raises(InputError, match="the recording has pixels"):
        _ = pictures.poses


def test_another_number_of_animals_is_refused() -> None:
    with pytest.raises(InputError, match="3 animals"):
        _ = open_one(draw(3), draw(2).layout).poses
