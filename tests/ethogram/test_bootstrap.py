"""Intervals: as wide as theory says, without width for equal videos, covering the truth."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.ethogram.bootstrap import (
    bootstrap_f1,
    bootstrap_mean,
    bootstrap_sums,
    draw_weights,
)


def test_every_draw_has_as_many_videos_as_there_are() -> None:
    weights = draw_weights(7, 50)
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.std(axis=0).min() > 0
    np.testing.assert_array_equal(weights, draw_weights(7, 50))


def test_equal_videos_have_no_width() -> None:
    each, mean = bootstrap_f1(*(np.full((6, 2), number) for number in (3, 4, 5)))
    np.testing.assert_allclose(each, 6 / 9)
    np.testing.assert_allclose(mean, 6 / 9)


def test_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(5, 2, (400, 1))
    low, high = bootstrap_mean(values, 4000).ravel()
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_interval_holds_the_truth_in_most_worlds() -> None:
    generator = np.random.default_rng(0)
    worlds = generator.exponential(1.0, (300, 40))
    ends = np.array([bootstrap_mean(world, 300) for world in worlds])
    held = (ends[:, 0] <= 1) & (ends[:, 1] >= 1)
    assert 0.88 < held.mean() < 0.98


def test_interval_of_f1_equals_drawing_frames_of_videos_anew() -> None:
    generator = np.random.default_rng(0)
    counts = generator.integers(1, 30, (5, 3, 2))
    counts[:, 0] = np.minimum(counts[:, 0], counts[:, 1:].min(axis=1))
    each, _ = bootstrap_f1(*np.moveaxis(counts, 1, 0), repetitions=200, seed=3)
    values = []
    for draw in draw_weights(5, 200, seed=3):
        hits, predicted, positives = np.repeat(counts, draw, axis=0).sum(axis=0)
        values.append(2 * hits / (predicted + positives))
    np.testing.assert_allclose(each, np.percentile(values, [2.5, 97.5], axis=0))


def test_videos_without_a_value_are_left_out() -> None:
    values = np.array([[1.0, np.nan], [1.0, np.nan], [np.nan, np.nan], [1.0, np.nan]])
    ends = bootstrap_mean(values)
    np.testing.assert_array_equal(ends[:, 0], 1)
    assert np.isnan(ends[:, 1]).all()


def test_two_videos_are_too_few() -> None:
    assert np.isnan(bootstrap_sums(np.ones((2, 3)), lambda sums: sums)).all()
