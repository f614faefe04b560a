"""Frames nobody scored never count: one property over every metric of the package.

A metric is every public function of `MODULES`. One that is neither in `METRICS` nor in `PIECES`
fails the first test, so that a new metric is covered, or its absence is explained.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelethogram.ethogram import (
    agreement,
    bootstrap,
    bout_statistics,
    calibration,
    confusion,
    onsets,
    scores,
    segments,
    thresholds,
)

MODULES = (
    agreement,
    bootstrap,
    bout_statistics,
    calibration,
    confusion,
    onsets,
    scores,
    segments,
    thresholds,
)
NAMES = ("a", "b", "c")
Videos = Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True)
class World:
    """Labels and a prediction of three videos with three behaviors."""

    labels: Videos
    probabilities: Videos

    @property
    def present(self) -> list[np.ndarray]:
        return [video > 0.5 for video in self.probabilities]

    @property
    def scored(self) -> list[np.ndarray]:
        return [video >= 0 for video in self.labels]

    @property
    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels, probabilities and prediction of all frames, (N, K) each."""
        return tuple(map(np.concatenate, (self.labels, self.probabilities, self.present)))

    @property
    def rater(self) -> np.ndarray:
        """The prediction as another rater's labels, (N, K)."""
        return np.concatenate(self.present).astype(np.int8)


METRICS: dict[str, Callable[[World], Any]] = {
    "cohen_kappa": lambda world: agreement.cohen_kappa(world.joined[0], world.rater),
    "fleiss_kappa": lambda world: agreement.fleiss_kappa([world.joined[0], world.rater]),
    "find_agreed": lambda world: agreement.find_agreed([world.joined[0], world.rater]),
    "find_disputed": lambda world: agreement.find_disputed([world.joined[0], world.rater]),
    "measure_bouts": lambda world: bout_statistics.measure_bouts(
        world.present, world.scored, [30.0] * 3
    ),
    "compare_statistics": lambda world: bout_statistics.compare_statistics(
        world.labels, world.present, [30.0] * 3
    ),
    "count_transitions": lambda world: bout_statistics.count_transitions(
        world.present, world.scored
    ),
    "compare_transitions": lambda world: bout_statistics.compare_transitions(
        world.labels, world.present
    ),
    "reliability": lambda world: calibration.reliability(*world.joined[:2]),
    "calibration_errors": lambda world: calibration.calibration_errors(*world.joined[:2]),
    "fit_calibration": lambda world: calibration.fit_calibration(*world.joined[:2]),
    "count_confusion": lambda world: confusion.count_confusion(*world.joined[::2]),
    "count_co_occurrence": lambda world: confusion.count_co_occurrence(*world.joined[::2]),
    "boundary_errors": lambda world: onsets.boundary_errors(world.labels, world.present),
    "score": lambda world: scores.score(*world.joined, NAMES),
    "chance_scores": lambda world: scores.chance_scores(world.labels, world.present, repetitions=2),
    "count_hits": lambda world: scores.count_hits(world.labels, world.present),
    "count_segments": lambda world: segments.count_segments(world.labels, world.present, 0.25),
    "segmental_f1": lambda world: segments.segmental_f1(world.labels, world.present),
    "edit_scores": lambda world: segments.edit_scores(world.labels, world.present),
    "exclusive_edit_scores": lambda world: segments.exclusive_edit_scores(
        world.labels, world.present
    ),
    "cut_bouts": lambda world: [
        list(segments.cut_bouts(labels[:, 0], present[:, 0]))
        for labels, present in zip(world.labels, world.present, strict=True)
    ],
    "choose_thresholds_across": lambda world: thresholds.choose_thresholds_across(
        world.probabilities, world.labels
    ),
    "choose_thresholds": lambda world: thresholds.choose_thresholds(*world.joined[1::-1]),
}
PIECES = {
    "hide_outside": "makes masks",
    "draw_weights": "sees numbers of videos only",
    "bootstrap_sums": "sees numbers that a metric gave",
    "bootstrap_mean": "sees numbers that a metric gave",
    "bootstrap_f1": "sees numbers that a metric gave",
    "pearson_r": "sees numbers that a metric gave",
    "transition_probabilities": "sees numbers that a metric gave",
    "to_states": "takes a prediction without labels",
    "match_bouts": "takes bouts",
    "edit_distance": "takes lists",
    "apply_thresholds": "takes a prediction without labels",
    "apply_exclusive": "takes a prediction without labels",
}


def flatten(result: Any) -> list[np.ndarray]:
    """All numbers of a result, in order."""
    if dataclasses.is_dataclass(result):
        return flatten([getattr(result, field.name) for field in dataclasses.fields(result)])
    if isinstance(result, dict):
        return flatten(list(result.values()))
    if isinstance(result, list | tuple):
        return [array for each in result for array in flatten(each)]
    return [np.asarray(result)]


def test_every_public_function_is_in_a_table() -> None:
    found = {
        name
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert found == set(METRICS) | set(PIECES)


@pytest.mark.parametrize("name", METRICS)
@given(seed=st.integers(0, 10_000), whole_frames=st.booleans())
@settings(max_examples=15, deadline=None)
def test_masked_frames_never_count(name: str, seed: int, whole_frames: bool) -> None:
    generator = np.random.default_rng(seed)
    labels, first, other = [], [], []
    for num_frames in (40, 1, 70):
        runs = generator.choice([-1, 0, 1], (num_frames, 3), p=[0.2, 0.4, 0.4])
        video = np.repeat(runs, 3, axis=0).astype(np.int8)
        if whole_frames:
            video[(video < 0).any(axis=1)] = -1
        right = np.repeat(generator.random((num_frames, 3)), 3, axis=0)
        labels.append(video)
        first.append(right)
        other.append(np.where(video < 0, generator.random(video.shape), right))
    results = [
        flatten(METRICS[name](World(labels, probabilities))) for probabilities in (first, other)
    ]
    for one, another in zip(*results, strict=True):
        np.testing.assert_array_equal(one, another)
    assert any(array.size for array in results[0])
