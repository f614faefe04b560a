"""Pooled statistics equal those of all frames together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pixelethogram.frames.statistics import MIN_STD, STRIDE, measure_colors, pool_statistics


@pytest.mark.parametrize("seed", range(20))
def test_pooling_equals_measuring_everything_at_once(seed: int) -> None:
    generator = np.random.default_rng(seed)
    parts = [
        generator.integers(low, low + 60, (int(generator.integers(1, 9)), 5, 7, 3), np.uint8)
        for low in generator.integers(0, 190, 5)
    ]
    pooled = pool_statistics([measure_colors(part) for part in parts])
    values = np.concatenate(parts).reshape(-1, 3) / 255.0
    assert pooled.num_frames == sum(len(part) for part in parts)
    np.testing.assert_allclose(pooled.mean, values.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(pooled.std, values.std(axis=0), atol=1e-12)


def test_two_still_videos_differ_from_each_other() -> None:
    black, white = np.zeros((3, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    pooled = pool_statistics([measure_colors(black), measure_colors(white)])
    assert pooled.mean == pytest.approx((0.25, 0.25, 0.25), abs=1e-9)
    assert pooled.std == pytest.approx((0.75**0.5 / 2,) * 3, abs=1e-5)  # averaging gives 0


def test_a_channel_that_never_changes_keeps_a_small_deviation() -> None:
    assert measure_colors(np.full((2, 4, 4, 3), 99, np.uint8)).std == (MIN_STD,) * 3


def test_no_frames_have_no_statistics() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        pool_statistics([])


def test_per_video_values_equal_the_reference(golden: Path) -> None:
    reference = np.load(golden / "normalization_stats.npz")
    measured = [measure_colors(reference[f"video{video}"][::STRIDE]) for video in range(3)]
    for found, row in zip(measured, reference["per_video_N_mean3_std3"], strict=True):
        assert found.num_frames == row[0]
        np.testing.assert_allclose([*found.mean, *found.std], row[1:], atol=1e-6)
    merged = reference["merged_after_each_N_mean3_std3"][-1]
    pooled = pool_statistics(measured)
    assert pooled.num_frames == merged[0]
    np.testing.assert_allclose(pooled.mean, merged[1:4], atol=1e-6)
    assert (np.array(pooled.std) > merged[4:]).all()  # the reference averages deviations
