"""Calibration: right probabilities have no error, distorted ones are cured, as by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from pixelethogram.ethogram.calibration import (
    calibration_errors,
    fit_calibration,
    reliability,
)


def draw(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N, 1) that are present as often as their probabilities (N, 1) say."""
    generator = np.random.default_rng(seed)
    probabilities = generator.random((number, 1))
    return (generator.random((number, 1)) < probabilities).astype(np.int8), probabilities


def test_probabilities_that_are_right_have_no_error() -> None:
    labels, probabilities = draw(1_000_000)
    assert calibration_errors(labels, probabilities).item() < 0.005


def test_error_of_a_constant_is_its_distance_from_the_share() -> None:
    labels = np.array([[1], [1], [1], [0], [0], [0], [0], [0], [0], [0]], dtype=np.int8)
    for order in (labels, labels[::-1]):
        assert calibration_errors(order, np.full((10, 1), 0.9)).item() == pytest.approx(0.6)
        (table,) = reliability(order, np.full((10, 1), 0.9))
        assert (table.counts.tolist(), table.share.tolist()) == ([10], [0.3])


def test_bins_have_equal_mass_and_hold_every_scored_frame() -> None:
    labels, probabilities = draw(1500)
    (table,) = reliability(labels, probabilities**3)
    assert table.counts.tolist() == [100] * 15
    assert (np.diff(table.confidence) > 0).all()
    assert np.average(table.share, weights=table.counts) == pytest.approx(labels.mean())


def test_a_behavior_nobody_scored_has_no_error() -> None:
    assert np.isnan(calibration_errors(np.full((5, 1), -1, dtype=np.int8), np.full((5, 1), 0.5)))


@pytest.mark.parametrize(("scale", "shift"), [(2.5, 1.0), (0.4, -2.0)])
def test_a_known_distortion_is_undone(scale: float, shift: float) -> None:
    labels, probabilities = draw(200_000)
    distorted = expit(scale * logit(probabilities) + shift)
    found = fit_calibration(labels, distorted)
    assert found.scale.item() == pytest.approx(1 / scale, rel=0.02)
    assert found.shift.item() == pytest.approx(-shift / scale, rel=0.02, abs=0.02)
    before, after = (
        calibration_errors(labels, each).item() for each in (distorted, found.apply(distorted))
    )
    assert after < 0.01 < 0.05 < before


def test_temperature_has_no_shift() -> None:
    labels, probabilities = draw(100_000)
    found = fit_calibration(labels, expit(3 * logit(probabilities)), "temperature")
    assert found.scale.item() == pytest.approx(1 / 3, rel=0.02)
    assert found.shift.item() == 0


def test_newton_finds_what_scikit_learn_finds() -> None:
    labels, probabilities = draw(300)
    present, logits = labels[:, 0] == 1, logit(probabilities)
    up, down = (present.sum() + 1) / (present.sum() + 2), 1 / ((~present).sum() + 2)
    targets = np.where(present, up, down)
    reference = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(
        np.concatenate([logits, logits]),
        np.repeat([1, 0], 300),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    found = fit_calibration(labels, probabilities)
    assert found.scale.item() == pytest.approx(reference.coef_.item(), rel=1e-4)
    assert found.shift.item() == pytest.approx(reference.intercept_.item(), abs=1e-4)


def test_separable_frames_have_an_answer() -> None:
    labels = np.repeat([[0], [1]], 20, axis=0).astype(np.int8)
    found = fit_calibration(labels, np.where(labels == 1, 0.7, 0.2))
    assert np.isfinite(found.scale).all()
    assert found.apply(np.array([[0.7]])).item() == pytest.approx(21 / 22, abs=1e-3)
    assert found.apply(np.array([[0.2]])).item() == pytest.approx(1 / 22, abs=1e-3)


def test_order_never_changes_and_hopeless_behaviors_are_left_alone() -> None:
    labels, probabilities = draw(500)
    never, reversed_ = np.zeros_like(labels), 1 - labels
    columns = np.concatenate([labels, never, reversed_], axis=1)
    ranks = np.repeat(probabilities, 3, axis=1)
    found = fit_calibration(columns, ranks)
    assert found.scale[1:].tolist() == [1, 1]
    assert found.shift[1:].tolist() == [0, 0]
    np.testing.assert_array_equal(np.argsort(found.apply(ranks), axis=0), np.argsort(ranks, axis=0))
    np.testing.assert_allclose(fit_calibration(columns, ranks, "none").apply(ranks), ranks)
