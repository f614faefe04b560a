"""Confusion equals scikit-learn; co-occurrence has true positives on its diagonal."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix

from pixelethogram.ethogram.confusion import count_co_occurrence, count_confusion


def test_confusion_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 4, (2, 300))
    labels = (true[:, None] == np.arange(3)).astype(np.int8)
    labels[::7, 1] = -1
    scored = (labels >= 0).all(axis=1)
    found = count_confusion(labels, predicted[:, None] == np.arange(3))
    expected = confusion_matrix(true[scored], predicted[scored], labels=range(4))
    np.testing.assert_array_equal(found, expected)


def test_co_occurrence_by_hand() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 1], [1, -1]], dtype=np.int8)
    present = np.array([[1, 1], [0, 1], [1, 0], [1, 1]], dtype=bool)
    assert count_co_occurrence(labels, present).tolist() == [[2, 2], [1, 1]]
