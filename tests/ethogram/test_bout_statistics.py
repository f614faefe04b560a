"""Times, counts and rates by hand; correlations against numpy; transitions of a known chain."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.ethogram.bout_statistics import (
    STATISTICS,
    compare_statistics,
    compare_transitions,
    count_transitions,
    measure_bouts,
    pearson_r,
    transition_probabilities,
)


def test_statistics_by_hand() -> None:
    present = np.zeros((600, 2), dtype=bool)
    present[0:60, 0] = present[100:130, 0] = present[200:230, 0] = True
    found = measure_bouts([present], [np.ones((600, 2), dtype=bool)], [10.0])
    assert found.time_fraction[0, 0] == pytest.approx(0.2)
    assert found.num_bouts[0].tolist() == [3, 0]
    assert found.mean_seconds[0, 0] == pytest.approx(4)
    assert found.median_seconds[0, 0] == pytest.approx(3)
    assert found.bouts_per_minute[0, 0] == pytest.approx(3)
    assert np.isnan(found.mean_seconds[0, 1])


def test_only_scored_frames_count() -> None:
    present = np.ones((100, 1), dtype=bool)
    scored = np.zeros((100, 1), dtype=bool)
    scored[:20] = scored[50:70] = True
    found = measure_bouts([present, present], [scored, ~scored & scored], [10.0, 10.0])
    assert found.time_fraction[:, 0].tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    assert found.num_bouts[0, 0] == 2
    assert found.mean_seconds[0, 0] == pytest.approx(2)
    assert found.bouts_per_minute[0, 0] == pytest.approx(30)


def bouts_of(lengths: list[int], fraction: float) -> np.ndarray:
    """(1000, 1) int8: one bout per 100 frames with these lengths, shortened by a fraction."""
    values = np.zeros((1000, 1), dtype=np.int8)
    for number, length in enumerate(lengths):
        values[100 * number : 100 * number + int(length * fraction)] = 1
    return values


def test_half_of_the_time_in_every_video_is_a_perfect_correlation_with_a_difference() -> None:
    lengths = [[20, 40], [60, 80], [10, 50]]
    labels = [bouts_of(each, 1.0) for each in lengths]
    present = [bouts_of(each, 0.5) == 1 for each in lengths]
    found = compare_statistics(labels, present, [25.0] * 3)
    row = found.statistics.index("time_fraction")
    assert found.statistics == STATISTICS
    assert found.pearson_r[row, 0] == pytest.approx(1)
    assert found.mean_absolute_difference[row, 0] == pytest.approx(np.mean([30, 70, 30]) / 1000)
    assert found.label_mean[row, 0] == pytest.approx(2 * found.predicted_mean[row, 0])
    row = found.statistics.index("num_bouts")
    assert np.isnan(found.pearson_r[row, 0])
    assert found.mean_absolute_difference[row, 0] == 0
    assert found.num_videos[row, 0] == 3


def test_pearson_r_equals_numpy_and_needs_three_videos_with_spread() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 12))
    assert pearson_r(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-12)
    assert np.isnan(pearson_r(first[:2], second[:2]))
    assert np.isnan(pearson_r(np.ones(5), second[:5]))


def to_present(states: list[int], num_behaviors: int) -> np.ndarray:
    return np.array(states)[:, None] == np.arange(num_behaviors)


def test_transitions_of_a_known_chain() -> None:
    states = [0, 0, 1, 1, 2, 0, 1, 2, 2]
    present = to_present(states, 2)
    counts = count_transitions([present], [np.ones_like(present)])
    assert counts.tolist() == [[0, 2, 0], [0, 0, 2], [1, 0, 0]]
    assert transition_probabilities(counts).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    halves = [present[:4], present[4:]]  # the change between the two, 1 to none, is lost
    counts = count_transitions(halves, [np.ones_like(each) for each in halves])
    assert counts.tolist() == [[0, 2, 0], [0, 0, 1], [1, 0, 0]]


def test_nothing_follows_across_frames_that_are_not_scored() -> None:
    present = to_present([0, 0, 1, 1], 2)
    scored = np.ones_like(present)
    scored[2, 1] = False
    assert count_transitions([present], [scored]).sum() == 0


def test_transitions_of_the_same_chain_are_alike_and_reversed_ones_are_not() -> None:
    forward = to_present([0, 0, 1, 1, 2, 2] * 20, 3)
    labels = forward.astype(np.int8)
    assert compare_transitions([labels], [forward]) == pytest.approx(1)
    assert compare_transitions([labels], [forward[::-1]]) < 0
