"""Coverage: areas and centroids are those of the shapes, wherever between pixels they lie."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelethogram.pose.coverage import (
    cover_border,
    cover_capsule,
    cover_disc,
    cover_ground,
    cover_polygon,
)

X, Y = np.arange(64, dtype=np.float32)[None], np.arange(64, dtype=np.float32)[:, None]
place = st.floats(24, 40, width=32)


def centroid(cover: np.ndarray) -> tuple[float, float]:
    return float((cover * X).sum() / cover.sum()), float((cover * Y).sum() / cover.sum())


@settings(deadline=None)
@given(place, place, st.sampled_from([1.5, 2.0, 3.0, 5.0]))
def test_the_centroid_of_a_disc_is_its_centre(x: float, y: float, radius: float) -> None:
    found = centroid(cover_disc(X, Y, (x, y), radius))
    assert np.hypot(found[0] - x, found[1] - y) <= 0.022


@settings(deadline=None)
@given(place, place, place, place)
def test_a_capsule_has_its_area_and_its_middle(x: float, y: float, u: float, v: float) -> None:
    cover = cover_capsule(X, Y, (x, y), (u, v), 2.0)
    area = np.pi * 4 + 4 * np.hypot(u - x, v - y)
    assert cover.sum() == pytest.approx(area, rel=0.05)
    np.testing.assert_allclose(centroid(cover), [(x + u) / 2, (y + v) / 2], atol=0.06)


@settings(deadline=None)
@given(place, place, st.floats(0, 6))
def test_a_polygon_has_its_area_and_centroid_however_it_is_turned(
    x: float, y: float, angle: float
) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (np.array([[-12, -5], [12, -5], [12, 5], [-12, 5]]) @ turn.T + (x, y)).astype("f4")
    for order in (corners, corners[::-1]):
        cover = cover_polygon(X, Y, [tuple(corner) for corner in order])
        assert cover.sum() == pytest.approx(240, rel=0.02)
        np.testing.assert_allclose(centroid(cover), [x, y], atol=0.03)


@settings(deadline=None)
@given(place, place, st.floats(0, 6))
def test_a_tenth_of_a_pixel_changes_no_pixel_by_more_than_it(
    x: float, y: float, angle: float
) -> None:
    step = (0.1 * np.cos(angle), 0.1 * np.sin(angle))
    before, after = (cover_disc(X, Y, (x + s * step[0], y + s * step[1]), 3.0) for s in (0, 1))
    change = np.abs(after - before)
    assert 0.05 < change.max() <= 0.1001


def test_ground_and_border_lie_on_the_recording() -> None:
    border = cover_border(X, Y, width=40, height=30, scale=1.0)
    assert border[15, 39] == border[15, 40] == pytest.approx(0.5)
    assert border[15, 20] == border[45, 20] == border[15, 42] == 0
    dots = cover_ground(X + 0 * Y, Y + 0 * X, 40, 30, 1.0, spacing=10.0, radius=1.5)
    rows, columns = np.nonzero(dots == 1)
    assert set(rows.tolist()) >= {0, 10, 20}
    assert set(columns.tolist()) >= {0, 10, 20, 30}
    assert dots[:, 36:].max() == 0
    assert dots[25:].max() == 0


def test_tensors_are_covered_like_arrays() -> None:
    corners = [(10.3, 12.1), (40.2, 18.7), (30.9, 50.5)]
    grid = (torch.from_numpy(X), torch.from_numpy(Y))
    tensors = [tuple(torch.tensor(value) for value in corner) for corner in corners]
    expected = cover_polygon(X, Y, corners)
    np.testing.assert_allclose(cover_polygon(*grid, tensors).numpy(), expected, atol=1e-5)
