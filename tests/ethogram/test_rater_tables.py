"""Raters against raters and a model against raters: identical ones, masks, who scored what."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pixelethogram.ethogram.rater_tables import (
    compare_pairs,
    judge_by_raters,
    kappa_of_all,
    kappa_rows,
    pair_rows,
)

BEHAVIORS = ("lick", "groom")


def draw(seed: int, num_frames: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (num_frames, 2)).astype(np.int8)


def test_identical_raters_agree_fully() -> None:
    videos = {"a": draw(0), "b": draw(1)}
    pairs = compare_pairs({"anna": videos, "ben": videos, "cleo": videos}, BEHAVIORS)
    assert [pair.raters for pair in pairs] == [("anna", "ben"), ("anna", "cleo"), ("ben", "cleo")]
    for pair in pairs:
        assert (pair.scores.macro_f1, pair.alike, pair.kappa.tolist()) == (1, 1, [1, 1])
        assert (pair.num_videos, pair.num_frames) == (2, 400)
    assert kappa_of_all({"anna": videos, "ben": videos}, 2).kappa.tolist() == [1, 1]


def test_only_what_both_scored_counts() -> None:
    anna, ben = draw(0), draw(0)
    ben[50:] = 1 - ben[50:]
    anna[50:100] = -1
    ben[100:] = -1
    (pair,) = compare_pairs({"anna": {"a": anna, "c": draw(2)}, "ben": {"a": ben}}, BEHAVIORS)
    assert (pair.num_videos, pair.num_frames, pair.scores.macro_f1) == (1, 50, 1)
    assert compare_pairs({"anna": {"a": anna}, "ben": {"b": ben}}, BEHAVIORS) == []
    apart = kappa_of_all({"anna": {"a": anna}, "ben": {"b": ben}}, 2)
    assert (apart.num_videos, apart.num_frames, np.isnan(apart.kappa).all()) == (0, 0, True)


def test_every_row_of_kappas_says_how_many_frames_it_is_of() -> None:
    cleo = draw(2)
    cleo[:120] = -1
    raters = {"anna": {"a": draw(0), "b": draw(3)}, "ben": {"a": draw(1), "b": draw(4)}}
    raters["cleo"] = {"a": cleo}
    rows = kappa_rows(compare_pairs(raters, BEHAVIORS), kappa_of_all(raters, 2))
    assert [row[:3] for row in rows] == [
        ["anna / ben", 2, 400],
        ["anna / cleo", 1, 80],
        ["ben / cleo", 1, 80],
        ["all raters (Fleiss)", 1, 80],
    ]


def test_f1_does_not_depend_on_who_is_the_truth() -> None:
    anna, ben = {"a": draw(0)}, {"a": draw(1)}
    (one,) = compare_pairs({"anna": anna, "ben": ben}, BEHAVIORS)
    (other,) = compare_pairs({"ben": ben, "anna": anna}, BEHAVIORS)
    np.testing.assert_allclose(one.scores.f1, other.scores.f1)
    np.testing.assert_allclose(one.scores.precision, other.scores.recall)


def test_a_model_is_judged_where_raters_agree_and_where_they_differ() -> None:
    anna, ben = draw(0), draw(0)
    ben[150:] = 1 - ben[150:]
    raters = {"anna": {"a": anna}, "ben": {"a": ben}}
    found = judge_by_raters(raters, {"a": anna == 1, "unscored": draw(5) == 1}, BEHAVIORS)
    assert found["anna"].macro_f1 == 1
    assert found["raters agree"].macro_f1 == 1
    assert found["anna, where raters differ"].macro_f1 == 1
    assert found["ben, where raters differ"].macro_f1 == 0
    assert found["raters agree"].support.tolist() == (anna[:150] == 1).sum(axis=0).tolist()
    assert 0 < found["ben"].macro_f1 < 1
    assert judge_by_raters(raters, {"b": anna == 1}, BEHAVIORS) == {}


def test_one_rater_alone_neither_agrees_nor_differs() -> None:
    found = judge_by_raters({"anna": {"a": draw(0)}}, {"a": draw(0) == 1}, BEHAVIORS)
    assert list(found) == ["anna"]


def test_rows_end_with_the_mean_and_with_all_raters() -> None:
    raters = {name: {"a": draw(seed)} for seed, name in enumerate(("anna", "ben", "cleo"))}
    pairs = compare_pairs(raters, BEHAVIORS)
    rows = pair_rows(pairs, BEHAVIORS)
    assert [row[0] for row in rows] == ["anna / ben", "anna / cleo", "ben / cleo", "mean"]
    assert rows[-1][4] == pytest.approx(np.mean([row[4] for row in rows[:3]]))
    of_all = kappa_of_all(raters, 2)
    last = ["all raters (Fleiss)", 1, 200, of_all.kappa.mean(), *of_all.kappa]
    assert kappa_rows(pairs, of_all)[-1] == last
    assert json.loads(json.dumps([pair.to_dict() for pair in pairs]))[0]["raters"] == [
        "anna",
        "ben",
    ]
