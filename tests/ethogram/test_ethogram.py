"""Ethogram and its CSV file."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import (
    Ethogram,
    read_csv,
    write_csv,
    write_probabilities_csv,
)

BEHAVIORS = ("groom", "rear, supported", 'le "lécher"', "spaced ü")


def random_ethogram(seed: int, num_frames: int = 12) -> Ethogram:
    values = np.random.default_rng(seed).integers(-1, 2, (num_frames, len(BEHAVIORS)))
    return Ethogram(values.astype(np.int8), BEHAVIORS, 30.0)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("seed", range(20))
def test_a_written_ethogram_reads_back_the_same(seed: int, tmp_path: Path) -> None:
    ethogram = random_ethogram(seed, num_frames=1 + seed)
    write_csv(ethogram, tmp_path / "labels.csv")
    read = read_csv(tmp_path / "labels.csv", BEHAVIORS, 1 + seed, 30.0)
    np.testing.assert_array_equal(read.values, ethogram.values)
    assert (read.behaviors, read.fps, read.values.dtype) == (BEHAVIORS, 30.0, np.int8)


def test_the_file_looks_as_documented(tmp_path: Path) -> None:
    values = np.array([[1, 0], [-1, 1]], dtype=np.int8)
    write_csv(Ethogram(values, ("groom", "rear, up"), 25.0), tmp_path / "labels.csv")
    text = (tmp_path / "labels.csv").read_text(encoding="utf-8")
    assert text == 'frame,groom,"rear, up"\n0,1,0\n1,-1,1\n'


def test_columns_are_matched_by_name_and_come_in_the_projects_order(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "frame,b,c,a\n0,1,0,-1\n1,0,1,0\n")
    assert read_csv(path, ("a", "b", "c"), 2, 30.0).values.tolist() == [[-1, 1, 0], [0, 0, 1]]
    assert read_csv(path, None, None, 30.0).behaviors == ("b", "c", "a")


def test_files_of_spreadsheet_programs_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "\ufeffframe, a\r\n0, 1\r\n1, -1\r\n\r\n")
    assert read_csv(path, ("a",), 2, 30.0).values.tolist() == [[1], [-1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("frame,a\n0,1\n1,0\n", ('missing "b"', "line 1")),
        ("frame,a,b,c\n0,1,0,0\n1,0,0,0\n", ('unknown "c"', "line 1")),
        ("frame,a,B\n0,1,0\n1,0,0\n", ('missing "b"; unknown "B"',)),
        ("frame,a,b,a\n0,1,0,0\n1,0,0,0\n", ('column 4 is called "a"', "line 1")),
        ("frame,a,,b\n0,1,0,0\n1,0,0,0\n", ('column 3 is called ""',)),
        ("time,a,b\n0,1,0\n1,0,0\n", ('header is "time,a,b"', "write a header such as: frame,a,b")),
        ("frame;a;b\n0;1;0\n", ("with commas",)),
        ("", ("header is",)),
        ("frame,a,b\n", ("no row",)),
        ("frame,a,b\n0,1,0\n", ("1 row, but the video has 2 frames", "another video")),
        ("frame,a,b\n0,1,0\n1,0,0\n2,0,0\n", ("3 rows",)),
        ("frame,a,b\n0,1,0\n1,0,2\n", ('the cell is "2"', 'line 3, column "b"', "1, 0, or -1")),
        ("frame,b,a\n0,1,0\n1,,0\n", ('the cell is ""', 'line 3, column "b"')),
        ("frame,a,b\n0,1,0\n1,1.0,0\n", ('the cell is "1.0"', 'line 3, column "a"')),
        ("frame,a,b\n0,1,0\n1,0\n", ("2 cells, expected 3", "line 3")),
        ("frame,a,b\n\n0,1,0\n1,0,0\n", ("0 cells", "line 2")),
        ("frame,a,b\n1,1,0\n0,0,0\n", ('frame "1", expected 0', "line 2", "sort the rows")),
        ("frame,a,b\n1,1,0\n2,0,0\n", ('frame "1", expected 0', "counted from 0")),
        ("frame,a,b\n0,1,0\n0,0,0\n", ('frame "0", expected 1', "line 3")),
    ],
)
def test_what_does_not_fit_is_named_with_its_place_and_a_remedy(
    text: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    path = write(tmp_path / "labels.csv", text)
    with pytest.raises(InputError) as caught:
        read_csv(path, ("a", "b"), 2, 30.0)
    for words in (*expected, str(path), "do:"):
        assert words in str(caught.value)


def test_an_absent_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_csv(tmp_path / "labels.csv", ("a",), 2, 30.0)


def test_another_encoding_is_an_input_error(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "frame,lécher\n0,1\n", encoding="latin-1")
    with pytest.raises(InputError, match="CSV UTF-8"):
        read_csv(path, None, None, 30.0)


def test_a_huge_cell_is_an_input_error(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", 'frame,a\n0,"' + "1" * 200_000 + '"\n')
    with pytest.raises(InputError, match="not a table"):
        read_csv(path, None, None, 30.0)


def test_two_hours_of_video_are_read_fast(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-1, 2, (216_000, 5)).astype(np.int8)
    write_csv(Ethogram(values, ("a", "b", "c", "d", "e"), 30.0), tmp_path / "labels.csv")
    start = time.process_time()
    read = read_csv(tmp_path / "labels.csv", None, 216_000, 30.0)
    assert time.process_time() - start < 2.0  # about 0.4 s on an idle machine
    np.testing.assert_array_equal(read.values, values)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "labels.csv", "old")

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_scored_is_where_somebody_decided() -> None:
    ethogram = Ethogram(np.array([[1, 0, -1]], dtype=np.int8), ("a", "b", "c"), 30.0)
    assert ethogram.scored.tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("values", "behaviors", "fps"),
    [
        (np.zeros((3, 2), np.int8), ("a",), 30.0),
        (np.zeros(3, np.int8), ("a",), 30.0),
        (np.zeros((3, 1), np.int64), ("a",), 30.0),
        (np.full((3, 1), 2, np.int8), ("a",), 30.0),
        (np.zeros((3, 2), np.int8), ("a", "a"), 30.0),
        (np.zeros((3, 1), np.int8), ("",), 30.0),
        (np.zeros((3, 1), np.int8), (" a",), 30.0),
        (np.zeros((3, 1), np.int8), ("a",), 0.0),
        (np.zeros((3, 1), np.int8), ("a",), float("nan")),
    ],
)
def test_an_impossible_ethogram_does_not_exist(
    values: np.ndarray, behaviors: tuple[str, ...], fps: float
) -> None:
    with pytest.raises(ValueError, match="expected|must be"):
        Ethogram(values, behaviors, fps)


def test_probabilities_come_back_to_four_decimals(tmp_path: Path) -> None:
    probabilities = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    write_probabilities_csv(probabilities, BEHAVIORS, tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["frame", *BEHAVIORS]
    read = np.array(rows, dtype=np.float64)
    assert read[:, 0].tolist() == list(range(50))
    np.testing.assert_allclose(read[:, 1:], probabilities, atol=0.5001e-4, rtol=0)


def test_the_probability_file_looks_as_documented(tmp_path: Path) -> None:
    write_probabilities_csv(np.array([[0.5, 1.0], [0.12346, 0.0]]), ("a", "b"), tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text(encoding="utf-8")
    assert text == "frame,a,b\n0,0.5000,1.0000\n1,0.1235,0.0000\n"


@pytest.mark.parametrize("wrong", [np.full((2, 1), 1.1), np.full((2, 1), np.nan), np.zeros((2, 2))])
def test_impossible_probabilities_are_not_written(wrong: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        write_probabilities_csv(wrong, ("a",), tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
