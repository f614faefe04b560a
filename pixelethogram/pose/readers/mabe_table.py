"""Tables of MABe 2025: one row per frame, animal and keypoint, as CSV or Parquet.

Columns `video_frame`, `mouse_id`, `bodypart`, `x`, `y`; what has no row is missing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.errors import InputError, ResourceError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts, build_pose

COLUMNS = ("video_frame", "mouse_id", "bodypart", "x", "y")
PARQUET = b"PAR1"


def can_read(path: Path) -> bool:
    """True for a CSV with these columns, and for every Parquet file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(len(PARQUET)) == PARQUET:
            return True
    return path.suffix.lower() == ".csv" and set(COLUMNS) <= set(_read_first_row(path))


def read(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """The one pose of a file, named like the file; it ends with the last frame that has a row."""
    with path.open("rb") as file:
        is_parquet = file.read(len(PARQUET)) == PARQUET
    table = _read_parquet(path) if is_parquet else _read_csv(path)
    frames = table["video_frame"].astype(np.int64)
    if not len(frames) or frames.min() < 0:
        raise InputError("there are no frames, or some before frame 0", where=path)
    animals, animal = np.unique(table["mouse_id"].astype(str), return_inverse=True)
    parts, part = np.unique(table["bodypart"].astype(str), return_inverse=True)
    positions = np.full((frames.max() + 1, len(animals), len(parts), 2), np.nan, np.float32)
    cell = np.ravel_multi_index((frames, animal, part), positions.shape[:3])
    if len(np.unique(cell)) < len(cell):
        raise InputError(
            "a keypoint has two places on one frame", where=path, do="keep one video per file"
        )
    xy = np.stack([table["x"], table["y"]], axis=-1).astype(np.float32)
    positions.reshape(-1, 2)[cell] = xy
    yield (
        path.stem,
        build_pose(
            path,
            positions,
            None,
            keypoints=parts.tolist(),
            individuals=[f"mouse {name}" for name in animals.tolist()],
            facts=facts,
        ),
    )


def _read_first_row(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        numbers = {
            name: np.array([float(row[name] or "nan") for row in rows])
            for name in ("video_frame", "x", "y")
        }
        return numbers | {
            name: np.array([row[name] for row in rows]) for name in ("mouse_id", "bodypart")
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a row cannot be read: {error}", where=path) from error


def _read_parquet(path: Path) -> dict[str, Any]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ResourceError(
            "Parquet files need pyarrow", where=path, do='pip install "pixelethogram[pose]"'
        ) from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"this Parquet file cannot be read: {error}", where=path, do="copy it again"
        ) from error
    if not set(COLUMNS) <= set(table.column_names):
        raise InputError(
            f"columns are {', '.join(table.column_names)}; expected {', '.join(COLUMNS)}",
            where=path,
        )
    return {name: table[name].to_numpy(zero_copy_only=False) for name in COLUMNS}
