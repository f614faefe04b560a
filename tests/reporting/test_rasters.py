"""Rasters show every bout, in the right color, at the right place; pictures are small data URIs."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from pixelethogram.reporting.rasters import (
    BAND,
    BLUE,
    GAP,
    MAX_COLUMNS,
    PALE,
    UNSCORED,
    VERMILION,
    draw_raster,
    frames_per_column,
    to_jpeg,
    to_png,
)


def decode(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.split(",", 1)[1])
    return cv2.cvtColor(
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )


def test_each_behavior_has_three_bands() -> None:
    labels = np.array([[1, 0], [0, -1], [0, 0]], np.int8)
    present = np.array([[False, False], [True, False], [False, True]])
    probabilities = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    picture = draw_raster(labels, present, probabilities)
    assert picture.shape == (2 * (3 * BAND + GAP), 3, 3)
    rows = [0, BAND, 2 * BAND]
    assert [tuple(each) for each in picture[rows[0]].tolist()] == [BLUE, PALE, PALE]
    assert [tuple(each) for each in picture[rows[1]].tolist()] == [PALE, VERMILION, PALE]
    assert picture[rows[2], :, 0].tolist() == [255, 0, 255]
    second = 3 * BAND + GAP
    assert [tuple(each) for each in picture[second].tolist()] == [PALE, UNSCORED, PALE]
    assert [tuple(each) for each in picture[second + BAND].tolist()] == [PALE, PALE, VERMILION]


def test_a_bout_of_one_frame_stays_visible_in_a_long_video() -> None:
    labels = np.zeros((100_000, 1), np.int8)
    labels[77_777] = 1
    picture = draw_raster(labels, labels == 1, labels.astype(float))
    assert picture.shape[1] <= MAX_COLUMNS
    column = 77_777 // frames_per_column(100_000)
    found = np.flatnonzero((picture[0] == BLUE).all(axis=1))
    assert found.tolist() == [column]
    assert picture[2 * BAND, column].tolist() == [0, 0, 0]


def test_pictures_come_back_and_are_small() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(generator.random((900, 4)) < 0.3, 60, axis=0).astype(np.int8)
    picture = draw_raster(None, labels == 1, labels.astype(float))
    uri = to_png(picture)
    np.testing.assert_array_equal(decode(uri), picture)
    assert len(uri) < 60_000
    photo = generator.integers(0, 255, (300, 400, 3), dtype=np.uint8)
    assert decode(to_jpeg(photo, 200)).shape == (150, 200, 3)
    assert decode(to_jpeg(photo, 800)).shape == (300, 400, 3)
