"""Thresholds against brute force, ties, floors, and reference vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pixelethogram.ethogram.thresholds import (
    Thresholds,
    apply_exclusive,
    apply_thresholds,
    choose_thresholds,
    choose_thresholds_across,
)


def choose_one(probabilities: list[float], labels: list[int], floor: float = 0.01) -> Thresholds:
    return choose_thresholds(
        np.array(probabilities)[:, None], np.array(labels, dtype=np.int8)[:, None], floor
    )


def f1_of(probabilities: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    predicted, truth = probabilities.astype(np.float64) > threshold, labels == 1
    return float(2 * (predicted & truth).sum() / max(predicted.sum() + truth.sum(), 1))


def brute_force(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Best F1 and its threshold by the rules: widest gap, then lowest, middle of the gap."""
    levels = sorted({float(p) for p in probabilities}, reverse=True)
    below = [*levels[1:], min(0.0, levels[-1] - 1e-9)]
    candidates = []
    for upper, lower in zip(levels, below, strict=True):
        hits = int(((probabilities >= upper) & (labels == 1)).sum())
        f1 = 2 * hits / ((probabilities >= upper).sum() + (labels == 1).sum())
        candidates.append((f1, upper - lower, -upper, (upper + lower) / 2))
    f1, _, _, threshold = max(candidates)
    return float(f1), threshold


def random_trial(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    number = generator.integers(1, 41)
    levels = generator.integers(2, 60)  # few levels make ties
    probabilities = generator.integers(1, levels, number) / levels
    labels = (generator.random(number) < generator.uniform(0.1, 0.9)).astype(np.int8)
    return probabilities, labels


def test_the_example_of_the_specification() -> None:
    chosen = choose_one([0.9, 0.8, 0.8, 0.6, 0.55, 0.4, 0.3, 0.2], [1, 1, 0, 1, 0, 1, 0, 0])
    assert chosen.values[0] == pytest.approx(0.35, abs=1e-12)
    assert chosen.f1[0] == pytest.approx(0.8, abs=1e-12)
    assert chosen.usable.tolist() == [True]


def test_brute_force_finds_the_same_threshold_in_1500_trials() -> None:
    compared = 0
    for seed in range(1500):
        probabilities, labels = random_trial(seed)
        if not labels.any():
            continue
        chosen = choose_thresholds(probabilities[:, None], labels[:, None], floor=0.0)
        f1, threshold = brute_force(probabilities, labels)
        assert chosen.f1[0] == pytest.approx(f1, abs=1e-12), seed
        assert chosen.values[0] == pytest.approx(threshold, abs=1e-12), seed
        compared += 1
    assert compared >= 1000


def test_the_stated_f1_is_that_of_the_stated_threshold() -> None:
    for seed in range(100):
        probabilities, labels = random_trial(seed)
        chosen = choose_thresholds(probabilities[:, None] ** 6, labels[:, None], floor=0.05)
        expected = f1_of(probabilities**6, labels, chosen.values[0])
        assert chosen.f1[0] == pytest.approx(expected, abs=1e-12)


def test_of_equal_cuts_the_widest_gap_wins() -> None:
    # F1 is 2/3 when one, or all four of 1-0-0-1, are called present
    chosen = choose_one([0.9, 0.5, 0.4, 0.3], [1, 0, 0, 1])
    assert chosen.values[0] == pytest.approx(0.7)


def test_of_equal_gaps_the_lower_cut_wins() -> None:
    chosen = choose_one([1.0, 0.75, 0.5, 0.25], [1, 0, 0, 1])
    assert chosen.values[0] == 0.125


@pytest.mark.parametrize("lower", [0.7, float(np.nextafter(0.7, 1))])  # rounds down, up
def test_a_threshold_between_neighbouring_floats_still_separates_them(lower: float) -> None:
    upper = float(np.nextafter(lower, 1))
    chosen = choose_one([upper, lower, lower], [1, 0, 0])
    assert chosen.f1[0] == 1.0
    present = apply_thresholds(np.array([[upper], [lower]]), chosen.values)
    assert present.ravel().tolist() == [True, False]


def test_float32_probabilities_are_compared_in_float64() -> None:
    lower = np.float32(0.7)
    upper = np.nextafter(lower, np.float32(1))
    probabilities = np.array([[upper], [lower]], dtype=np.float32)
    chosen = choose_thresholds(probabilities, np.array([[1], [0]], dtype=np.int8))
    assert apply_thresholds(probabilities, chosen.values).ravel().tolist() == [True, False]


def test_everything_present_gets_a_threshold_below_the_smallest() -> None:
    assert choose_one([0.9, 0.4], [1, 1]).values[0] == pytest.approx(0.2)
    assert choose_one([0.9, 0.0], [1, 1], floor=-1.0).values[0] < 0


def test_the_floor_raises_low_thresholds_and_f1_tells() -> None:
    chosen = choose_one([0.008, 0.006, 0.001], [1, 1, 0])
    assert chosen.values[0] == 0.01
    assert chosen.f1[0] == 0.0
    assert choose_one([0.008, 0.006, 0.001], [1, 1, 0], floor=0.0).f1[0] == 1.0


def test_a_behavior_that_never_occurs_is_flagged() -> None:
    chosen = choose_one([0.9, 0.4], [0, 0])
    assert (chosen.values[0], chosen.f1[0], chosen.usable[0]) == (0.5, 0.0, False)
    assert chosen.plateau.tolist() == [[0.5, 0.5]]


def test_a_behavior_that_cannot_be_told_is_flagged() -> None:
    labels = np.zeros(200, dtype=int)
    labels[-1] = 1
    chosen = choose_one(np.linspace(0.99, 0.01, 200).tolist(), labels.tolist())
    assert (chosen.values[0], chosen.usable[0]) == (0.5, False)


def test_unscored_frames_never_count() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random((80, 3))
    labels = generator.integers(-1, 2, (80, 3)).astype(np.int8)
    changed = np.where(labels < 0, generator.random((80, 3)), probabilities)
    changed[np.argwhere(labels < 0)[0][0], np.argwhere(labels < 0)[0][1]] = np.nan
    first, second = choose_thresholds(probabilities, labels), choose_thresholds(changed, labels)
    for name in ("values", "f1", "plateau", "usable"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_a_video_without_scored_frames_gives_no_usable_threshold() -> None:
    chosen = choose_one([0.9, 0.4], [-1, -1])
    assert (chosen.values[0], chosen.usable[0]) == (0.5, False)


def test_the_plateau_holds_nearly_the_best_f1_and_nothing_around_it_does() -> None:
    for seed in range(100):
        generator = np.random.default_rng(seed)
        labels = (generator.random(400) < 0.3).astype(np.int8)
        probabilities = np.clip(0.3 * labels + generator.normal(0.35, 0.15, 400), 0.02, 0.98)
        chosen = choose_thresholds(probabilities[:, None], labels[:, None])
        low, high = chosen.plateau[0]
        assert low <= chosen.values[0] < high
        for threshold in np.linspace(low, high, 20, endpoint=False):
            assert f1_of(probabilities, labels, threshold) >= chosen.f1[0] - 0.005 - 1e-9
        for outside in (np.nextafter(low, 0), high):
            assert f1_of(probabilities, labels, outside) < chosen.f1[0] - 0.005 + 1e-9


@pytest.mark.parametrize("labels", [np.zeros((3, 2), np.int8), np.zeros(3, np.int8)])
def test_wrong_shapes_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        choose_thresholds(np.zeros((3, 1)), labels)
    with pytest.raises(ValueError, match="expected"):
        apply_thresholds(np.zeros((3, 1)), np.zeros(2))
    with pytest.raises(ValueError, match="expected"):
        apply_exclusive(np.zeros((3, 1)), np.zeros(2), always_one=True)


def test_nan_on_a_scored_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        choose_one([0.9, float("nan")], [1, 0])


def test_present_means_strictly_above() -> None:
    present = apply_thresholds(np.array([[0.5, 0.6], [0.51, 0.4]]), np.array([0.5, 0.5]))
    assert present.tolist() == [[False, True], [True, False]]


def test_exclusive_takes_the_largest_margin_in_odds() -> None:
    probabilities = np.array([[0.6, 0.5], [0.9, 0.5], [0.1, 0.05], [0.0, 1.0]])
    thresholds = np.array([0.5, 0.1])
    # odds over threshold odds: 1.5 vs 9, 9 vs 9 (tie: first), 0.11 vs 0.47, 0 vs infinite
    one = apply_exclusive(probabilities, thresholds, always_one=True)
    assert one.tolist() == [[False, True], [True, False], [False, True], [False, True]]
    some = apply_exclusive(probabilities, thresholds, always_one=False)
    assert some.tolist() == [[False, True], [True, False], [False, False], [False, True]]


@pytest.mark.parametrize("seed", range(50))
def test_exclusive_never_gives_two_and_only_what_exceeds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities, thresholds = generator.random((40, 4)), generator.uniform(0.05, 0.95, 4)
    some = apply_exclusive(probabilities, thresholds, always_one=False)
    above = apply_thresholds(probabilities, thresholds)
    assert (some <= above).all()
    np.testing.assert_array_equal(some.sum(axis=1), above.any(axis=1))
    one = apply_exclusive(probabilities, thresholds, always_one=True)
    assert (one.sum(axis=1) == 1).all() and (some <= one).all()


def test_the_exact_optimum_is_at_least_that_of_the_reference_grid(golden: Path) -> None:
    with np.load(golden / "thresholds.npz") as file:
        vectors = dict(file)
    labels = vectors["labels"].astype(np.int8)
    chosen = choose_thresholds(vectors["probabilities"], labels)
    grid = vectors["bythr_f1"].max(axis=0)
    gain = chosen.f1 - grid
    assert (gain > -1e-6).all() and (gain < 0.02).all()
    assert chosen.usable.tolist() == [True, True, True, True, False]
    assert chosen.values[4] == 0.5
    at_reference = apply_thresholds(vectors["probabilities"], vectors["bythr_optimum"])
    for column in range(4):
        scored = labels[:, column] >= 0
        mine = f1_score(labels[scored, column], at_reference[scored, column])
        assert mine == pytest.approx(grid[column], abs=1e-6)


# across videos


def two_levels(level: float, num_frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A video that a threshold at `level` separates, with a gap of 0.02 around it."""
    labels = (np.arange(num_frames) % 2).astype(np.int8)[:, None]
    return np.where(labels == 1, level + 0.01, level - 0.01), labels


def test_thresholds_across_videos_are_the_mean_logit_without_each() -> None:
    probabilities, labels = zip(*(two_levels(level) for level in (0.3, 0.5, 0.6)), strict=True)
    folds = [
        choose_thresholds(
            np.concatenate([probabilities[video] for video in others]),
            np.concatenate([labels[video] for video in others]),
        ).values
        for others in ([1, 2], [0, 2], [0, 1])
    ]
    logits = np.log(np.array(folds) / (1 - np.array(folds)))
    found = choose_thresholds_across(probabilities, labels)
    np.testing.assert_allclose(found.values, 1 / (1 + np.exp(-logits.mean(axis=0))))
    guess = np.concatenate(probabilities) > found.values
    truth = np.concatenate(labels) == 1
    assert found.f1.item() == pytest.approx(2 * (guess & truth).sum() / (guess.sum() + truth.sum()))
    assert (
        found.f1.item()
        <= choose_thresholds(np.concatenate(probabilities), np.concatenate(labels)).f1
    )


def test_one_video_has_exact_thresholds_and_hopeless_folds_are_left_out() -> None:
    probabilities, labels = two_levels(0.3)
    alone = choose_thresholds_across([probabilities], [labels])
    assert alone.values.tolist() == choose_thresholds(probabilities, labels).values.tolist()
    never = np.zeros_like(labels)
    found = choose_thresholds_across([probabilities, probabilities], [labels, never])
    fold = choose_thresholds(probabilities, labels)
    np.testing.assert_allclose(found.values, fold.values)
    nothing = choose_thresholds_across([probabilities] * 2, [never] * 2)
    assert (nothing.values.tolist(), nothing.usable.tolist()) == ([0.5], [False])
