"""Poses to be written in the layouts of other programs."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.pose.readers.assembly import Facts

FRAMES, PARTS = 8, ("nose", "left_ear", "right_ear", "tail_base")


@pytest.fixture
def facts() -> Facts:
    return Facts(30.0, 200, 300)


@pytest.fixture
def points() -> np.ndarray:
    """(T, 2, P, 2) of two animals, one point missing."""
    shape = np.array([[20.0, 0], [8, -6], [8, 6], [-20, 0]])
    middles = np.array([[80.0, 60], [200, 120]])
    steps = np.stack([np.arange(FRAMES), np.zeros(FRAMES)], axis=-1)
    found = steps[:, None, None] + middles[:, None] + shape
    found[3, 1, 2] = np.nan
    return found


@pytest.fixture
def likelihood(points: np.ndarray) -> np.ndarray:
    """(T, 2, P)."""
    values = np.random.default_rng(0).uniform(0.5, 1, points.shape[:3])
    return np.where(np.isnan(points[..., 0]), 0, values)
