"""Kappas against scikit-learn, the published example and brute force; who agrees where."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pixelethogram.ethogram.agreement import (
    cohen_kappa,
    find_agreed,
    find_disputed,
    fleiss_kappa,
    hide_outside,
)


@pytest.mark.parametrize("num_codes", [2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_cohen_equals_scikit_learn(seed: int, num_codes: int) -> None:
    generator = np.random.default_rng(seed)
    first = generator.integers(-1, num_codes, (200, 3))
    second = np.where(generator.random((200, 3)) < 0.6, first, generator.integers(-1, num_codes))
    for column, kappa in enumerate(cohen_kappa(first, second)):
        both = (first[:, column] >= 0) & (second[:, column] >= 0)
        expected = cohen_kappa_score(first[both, column], second[both, column])
        assert kappa == pytest.approx(expected, abs=1e-12)


def test_fleiss_example() -> None:
    """Ten subjects, fourteen raters, five codes: Fleiss (1971) has kappa 0.210 for this table."""
    table = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    ratings = np.array([np.repeat(np.arange(5), row) for row in table]).T
    assert fleiss_kappa(list(ratings[:, :, None])).item() == pytest.approx(0.210, abs=5e-4)


def test_fleiss_equals_counting_pairs_of_raters() -> None:
    ratings = np.random.default_rng(0).integers(0, 2, (4, 60, 1))
    pairs = list(itertools.permutations(range(4), 2))
    observed = np.mean([(ratings[a] == ratings[b]).mean() for a, b in pairs])
    share = ratings.mean()
    expected = share**2 + (1 - share) ** 2
    wanted = (observed - expected) / (1 - expected)
    assert fleiss_kappa(list(ratings)).item() == pytest.approx(wanted, abs=1e-12)


def test_identical_raters_agree_fully_and_unscored_frames_never_count() -> None:
    labels = np.random.default_rng(0).choice([-1, 0, 1], (80, 2)).astype(np.int8)
    assert cohen_kappa(labels, labels).tolist() == [1, 1]
    assert fleiss_kappa([labels] * 3).tolist() == [1, 1]
    assert np.isnan(cohen_kappa(labels, np.full_like(labels, -1))).all()
    assert np.isnan(fleiss_kappa([labels])).all()


def test_one_code_throughout_says_nothing() -> None:
    absent = np.zeros((9, 1), dtype=np.int8)
    assert np.isnan(cohen_kappa(absent, absent)).all()


def test_where_raters_agree_and_where_they_differ() -> None:
    raters = [np.array([each], dtype=np.int8).T for each in ([1, 1, 0, -1, -1], [1, 0, -1, 1, -1])]
    third = np.array([[1, 0, 0, -1, -1]], dtype=np.int8).T
    agreed, disputed = find_agreed([*raters, third]), find_disputed([*raters, third])
    assert agreed.ravel().tolist() == [True, False, True, False, False]
    assert disputed.ravel().tolist() == [False, True, False, False, False]
    hidden = hide_outside(third, agreed)
    assert hidden.ravel().tolist() == [1, -1, 0, -1, -1]
    assert hidden.dtype == np.int8
