"""Context: rolling mean and spread against a slow loop; 44 columns become 1,364."""

import numpy as np
import pytest

from pixelethogram.pose.features.columns import Columns
from pixelethogram.pose.features.context import add_context, roll, stack_frames


@pytest.mark.parametrize("radius", [1, 3, 100])
def test_mean_and_spread_are_those_of_a_slow_loop(radius: int) -> None:
    generator = np.random.default_rng(radius)
    values = 1000 + generator.normal(size=(40, 3))
    values[generator.random(values.shape) < 0.4] = np.nan
    values[:, 2] = np.nan
    mean, spread = roll(values, radius)
    for frame in range(40):
        around = values[max(0, frame - radius) : frame + radius + 1]
        for column in range(3):
            known = around[~np.isnan(around[:, column]), column]
            expected = (known.mean(), known.std()) if len(known) else (np.nan, np.nan)
            np.testing.assert_allclose(
                (mean[frame, column], spread[frame, column]), expected, rtol=1e-4, atol=1e-4
            )


def test_context_names_say_what_they_are() -> None:
    columns = add_context(Columns(np.arange(4.0)[:, None], ("x",)), (1, 2))
    names = ("x", "x, mean ±1", "x, spread ±1", "x, mean ±2", "x, spread ±2")
    assert columns.names == names
    np.testing.assert_allclose(columns.values[1], [1, 1, np.sqrt(2 / 3), 1.5, np.sqrt(1.25)])


def test_stacked_frames_are_the_window_of_sturman() -> None:
    values = np.arange(50.0)[:, None] + np.arange(44) / 100
    stacked = stack_frames(Columns(values, tuple(f"c{n}" for n in range(44))), 15)
    assert stacked.values.shape == (50, 1364)
    np.testing.assert_allclose(stacked.values[20, ::44], np.arange(5, 36))
    np.testing.assert_allclose(stacked.values[0, ::44], [0] * 16 + list(range(1, 16)))
    assert stacked.names[0] == "c0, -15" and stacked.names[-1] == "c43, +15"
