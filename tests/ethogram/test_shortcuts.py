"""Baselines find what depends on the video, and nothing where nothing does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from pixelethogram.ethogram.shortcuts import (
    MIN_VIDEOS,
    ask_baselines,
    auroc_of_videos,
    leave_one_out,
    within_auroc,
)


def world(
    seed: int, leak: float, num_videos: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Brightness (V, 1), and frames with and without two behaviors; the first one may leak."""
    generator = np.random.default_rng(seed)
    brightness = generator.normal(size=num_videos)
    share = np.clip(0.4 + leak * brightness + generator.normal(0, 0.08, num_videos), 0.05, 0.95)
    other = np.clip(0.3 + generator.normal(0, 0.1, num_videos), 0.05, 0.95)
    positives = np.rint(1000 * np.stack([share, other], axis=1)).astype(int)
    return brightness[:, None], positives, 1000 - positives


def test_a_leak_is_found_and_the_other_behavior_is_not_accused() -> None:
    facts, positives, negatives = world(0, leak=0.15)
    found = ask_baselines({"brightness": facts}, positives, negatives)
    assert found.auroc[0, 0] > 0.6 and found.p_value[0, 0] < 0.02
    assert found.p_value[0, 1] > 0.05


def test_without_a_leak_alarms_are_as_rare_as_they_should_be() -> None:
    """One in twenty worlds may raise one, over all behaviors and baselines together."""
    alarms = 0
    for seed in range(60):
        facts, positives, negatives = world(seed, leak=0.0)
        noise = np.random.default_rng(seed).normal(size=(len(facts), 30))
        found = ask_baselines(
            {"brightness": facts, "scene": noise}, positives, negatives, repetitions=99
        )
        alarms += bool((found.p_value < 0.05).any())
    assert alarms <= 8


def test_videos_that_are_left_out_are_predicted_from_the_others() -> None:
    generator = np.random.default_rng(0)
    facts, values = generator.normal(size=(9, 4)), generator.normal(size=(9, 2))
    scaled = (facts - facts.mean(axis=0)) / facts.std(axis=0) / 2
    wanted = cross_val_predict(Ridge(alpha=1.0), scaled, values, cv=LeaveOneOut())
    np.testing.assert_allclose(leave_one_out(facts) @ values, wanted, atol=1e-12)


def test_facts_that_never_vary_predict_the_mean_of_the_others() -> None:
    values = np.arange(8.0)
    wanted = cross_val_predict(LinearRegression(), np.zeros((8, 1)), values, cv=LeaveOneOut())
    np.testing.assert_allclose(leave_one_out(np.ones((8, 3))) @ values, wanted)


def test_the_auroc_of_videos_is_that_of_their_frames() -> None:
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 3, (5, 2)).astype(float)
    positives, negatives = generator.integers(0, 9, (2, 5, 2))
    found = auroc_of_videos(scores, positives, negatives)
    for column in range(2):
        truth = np.concatenate(
            [
                [1] * p + [0] * n
                for p, n in zip(positives[:, column], negatives[:, column], strict=True)
            ]
        )
        ranks = np.repeat(scores[:, column], (positives + negatives)[:, column])
        assert found[column] == pytest.approx(roc_auc_score(truth, ranks), abs=1e-12)


def test_the_auroc_inside_of_videos_knows_nothing_of_the_video() -> None:
    labels = [np.array([[1], [1], [0], [-1]], np.int8), np.array([[0], [0], [1], [1]], np.int8)]
    constant = [np.full((4, 1), 0.9), np.full((4, 1), 0.1)]
    perfect = [each + 0.01 * (truth == 1) for each, truth in zip(constant, labels, strict=True)]
    assert within_auroc(labels, constant)[0] == 0.5
    assert within_auroc(labels, perfect)[0] == 1.0
    unscored = [np.where([[0], [0], [0], [1]], 5.0, perfect[0]), perfect[1]]
    assert within_auroc(labels, unscored)[0] == 1.0
    assert np.isnan(within_auroc([np.ones((3, 1), np.int8)], [np.ones((3, 1))])[0])


def test_a_behavior_that_is_never_present_has_no_auroc() -> None:
    facts, positives, negatives = world(0, leak=0.0)
    positives[:, 1] = 0
    found = ask_baselines({"brightness": facts}, positives, negatives, repetitions=9)
    assert np.isnan([found.auroc[0, 1], found.p_value[0, 1]]).all()


def test_few_videos_are_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        ask_baselines({"a": np.ones((5, 1))}, *np.ones((2, MIN_VIDEOS - 1, 1), int))
