"""Scores against scikit-learn, chance against its formula, and masks in every metric."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from pixelethogram.ethogram.scores import Scores, chance_scores, count_hits, score

BEHAVIORS = ("a", "b", "c")


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels with unscored entries, probabilities with ties, predictions."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([-1, 0, 1], (120, 3), p=[0.2, 0.5, 0.3]).astype(np.int8)
    probabilities = np.round(generator.random((120, 3)) * 0.7 + 0.3 * (labels == 1), 2)
    return labels, probabilities, probabilities > 0.5


def numbers(scores: Scores) -> dict[str, np.ndarray]:
    names = set(scores.to_dict()) - {"behaviors"}
    return {name: np.asarray(getattr(scores, name), dtype=float) for name in names}


@pytest.mark.parametrize("seed", range(20))
def test_every_score_equals_scikit_learn(seed: int) -> None:
    labels, probabilities, present = random_case(seed)
    scores = score(labels, probabilities, present, BEHAVIORS)
    expected: dict[str, list[float]] = {name: [] for name in
        ("precision", "recall", "f1", "average_precision", "auroc", "log_loss", "brier",
         "support")}  # fmt: skip
    for column in range(3):
        scored = labels[:, column] >= 0
        truth, guess = labels[scored, column] == 1, present[scored, column]
        ranks = probabilities[scored, column]
        expected["precision"].append(metrics.precision_score(truth, guess))
        expected["recall"].append(metrics.recall_score(truth, guess))
        expected["f1"].append(metrics.f1_score(truth, guess))
        expected["average_precision"].append(metrics.average_precision_score(truth, ranks))
        expected["auroc"].append(metrics.roc_auc_score(truth, ranks))
        expected["log_loss"].append(metrics.log_loss(truth, ranks, labels=[False, True]))
        expected["brier"].append(metrics.brier_score_loss(truth, ranks))
        expected["support"].append(truth.sum())
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(scores, name), values, rtol=0, atol=1e-12)
        if name != "support":
            mean = getattr(scores, f"macro_{name}")
            assert mean == pytest.approx(np.mean(values), abs=1e-12)
    scored = labels >= 0
    accuracy = metrics.accuracy_score(labels[scored] == 1, present[scored])
    assert scores.accuracy == pytest.approx(accuracy, abs=1e-12)
    rows = scored.all(axis=1)
    background = metrics.f1_score(~(labels[rows] == 1).any(1), ~present[rows].any(1))
    assert scores.background_f1 == pytest.approx(background, abs=1e-12)


def test_average_precision_and_auroc_by_hand() -> None:
    labels = np.array([[1], [0], [1], [0]], dtype=np.int8)
    probabilities = np.array([[0.9], [0.8], [0.7], [0.1]])
    scores = score(labels, probabilities, probabilities > 0.5, ("a",))
    assert scores.average_precision[0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert scores.auroc[0] == pytest.approx(3 / 4)


@pytest.mark.parametrize("seed", range(20))
def test_unscored_entries_never_count_in_any_score(seed: int) -> None:
    labels, probabilities, present = random_case(seed)
    generator = np.random.default_rng(seed + 1000)
    masked = labels < 0
    other_probabilities = np.where(masked, generator.random(labels.shape), probabilities)
    other_present = np.where(masked, ~present, present)
    first = numbers(score(labels, probabilities, present, BEHAVIORS))
    second = numbers(score(labels, other_probabilities, other_present, BEHAVIORS))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    chances = [chance_scores([labels], [each], 5, seed) for each in (present, other_present)]
    assert chances[0] == chances[1]


@pytest.mark.parametrize("seed", range(10))
def test_frames_nobody_scored_can_as_well_be_left_out(seed: int) -> None:
    labels, probabilities, present = random_case(seed)
    labels[np.random.default_rng(seed).random(len(labels)) < 0.3] = -1
    kept = (labels >= 0).any(axis=1)
    first = numbers(score(labels, probabilities, present, BEHAVIORS))
    second = numbers(score(labels[kept], probabilities[kept], present[kept], BEHAVIORS))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def test_an_absent_behavior_has_no_ranking_and_stays_out_of_those_means() -> None:
    labels = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], dtype=np.int8)
    probabilities = np.array([[0.9, 0.2, 0.8], [0.1, 0.6, 0.7], [0.7, 0.1, 0.9]])
    scores = score(labels, probabilities, probabilities > 0.5, BEHAVIORS)
    assert scores.f1.tolist() == [1.0, 0.0, 1.0]
    assert scores.average_precision[[0, 2]].tolist() == [1.0, 1.0]
    assert math.isnan(scores.average_precision[1])
    assert np.isnan(scores.auroc).tolist() == [False, True, True]  # c is always present
    assert (scores.macro_average_precision, scores.macro_auroc) == (1.0, 1.0)
    assert scores.macro_f1 == pytest.approx(2 / 3)


def test_nothing_predicted_and_nothing_scored_gives_zeros() -> None:
    empty = np.full((4, 1), -1, dtype=np.int8)
    scores = score(empty, None, np.ones((4, 1), dtype=bool), ("a",))
    assert (scores.f1[0], scores.accuracy, scores.background_f1) == (0.0, 0.0, 0.0)
    assert math.isnan(scores.macro_auroc)


def test_a_perfect_prediction_scores_one() -> None:
    labels = np.array([[1, 0], [0, 0], [0, 1]], dtype=np.int8)
    scores = score(labels, labels.astype(float), labels == 1, ("a", "b"))
    assert scores.background_f1 == scores.accuracy == scores.macro_f1 == scores.macro_auroc == 1.0


def test_the_dictionary_is_plain_and_has_none_for_what_does_not_exist() -> None:
    labels = np.array([[1, 0], [0, 0]], dtype=np.int8)
    plain = score(labels, None, labels == 1, ("a", "b")).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["behaviors"] == ["a", "b"] and plain["support"] == [1, 0]
    assert plain["auroc"] == [None, None] and plain["macro_auroc"] is None
    assert plain["f1"] == [1.0, 0.0]


def test_arrays_of_different_shapes_are_refused() -> None:
    labels, probabilities, present = random_case(0)
    with pytest.raises(ValueError, match="expected"):
        score(labels, probabilities[:-1], present, BEHAVIORS)
    with pytest.raises(ValueError, match="expected"):
        score(labels, None, present, ("a",))


def test_chance_of_a_constant_answer_follows_the_formula() -> None:
    generator = np.random.default_rng(0)
    labels = [(generator.random((n, 2)) < (0.1, 0.4)).astype(np.int8) for n in (50, 211)]
    labels[0][:10] = -1
    present = [np.ones(video.shape, dtype=bool) for video in labels]
    chance = chance_scores(labels, present, repetitions=7, seed=3)
    joined = np.concatenate(labels)
    prevalence = (joined == 1).sum(axis=0) / (joined >= 0).sum(axis=0)
    np.testing.assert_allclose(chance["f1"], 2 * prevalence / (1 + prevalence), atol=1e-12)
    assert chance["macro_f1"] == pytest.approx(np.mean(chance["f1"]))


def test_chance_averages_over_all_shifts_but_zero() -> None:
    labels = (np.random.default_rng(1).random((11, 1)) < 0.4).astype(np.int8)
    present = labels == 1
    exact = np.mean([metrics.f1_score(np.roll(labels, n), present) for n in range(1, 11)])
    chance = chance_scores([labels], [present], repetitions=4000, seed=0)
    assert chance["macro_f1"] == pytest.approx(exact, abs=0.01)
    assert chance["macro_f1"] < 0.9


def test_the_upper_end_of_chance_is_that_of_all_shifts() -> None:
    labels = (np.random.default_rng(1).random((101, 2)) < (0.4, 0.1)).astype(np.int8)
    present = np.random.default_rng(2).random((101, 2)) < 0.3
    exact = np.array(
        [
            [metrics.f1_score(np.roll(labels[:, k], n), present[:, k]) for k in (0, 1)]
            for n in range(1, 101)
        ]
    )
    chance = chance_scores([labels], [present], repetitions=3000, seed=0)
    np.testing.assert_allclose(chance["f1_high"], np.quantile(exact, 0.95, axis=0), atol=0.02)
    macro = np.quantile(exact.mean(axis=1), 0.95)
    assert chance["macro_f1_high"] == pytest.approx(macro, abs=0.02)


def test_a_shift_keeps_the_number_of_positive_frames() -> None:
    # two frames, one positive: the only shift puts it on the other frame
    labels = np.array([[1], [0]], dtype=np.int8)
    assert chance_scores([labels], [labels == 1], 10, 0)["f1"] == [0.0]
    assert chance_scores([labels], [labels == 0], 10, 0)["f1"] == [1.0]


def test_behaviors_shift_together() -> None:
    # b is a copy of a, and of any prediction: with independent shifts their F1 would differ
    column = (np.random.default_rng(2).random((40, 1)) < 0.3).astype(np.int8)
    guess = np.random.default_rng(3).random((40, 1)) < 0.3
    chance = chance_scores([np.hstack([column, column])], [np.hstack([guess, guess])], 3, 0)
    f1 = chance["f1"]
    assert isinstance(f1, list) and f1[0] == f1[1]


def test_chance_is_the_same_for_the_same_seed_only() -> None:
    labels, _, present = random_case(0)
    first, again, other = (chance_scores([labels], [present], 5, seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("num_frames", [0, 1])
def test_videos_too_short_to_shift_are_accepted(num_frames: int) -> None:
    labels = np.ones((num_frames, 1), dtype=np.int8)
    assert chance_scores([labels], [labels == 1], 2, 0)["f1"] == [float(num_frames)]


def test_reference_vectors(golden: Path) -> None:
    with np.load(golden / "thresholds.npz") as file:
        vectors = dict(file)
    labels = vectors["labels"].astype(np.int8)
    probabilities = vectors["probabilities"]
    for row in (0, 60, 130):
        threshold = vectors["bythr_thresholds"][row]
        scores = score(labels, probabilities, probabilities > threshold, tuple("01234"))
        occurring = scores.support > 0
        for name in ("f1", "precision", "recall"):
            mine, reference = getattr(scores, name), vectors[f"bythr_{name}"][row]
            np.testing.assert_allclose(mine[occurring], reference[occurring], atol=1e-6)


def test_counts_per_video_add_up_to_the_scores() -> None:
    cases = [random_case(seed) for seed in range(3)]
    counts = count_hits([labels for labels, _, _ in cases], [present for _, _, present in cases])
    hits, predicted, positives = counts.sum(axis=0)
    labels, probabilities, present = (np.concatenate(arrays) for arrays in zip(*cases, strict=True))
    scores = score(labels, probabilities, present, BEHAVIORS)
    np.testing.assert_allclose(2 * hits / (predicted + positives), scores.f1, atol=1e-12)
    assert positives.tolist() == scores.support.tolist()


def test_log_loss_of_what_was_held_impossible_is_finite() -> None:
    labels, impossible = np.ones((1, 1), dtype=np.int8), np.zeros((1, 1))
    scores = score(labels, impossible, impossible > 0.5, ["a"])
    assert scores.macro_log_loss == pytest.approx(-math.log(np.finfo(float).eps))
    assert scores.macro_brier == 1
