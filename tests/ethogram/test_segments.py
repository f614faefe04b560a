"""Whole bouts: the papers' examples, closed forms, an independent edit distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelethogram.ethogram.segments import (
    count_segments,
    edit_distance,
    edit_scores,
    exclusive_edit_scores,
    match_bouts,
    segmental_f1,
    to_states,
)


def column(text: str) -> np.ndarray:
    """Labels (T, 1) from a text: 1, 0, and - where nobody scored."""
    return np.array([[-1 if letter == "-" else int(letter)] for letter in text], dtype=np.int8)


def one_hot(text: str) -> np.ndarray:
    """(T, 3) of behaviors A, B, C; a dot is none of them."""
    return np.array([[letter == name for name in "ABC"] for letter in text]).astype(np.int8)


def plain_distance(first: str, second: str) -> int:
    """Edit distance by the textbook's recursion."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        plain_distance(first[1:], second) + 1,
        plain_distance(first, second[1:]) + 1,
        plain_distance(first[1:], second[1:]) + (first[0] != second[0]),
    )


@given(st.text("AB.", max_size=5), st.text("AB.", max_size=5))
@settings(max_examples=200, deadline=None)
def test_edit_distance_equals_the_recursion(first: str, second: str) -> None:
    codes = [np.array([ord(letter) for letter in text], dtype=int) for text in (first, second)]
    assert edit_distance(*codes) == plain_distance(first, second)


def test_edit_score_of_an_order_with_one_behavior_too_many() -> None:
    labels, present = one_hot("AABBBCCA"), one_hot("AABBCCCC").astype(bool)
    assert exclusive_edit_scores([labels], [present]).tolist() == [75.0]


def test_frames_without_behavior_are_no_element_of_the_order() -> None:
    labels, present = one_hot("AA..BB"), one_hot("A....B").astype(bool)
    assert exclusive_edit_scores([labels], [present]).tolist() == [100.0]
    assert np.isnan(exclusive_edit_scores([one_hot("...")], [one_hot("...") == 1])).all()


@given(st.lists(st.sampled_from("01-"), min_size=1, max_size=40))
def test_identical_traces_have_full_scores(letters: list[str]) -> None:
    labels = column("".join(letters))
    present = labels == 1
    occurs = bool(present.any())
    assert segmental_f1([labels], [present]).tolist() == [[float(occurs)]] * 3
    assert edit_scores([labels], [present]).tolist() == [[100.0]] if occurs else True
    assert np.isnan(edit_scores([labels], [present])).all() == (not occurs)


def test_edit_score_of_one_behavior_counts_bouts_and_pauses() -> None:
    labels, present = column("0110011000"), column("0111111000") == 1  # 01010 and 010
    assert edit_scores([labels], [present]).tolist() == [[60.0]]


def test_a_bout_counts_when_it_overlaps_enough() -> None:
    labels, present = column("1111000000"), column("0011110000") == 1  # 2 of 6 frames: 1/3
    assert segmental_f1([labels], [present]).ravel().tolist() == [1.0, 1.0, 0.0]
    assert segmental_f1([labels], [present], [1 / 3]).tolist() == [[1.0]]
    assert segmental_f1([labels], [present], [0.34]).tolist() == [[0.0]]


def test_every_true_bout_is_matched_once() -> None:
    labels, present = column("1111111111"), column("1101101101") == 1
    counts = count_segments([labels], [present], 0.1)
    assert (counts.hits.item(), counts.predicted.item(), counts.true.item()) == (1, 4, 1)
    assert counts.f1.tolist() == [2 / 5]


def test_matching_goes_in_order_of_time_and_takes_the_best_that_is_free() -> None:
    true = np.array([[0, 4], [5, 20]])
    predicted = np.array([[2, 12], [12, 20]])
    assert match_bouts(true, predicted, 0.1).tolist() == [[1, 0]]
    assert match_bouts(true, predicted[::-1][:1], 0.1).tolist() == [[1, 0]]
    assert match_bouts(true, np.array([[0, 3], [3, 5], [5, 9]]), 0.1).tolist() == [[0, 0], [1, 2]]
    both = np.array([[0, 5], [6, 9]])
    assert match_bouts(both, np.array([[0, 5], [2, 8]]), 0.1).tolist() == [[0, 0], [1, 1]]


def test_no_bout_reaches_across_frames_that_nobody_scored() -> None:
    labels = column("0110--0110")
    present = np.ones((10, 1), dtype=bool)
    counts = count_segments([labels], [present], 0.5)
    assert (counts.hits.item(), counts.predicted.item(), counts.true.item()) == (2, 2, 2)


def test_counts_add_up_over_videos() -> None:
    generator = np.random.default_rng(0)
    labels = [generator.choice([-1, 0, 1], (60, 2)).astype(np.int8) for _ in range(4)]
    present = [generator.random((60, 2)) > 0.5 for _ in range(4)]
    together = count_segments(labels, present, 0.25)
    for video in range(4):
        alone = count_segments(labels[video : video + 1], present[video : video + 1], 0.25)
        assert together.hits[video].tolist() == alone.hits[0].tolist()
    assert together.f1 == pytest.approx(
        2 * together.hits.sum(0) / (together.predicted.sum(0) + together.true.sum(0))
    )


def test_the_leftmost_behavior_is_the_state() -> None:
    present = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 1]], dtype=bool)
    assert to_states(present).tolist() == [1, 3, 0]
