"""One way to resize: areas are averaged, nothing aliases, pads are grey."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.frames.resize import PADDING_GREY, resize_frame


def test_shrinking_averages_areas() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    means = frame.reshape(8, 4, 12, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize_frame(frame, 8, 12, "stretch") - means).max() <= 0.51


@pytest.mark.parametrize(("height", "width"), [(8, 96), (128, 12), (8, 48)])
def test_each_axis_gets_its_own_method(height: int, width: int) -> None:
    stripes = np.zeros((32, 48, 3), np.uint8)
    if height < 32:
        stripes[::2] = 200  # shrinking rows must average them
    else:
        stripes[:, ::2] = 200
    resized = resize_frame(stripes, height, width, "stretch")
    assert resized.shape == (height, width, 3)
    assert np.abs(resized.astype(int) - 100).max() <= 1


def test_growing_interpolates() -> None:
    ramp = np.broadcast_to(np.array([0, 100], np.uint8)[None, :, None], (2, 2, 3)).copy()
    row = resize_frame(ramp, 2, 8, "stretch")[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert 20 < row[3] < 50 < row[4] < 80


def test_the_right_size_is_left_alone() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    for fit in ("stretch", "pad"):
        np.testing.assert_array_equal(resize_frame(frame, 9, 11, fit), frame)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [((20, 40), slice(8, 24), slice(0, 32)), ((40, 20), slice(0, 32), slice(8, 24))],
)
def test_padding_keeps_the_aspect_ratio_and_centres(
    shape: tuple[int, int], rows: slice, columns: slice
) -> None:
    padded = resize_frame(np.full((*shape, 3), 250, np.uint8), 32, 32, "pad")
    inside = np.zeros((32, 32), bool)
    inside[rows, columns] = True
    assert (padded[inside] == 250).all()
    assert (padded[~inside] == PADDING_GREY).all()


def test_the_thinnest_frame_keeps_a_pixel() -> None:
    padded = resize_frame(np.full((1, 5000, 3), 250, np.uint8), 16, 16, "pad")
    assert (padded == 250).all(axis=(1, 2)).sum() == 1


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("seed", range(10))
def test_the_answer_has_the_size_asked_for(fit: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    height, width, wanted_height, wanted_width = generator.integers(1, 90, 4).tolist()
    frame = generator.integers(0, 256, (height, width, 3), np.uint8)
    resized = resize_frame(frame, wanted_height, wanted_width, fit)  # type: ignore[arg-type]
    assert resized.shape == (wanted_height, wanted_width, 3)
    assert resized.dtype == np.uint8
