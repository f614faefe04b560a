"""Tables of MABe 2025, as CSV and as Parquet."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError, ResourceError
from pixelethogram.pose.readers import mabe_table
from pixelethogram.pose.readers.assembly import Facts

PARTS = ("ear_left", "ear_right", "nose", "tail_base")
ORDER = [1, 2, 0, 3]  # of these names among those of the fixture


def rows_of(points: np.ndarray) -> list[tuple[int, int, str, float, float]]:
    return [
        (frame, animal + 1, part, *points[frame, animal, ORDER[place]])
        for frame in range(len(points))
        for animal in range(2)
        for place, part in enumerate(PARTS)
        if not np.isnan(points[frame, animal, ORDER[place], 0])
    ]


def write(path: Path, rows: list[tuple]) -> Path:
    lines = [",".join(mabe_table.COLUMNS), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def check(path: Path, points: np.ndarray, facts: Facts) -> None:
    assert mabe_table.can_read(path)
    ((name, pose),) = mabe_table.read(path, facts)
    assert (name, pose.individuals) == ("44566106", ("mouse 1", "mouse 2"))
    assert pose.skeleton.keypoints == PARTS
    np.testing.assert_allclose(pose.positions, points[:, :, ORDER], rtol=1e-5)
    np.testing.assert_array_equal(pose.confidence, ~pose.missing)


def test_a_csv_comes_back(points: np.ndarray, facts: Facts, tmp_path: Path) -> None:
    check(write(tmp_path / "44566106.csv", rows_of(points)[::-1]), points, facts)


def test_a_parquet_file_comes_back(points: np.ndarray, facts: Facts, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = zip(*rows_of(points), strict=True)
    table = pyarrow.table(dict(zip(mabe_table.COLUMNS, map(list, columns), strict=True)))
    parquet.write_table(table, tmp_path / "44566106.parquet")
    check(tmp_path / "44566106.parquet", points, facts)


def test_a_parquet_file_that_is_cut_off_is_an_input_error(facts: Facts, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    assert mabe_table.can_read(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="cannot be read"):
        list(mabe_table.read(tmp_path / "a.parquet", facts))


def test_without_pyarrow_the_error_says_what_to_install(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    (tmp_path / "a.parquet").write_bytes(b"PAR1 and more")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ResourceError, match="need pyarrow") as refusal:
        list(mabe_table.read(tmp_path / "a.parquet", facts))
    assert "pixelethogram[pose]" in str(refusal.value.do)


def test_a_keypoint_at_two_places_is_refused(
    points: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    rows = rows_of(points)
    with pytest.raises(InputError, match="two places"):
        list(mabe_table.read(write(tmp_path / "a.csv", [*rows, rows[3]]), facts))
    with pytest.raises(InputError, match="no frames"):
        list(mabe_table.read(write(tmp_path / "b.csv", []), facts))
    with pytest.raises(InputError, match="cannot be read"):
        list(mabe_table.read(write(tmp_path / "c.csv", [(0, 1, "nose", "oops", 2)]), facts))


def test_labels_are_not_taken_for_poses(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame,lick\n0,1\n")
    assert not mabe_table.can_read(tmp_path / "a.csv")
    assert not mabe_table.can_read(tmp_path)
