"""Bouts, their lengths, and the filter against the specification's table and a slow reference."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.ethogram.bouts import (
    Bout,
    Order,
    bout_lengths,
    choose_min_bout_frames,
    drop_short_bouts,
    find_bouts,
    write_bouts_csv,
)
from pixelethogram.ethogram.ethogram import Ethogram

ORDERS: tuple[Order, ...] = ("gaps first", "bouts first")


def trace(text: str) -> np.ndarray:
    return np.array([[character == "1"] for character in text])


def to_text(present: np.ndarray) -> str:
    return "".join("1" if value else "0" for value in present[:, 0])


def filter_slowly(values: list[bool], longest: int, order: Order) -> list[bool]:
    """The rule of the specification, word by word."""
    for length in range(1, longest + 1):
        for target in (False, True) if order == "gaps first" else (True, False):
            runs = [(value, len(list(run))) for value, run in itertools.groupby(values)]
            if len(runs) > 1:
                runs = [(v != (v == target and n == length), n) for v, n in runs]
            values = [value for value, number in runs for _ in range(number)]
    return values


def random_traces(number: int) -> list[tuple[list[bool], int]]:
    generator = np.random.default_rng(7)
    return [
        (
            (generator.random(generator.integers(1, 60)) < generator.random()).tolist(),
            int(generator.integers(0, 8)),
        )
        for _ in range(number)
    ]


@pytest.mark.parametrize("seed", range(50))
def test_runs_rebuild_the_columns(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.integers(-1, 2, (generator.integers(0, 40), 3)).astype(np.int8)
    bouts = find_bouts(Ethogram(values, ("a", "b", "c"), 30.0))
    rebuilt = np.zeros(values.shape, dtype=bool)
    for bout in bouts:
        rebuilt[bout.start : bout.stop, "abc".index(bout.behavior)] = True
    np.testing.assert_array_equal(rebuilt, values == 1)
    assert sum(bout.stop - bout.start for bout in bouts) == (values == 1).sum()
    assert [bout.start for bout in bouts] == sorted(bout.start for bout in bouts)


def test_bouts_that_start_together_stand_in_the_order_of_the_behaviors() -> None:
    ethogram = Ethogram(np.array([[0, 0], [1, 1]], dtype=np.int8), ("z", "a"), 30.0)
    assert find_bouts(ethogram) == [Bout("z", 1, 2), Bout("a", 1, 2)]


def test_bouts_are_not_joined_across_unscored_frames() -> None:
    assert bout_lengths(np.array([1, 1, -1, 1, 0, 1, 1, 1], dtype=np.int8)).tolist() == [2, 1, 3]
    assert bout_lengths(np.array([0, -1], dtype=np.int8)).tolist() == []


def test_the_first_percentile_is_interpolated_and_rounded() -> None:
    parts = [np.ones(length) for length in range(1, 101)]
    column = np.concatenate([np.append(part, 0) for part in parts]).astype(np.int8)
    labels = np.stack([column, np.zeros_like(column)], axis=1)
    assert choose_min_bout_frames([labels]).tolist() == [2, 1]  # percentile 1.99; no bout
    assert choose_min_bout_frames([labels], percentile=50).tolist() == [50, 1]  # 50.5, to even


def test_bouts_are_not_joined_across_videos() -> None:
    video = np.ones((4, 1), dtype=np.int8)
    assert choose_min_bout_frames([video, video]).tolist() == [4]


@pytest.mark.parametrize(
    ("before", "length", "gaps_first", "bouts_first"),
    [
        ("000111001111111011000010", 2, "000111111111111111000000", "000111111111111111000000"),
        ("0001000", 1, "0000000", "0000000"),
        ("1110111", 1, "1111111", "1111111"),
        ("0101010", 1, "1111111", "0000000"),
        ("0010100", 1, "0011100", "0000000"),
        ("1000000", 1, "0000000", "0000000"),
        ("0110110", 2, "1111111", "1111111"),
        ("0011001100", 2, "1111111111", "0000000000"),
        ("0000000", 9, "0000000", "0000000"),
        ("1111111", 9, "1111111", "1111111"),
        ("1", 1, "1", "1"),
        ("0101", 0, "0101", "0101"),
    ],
)
def test_every_row_of_the_specification(
    before: str, length: int, gaps_first: str, bouts_first: str
) -> None:
    for order, expected in zip(ORDERS, (gaps_first, bouts_first), strict=True):
        assert to_text(drop_short_bouts(trace(before), np.array([length]), order)) == expected


@pytest.mark.parametrize("order", ORDERS)
def test_the_filter_equals_the_slow_one_on_4000_traces(order: Order) -> None:
    for values, longest in random_traces(4000):
        present = np.array(values)[:, None]
        filtered = drop_short_bouts(present, np.array([longest]), order)[:, 0].tolist()
        assert filtered == filter_slowly(values, longest, order)


@pytest.mark.parametrize("order", ORDERS)
def test_no_short_run_is_left_and_a_second_filter_changes_nothing(order: Order) -> None:
    for values, longest in random_traces(500):
        once = drop_short_bouts(np.array(values)[:, None], np.array([longest]), order)
        lengths = [len(list(run)) for _, run in itertools.groupby(once[:, 0].tolist())]
        assert len(lengths) == 1 or min(lengths) > longest
        np.testing.assert_array_equal(drop_short_bouts(once, np.array([longest]), order), once)


def test_columns_do_not_mix_and_the_input_stays() -> None:
    present = np.random.default_rng(0).random((200, 3)) < 0.3
    before = present.copy()
    lengths = np.array([1, 3, 6])
    filtered = drop_short_bouts(present, lengths)
    for column in range(3):
        alone = drop_short_bouts(present[:, [column]], lengths[[column]])
        np.testing.assert_array_equal(filtered[:, [column]], alone)
    np.testing.assert_array_equal(present, before)


def test_wrong_shapes_and_orders_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        drop_short_bouts(np.zeros((4, 2), dtype=bool), np.array([1]))
    with pytest.raises(ValueError, match="sideways"):
        drop_short_bouts(np.zeros((4, 1), dtype=bool), np.array([1]), "sideways")  # type: ignore[arg-type]


def test_the_bout_table_gives_frames_and_seconds(tmp_path: Path) -> None:
    write_bouts_csv([Bout("a, b", 3, 9), Bout("c", 9, 10)], 30.0, tmp_path / "bouts.csv")
    with (tmp_path / "bouts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "behavior": "a, b",
        "start_frame": "3",
        "stop_frame": "9",
        "start_seconds": "0.1000",
        "stop_seconds": "0.3000",
        "duration_seconds": "0.2000",
    }
    assert len(rows) == 2


@pytest.fixture(scope="module")
def vectors(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "postprocess_bouts.npz") as file:
        return dict(file)


@pytest.mark.parametrize("percentile", [1, 20])
def test_reference_lengths(vectors: dict[str, np.ndarray], percentile: int) -> None:
    labels = vectors["labels"].astype(np.int8)
    chosen = choose_min_bout_frames([labels, labels[:200]], percentile)
    np.testing.assert_array_equal(chosen, vectors[f"percentile{percentile}_lengths"])


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7])
def test_reference_traces(vectors: dict[str, np.ndarray], length: int) -> None:
    filtered = drop_short_bouts(vectors["raw_binary"].astype(bool), np.full(5, length))
    np.testing.assert_array_equal(filtered, vectors[f"traces_after_len{length}"])


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_reference_edges(vectors: dict[str, np.ndarray], length: int) -> None:
    filtered = drop_short_bouts(vectors["edge_in"].astype(bool).T, np.full(7, length)).T
    np.testing.assert_array_equal(filtered, vectors[f"edge_after_len{length}"])


@pytest.mark.parametrize("percentile", [1, 20])
def test_reference_whole_postprocessing(vectors: dict[str, np.ndarray], percentile: int) -> None:
    present = vectors["probabilities"] > vectors["thresholds_after_floor"]
    filtered = drop_short_bouts(present, vectors[f"percentile{percentile}_lengths"])
    filtered[:, 0] = ~filtered[:, 1:].any(axis=1)  # column 0 is background there
    np.testing.assert_array_equal(filtered, vectors[f"per_behavior_p{percentile}"])


def test_reference_bouts(vectors: dict[str, np.ndarray]) -> None:
    ethogram = Ethogram(vectors["labels"].astype(np.int8), tuple("01234"), 30.0)
    bouts = find_bouts(ethogram)
    for column in range(5):
        mine = [bout for bout in bouts if bout.behavior == str(column)]
        assert len(mine) == vectors["bout_counts"][column]
        assert [b.start for b in mine] == vectors[f"bout_starts_k{column}"].tolist()
        assert [b.stop - b.start for b in mine] == vectors[f"bout_lengths_k{column}"].tolist()
