"""Frame tables: what they tell of times and damage, and the way to disk and back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.frames.frame_table import (
    NO_PTS,
    FrameTable,
    read_frame_table,
    write_frame_table,
)


def _table(num_frames: int, **changes: Any) -> FrameTable:
    values: dict[str, Any] = {
        "pts": np.arange(num_frames, dtype=np.int64) * 512,
        "keyframes": np.arange(num_frames) % 12 == 0,
        "damaged": np.zeros(num_frames, bool),
        "intact": True,
        "time_base": Fraction(1, 15360),
        "stated_fps": 30.0,
        "height": 48,
        "width": 64,
    }
    return FrameTable(**(values | changes))


def test_a_table_survives_the_disk(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = _table(
        77,
        pts=np.sort(generator.choice(10**6, 77, replace=False)),
        damaged=generator.random(77) < 0.1,
        intact=False,
        time_base=Fraction(1001, 30000),
    )
    write_frame_table(table, tmp_path / "table.npz")
    again = read_frame_table(tmp_path / "table.npz")
    for name in ("pts", "keyframes", "damaged"):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))
    assert again.time_base == table.time_base
    assert (again.intact, again.stated_fps, again.height, again.width) == (False, 30.0, 48, 64)
    assert [path.name for path in tmp_path.iterdir()] == ["table.npz"]


def test_the_table_of_two_hours_is_small(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).integers(-3, 4, 216_000)
    table = _table(216_000, pts=np.arange(216_000) * 512 + jitter)
    write_frame_table(table, tmp_path / "table.npz")
    assert (tmp_path / "table.npz").stat().st_size < 1_000_000


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_a_damaged_table_is_an_input_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"table\.npz"):
        read_frame_table(tmp_path / "table.npz")


def test_damaged_frames_show_the_last_good_one() -> None:
    damaged = np.array([1, 1, 0, 0, 1, 1, 0], bool)
    assert _table(7, damaged=damaged).sources.tolist() == [2, 2, 2, 3, 3, 3, 6]


def test_missing_time_stamps_mean_the_stated_rate() -> None:
    table = _table(5, pts=np.array([0, 512, NO_PTS, 1536, 2048]), stated_fps=12.5)
    assert not table.has_times
    assert table.fps == 12.5
    np.testing.assert_allclose(table.seconds, np.arange(5) / 12.5)
