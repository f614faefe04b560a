"""The decision rule: thresholds, at most one behavior in exclusive projects, bout lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from pixelethogram.ethogram.bouts import drop_short_bouts
from pixelethogram.ethogram.calibration import calibration_errors
from pixelethogram.ethogram.decision import Decision, choose_decision
from pixelethogram.ethogram.thresholds import apply_thresholds, choose_thresholds_across

BEHAVIORS = ("lick", "à gauche")


def rule(
    *, min_bout_frames: tuple[int, ...] = (0, 0), exclusive: bool = False, always_one: bool = False
) -> Decision:
    return Decision(
        BEHAVIORS, np.array([0.4, 0.6]), np.array(min_bout_frames), exclusive, always_one
    )


def random_decision(generator: np.random.Generator, *, always_one: bool) -> Decision:
    thresholds = generator.uniform(0.05, 0.9, 3)
    return Decision(("a", "b", "c"), thresholds, generator.integers(0, 6, 3), True, always_one)


def choose(
    probabilities: list[list[float]], labels: list[list[int]], train: list[list[int]]
) -> Decision:
    return choose_decision(
        np.array(probabilities),
        np.array(labels, dtype=np.int8),
        [np.array(train, dtype=np.int8)],
        BEHAVIORS,
        exclusive=True,
        threshold_floor=0.01,
        bout_percentile=1.0,
    )


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_rule_survives_the_results_file(exclusive: bool) -> None:
    decision = rule(min_bout_frames=(3, 7), exclusive=exclusive, always_one=exclusive)
    text = yaml.safe_dump(decision.to_dict(), allow_unicode=True)
    found = Decision.from_dict(yaml.safe_load(text))
    assert found.behaviors == decision.behaviors
    np.testing.assert_array_equal(found.thresholds, decision.thresholds)
    np.testing.assert_array_equal(found.min_bout_frames, decision.min_bout_frames)
    assert (found.exclusive, found.always_one) == (exclusive, exclusive)


def test_behaviors_without_a_usable_threshold_survive_the_results_file() -> None:
    decision = choose([[0.9, 0.1], [0.1, 0.1]], [[1, 0], [0, 0]], [[1, 0], [0, 0]])
    assert decision.unusable_behaviors == ("à gauche",)
    text = yaml.safe_dump(decision.to_dict(), allow_unicode=True)
    assert Decision.from_dict(yaml.safe_load(text)).unusable_behaviors == ("à gauche",)


def test_rules_of_runs_that_did_not_keep_what_is_usable_can_be_read() -> None:
    values = choose([[0.9, 0.1], [0.1, 0.1]], [[1, 0], [0, 0]], [[1, 0], [0, 0]]).to_dict()
    del values["usable"]
    assert Decision.from_dict(values).unusable_behaviors == ()


def test_each_behavior_has_its_own_threshold() -> None:
    present = rule().apply(np.array([[0.5, 0.5], [0.3, 0.7], [0.5, 0.7], [0.4, 0.6]]))
    assert present.tolist() == [[True, False], [False, True], [True, True], [False, False]]


def test_short_bouts_go_and_short_gaps_are_filled() -> None:
    lick = np.array([0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0], dtype=float)
    present = rule(min_bout_frames=(1, 1)).apply(np.column_stack([lick, np.zeros(16)]))
    assert np.flatnonzero(present[:, 0]).tolist() == list(range(7, 14))


@pytest.mark.parametrize("seed", range(20))
def test_a_project_of_several_at_once_is_thresholds_then_bouts(seed: int) -> None:
    probabilities = np.random.default_rng(seed).random((80, 2))
    decision = rule(min_bout_frames=(2, 1))
    wanted = drop_short_bouts(
        apply_thresholds(probabilities, decision.thresholds), decision.min_bout_frames
    )
    np.testing.assert_array_equal(decision.apply(probabilities), wanted)


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("always_one", [False, True])
def test_an_exclusive_project_has_at_most_one_behavior_per_frame(
    seed: int, always_one: bool
) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(3) / 3, size=int(generator.integers(1, 120)))
    present = random_decision(generator, always_one=always_one).apply(probabilities)
    assert present.shape == probabilities.shape
    per_frame = present.sum(axis=1)
    assert per_frame.max() <= 1
    if always_one:
        assert per_frame.min() == 1


def test_a_gap_filled_over_another_behavior_leaves_the_one_further_above_its_threshold() -> None:
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.3, 0.7]] + [[0.9, 0.1]] * 4)
    decision = rule(min_bout_frames=(1, 0), exclusive=True)
    present = decision.apply(probabilities)
    assert present[4].tolist() == [False, True]
    assert present[:4, 0].all() and present[5:, 0].all()


def test_a_dropped_bout_takes_the_behavior_around_it_where_one_is_always_present() -> None:
    probabilities = np.array([[0.9, 0.1]] * 8 + [[0.1, 0.9]] * 6)
    probabilities[3:5] = [0.1, 0.9]
    decision = rule(min_bout_frames=(0, 2), exclusive=True, always_one=True)
    assert decision.apply(probabilities)[:, 0].tolist() == [True] * 8 + [False] * 6
    sometimes_none = rule(min_bout_frames=(0, 2), exclusive=True)
    assert not sometimes_none.apply(probabilities)[3:5].any()


def test_none_wins_where_no_threshold_is_exceeded_unless_one_is_always_present() -> None:
    probabilities = np.array([[0.35, 0.1]])
    assert not rule(exclusive=True).apply(probabilities).any()
    assert rule(exclusive=True, always_one=True).apply(probabilities).tolist() == [[True, False]]


def test_always_one_is_learned_from_the_scored_training_frames() -> None:
    probabilities, labels = [[0.9, 0.1], [0.1, 0.9]], [[1, 0], [0, 1]]
    assert choose(probabilities, labels, [[1, 0], [0, 1], [-1, -1]]).always_one
    assert not choose(probabilities, labels, [[1, 0], [0, 1], [0, 0]]).always_one
    assert not choose(probabilities, labels, [[1, -1], [-1, 1]]).always_one  # nothing says so


def test_thresholds_come_from_validation_and_bout_lengths_from_training() -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    labels = np.array([0, 0, 0, 1, 1, -1], dtype=np.int8)
    train = np.repeat([0, 1, 0, 1, 0], [5, 4, 5, 4, 5]).astype(np.int8)
    decision = choose_decision(
        probabilities[:, None],
        labels[:, None],
        [train[:, None]],
        ("lick",),
        exclusive=False,
        threshold_floor=0.01,
        bout_percentile=1.0,
    )
    assert decision.thresholds.tolist() == [0.5]
    assert decision.min_bout_frames.tolist() == [3]
    assert not decision.always_one


def test_the_floor_keeps_thresholds_up() -> None:
    decision = choose_decision(
        np.array([[0.001], [0.0]]),
        np.array([[1], [0]], dtype=np.int8),
        [np.array([[1], [0]], dtype=np.int8)],
        ("lick",),
        exclusive=False,
        threshold_floor=0.2,
        bout_percentile=1.0,
    )
    assert decision.thresholds.tolist() == [0.2]


def test_perfect_probabilities_keep_every_bout() -> None:
    labels = np.zeros((60, 2), np.int8)
    labels[np.arange(60) // 5 % 2 == 1, 0] = 1  # bouts and gaps of five frames
    labels[20:23, 1] = labels[40:50, 1] = 1
    probabilities = np.where(labels == 1, 0.9, 0.1)
    found = choose_decision(
        probabilities,
        labels,
        [labels],
        BEHAVIORS,
        exclusive=False,
        threshold_floor=0.01,
        bout_percentile=1.0,
    )
    np.testing.assert_array_equal(found.apply(probabilities), labels == 1)


# calibration and thresholds across videos


def draw_validation() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (2000, 1) whose odds are four times too high, and labels."""
    generator = np.random.default_rng(0)
    honest = generator.random((2000, 1))
    labels = (generator.random((2000, 1)) < honest).astype(np.int8)
    return 4 * honest / (1 + 3 * honest), labels


def choose_for(calibration: Any, thresholds: Any = "exact", lengths: Any = ()) -> Decision:
    probabilities, labels = draw_validation()
    return choose_decision(
        probabilities,
        labels,
        [labels],
        ["lick"],
        exclusive=False,
        threshold_floor=0.01,
        bout_percentile=0.0,
        thresholds=thresholds,
        calibration=calibration,
        video_lengths=lengths,
    )


def test_calibration_changes_probabilities_and_not_the_ethogram() -> None:
    probabilities, labels = draw_validation()
    plain, cured = choose_for("none"), choose_for("platt")
    assert plain.calibrate(probabilities) is probabilities
    before, after = (
        calibration_errors(labels, each.calibrate(probabilities)).item() for each in (plain, cured)
    )
    assert after < 0.03 < before
    np.testing.assert_array_equal(plain.apply(probabilities), cured.apply(probabilities))
    text = yaml.safe_dump(cured.to_dict())
    found = Decision.from_dict(yaml.safe_load(text))
    np.testing.assert_array_equal(found.apply(probabilities), cured.apply(probabilities))
    np.testing.assert_array_equal(found.calibrate(probabilities), cured.calibrate(probabilities))
    assert found.plateau is not None
    assert found.plateau.shape == (1, 2)


def test_thresholds_across_validation_videos() -> None:
    probabilities, labels = draw_validation()
    across = choose_for("none", "cv", [500, 1500])
    borders = np.split(probabilities, [500]), np.split(labels, [500])
    expected = choose_thresholds_across(*borders).values
    np.testing.assert_array_equal(across.thresholds, expected)
    assert across.thresholds.tolist() != choose_for("none").thresholds.tolist()
    exact = choose_for("none", "exact", [500, 1500])
    np.testing.assert_array_equal(exact.thresholds, choose_for("none").thresholds)


def test_a_threshold_can_be_replaced() -> None:
    changed = rule().with_thresholds({"à gauche": 0.25})
    assert changed.thresholds.tolist() == [0.4, 0.25]
    assert rule().with_thresholds({}).thresholds.tolist() == [0.4, 0.6]
