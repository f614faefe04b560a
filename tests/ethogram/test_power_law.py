"""A law that made the points is found again, and what it promises is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.ethogram.power_law import EXPONENTS, fit_power_law

FRAMES = np.repeat([10.0, 20, 40, 80, 160, 320], 3)


def test_an_exact_law_is_found_again() -> None:
    exponent = EXPONENTS[200]
    law = fit_power_law(FRAMES, 0.9 - 2 * FRAMES**-exponent)
    assert law is not None
    assert (law.limit[0], law.gap[0], law.exponent[0]) == pytest.approx((0.9, 2.0, exponent))
    middle, low, high = law.predict(np.array([1000.0]))
    assert middle[0] == pytest.approx(0.9 - 2 * 1000**-exponent)
    assert low[0] == pytest.approx(high[0], abs=1e-6)
    assert law.frames_for(0.8)[0] == pytest.approx(20 ** (1 / exponent))
    assert law.frames_for(0.95)[0] == np.inf


def test_noise_widens_the_interval_and_the_truth_is_mostly_inside() -> None:
    generator = np.random.default_rng(0)
    truth, inside = 0.85 - 1.5 * 640**-0.6, 0
    for _ in range(40):
        scores = 0.85 - 1.5 * FRAMES**-0.6 + generator.normal(0, 0.03, len(FRAMES))
        law = fit_power_law(FRAMES, scores, repetitions=100)
        assert law is not None
        _, low, high = law.predict(np.array([640.0]))
        inside += bool(low[0] <= truth <= high[0])
    assert inside >= 32


def test_no_score_is_promised_above_one_or_falling_with_more_labels() -> None:
    generator = np.random.default_rng(1)
    for scores in (np.log(FRAMES) / 6, 1 - np.log(FRAMES) / 6, generator.random(len(FRAMES))):
        law = fit_power_law(FRAMES, scores, repetitions=20)
        assert law is not None
        assert (law.limit <= 1).all() and (law.gap >= 0).all()
        assert (np.diff(law.predict(np.geomspace(10, 1e6, 30))[0]) >= -1e-12).all()


def test_too_few_trainings_have_no_law() -> None:
    assert fit_power_law(np.array([1.0, 2, 3]), np.array([0.1, 0.2, 0.3])) is None
    assert fit_power_law(np.array([1.0, 1, 2, 2]), np.array([0.1, 0.2, 0.3, 0.3])) is None
    assert fit_power_law(np.array([0.0, 0, 0, 1, 2]), np.ones(5)) is None
