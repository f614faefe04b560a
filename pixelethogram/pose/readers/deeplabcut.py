"""DeepLabCut CSV and H5, one animal or several; Lightning Pose and EKS write the same CSV.

Columns have the levels scorer, [individuals,] bodyparts, coords, of which x, y and likelihood are
read. The H5 is a table of pandas; its column names are a pickled list of texts, and that is all
that is unpickled: a class in it is refused.
"""

from __future__ import annotations

import csv
import io
import logging
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.pose.hdf5_files import look_into, open_to_read
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts, build_pose
from pixelethogram.progress import format_count

logger = logging.getLogger(__name__)

LEVELS = ("scorer", "individuals", "bodyparts", "coords")
ALONE = "animal"  # where the file names none
NO_ANIMAL = "single"  # DeepLabCut's name for points that belong to no animal

Column = tuple[str, str, str]
"""Animal, keypoint, coordinate."""


def can_read(path: Path) -> bool:
    """True for a CSV whose rows begin with scorer … coords, and for an H5 table of pandas."""
    if path.suffix.lower() == ".csv":
        header = _read_header(path)
        return bool(header) and header[0][0] == LEVELS[0] and header[-1][0] == LEVELS[-1]
    return bool(look_into(path, _is_of_pandas))


def read(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """The one pose of a file, named like the file."""
    read_columns = _read_csv if path.suffix.lower() == ".csv" else _read_h5
    columns, index, values = read_columns(path)
    if not np.array_equal(index, np.arange(len(index))):
        raise InputError(
            "the rows are not frames 0, 1, 2, …",
            where=path,
            why="it holds labelled pictures, or frames were left out",
            do="take the file that analyze_videos wrote; nothing is filled in by guess",
        )
    positions, confidence, keypoints, individuals = _to_arrays(path, columns, values)
    yield (
        path.stem,
        build_pose(
            path,
            positions,
            confidence,
            keypoints=keypoints,
            individuals=individuals,
            facts=facts,
        ),
    )


def _is_of_pandas(file: h5py.File) -> bool:
    return any(
        isinstance(item, h5py.Group) and "pandas_type" in item.attrs for item in file.values()
    )


def _read_header(path: Path) -> list[list[str]]:
    """The first rows whose first cell names a level, up to coords."""
    rows: list[list[str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file):
                if not row or row[0] not in LEVELS:
                    break
                rows.append(row)
                if row[0] == LEVELS[-1]:
                    return rows
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return []


def _read_csv(path: Path) -> tuple[list[Column], np.ndarray, np.ndarray]:
    header = _read_header(path)
    levels = {row[0]: row[1:] for row in header}
    names = levels.get("individuals", [ALONE] * len(levels["coords"]))
    columns = list(zip(names, levels["bodyparts"], levels["coords"], strict=True))
    try:
        table = np.loadtxt(
            path,
            delimiter=",",
            skiprows=len(header),
            ndmin=2,
            converters=_to_float,
            encoding="utf-8-sig",
        )
    except ValueError as error:
        raise InputError(
            f"a row cannot be read: {error}",
            where=path,
            why="the file is cut off, or holds labelled pictures instead of a tracked video",
            do="take the file that analyze_videos wrote",
        ) from error
    if table.shape[1] != len(columns) + 1:
        raise InputError(
            f"{format_count(table.shape[1] - 1, 'column')} of numbers, the header names "
            f"{len(columns)}",
            where=path,
        )
    return columns, table[:, 0], table[:, 1:]


def _to_float(cell: str) -> float:
    return float(cell) if cell else float("nan")  # not slower than without a converter


def _read_h5(path: Path) -> tuple[list[Column], np.ndarray, np.ndarray]:
    with open_to_read(path) as file:
        groups = [item for item in file.values() if isinstance(item, h5py.Group)]
        if len(groups) != 1 or "table" not in groups[0]:
            raise InputError(
                "this H5 is not laid out as DeepLabCut does (df_with_missing/table)",
                where=path,
                do="take the CSV beside it: deeplabcut.analyze_videos_converth5_to_csv",
            )
        table = groups[0]["table"]
        rows, blocks = table[()], [n for n in table.dtype.names or () if n.startswith("values")]
        columns = [
            column for name in blocks for column in _unpickle(table.attrs[f"{name}_kind"], path)
        ]
        values = np.concatenate([rows[name].reshape(len(rows), -1) for name in blocks], axis=1)
    named = [(column[-3] if len(column) > 3 else ALONE, *column[-2:]) for column in columns]
    return [(name, part, kind) for name, part, kind in named], rows["index"], values


class _TextsOnly(pickle.Unpickler):
    """Unpickles lists and tuples of texts; every class or function is refused."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed here")


def _unpickle(data: object, path: Path) -> list[tuple[str, ...]]:
    try:
        columns = _TextsOnly(io.BytesIO(bytes(data))).load()  # type: ignore[call-overload]
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise InputError(
            f"the names of the columns cannot be read: {error}", where=path, do="take the CSV"
        ) from error
    return [tuple(map(str, column)) for column in columns]


def _to_arrays(
    path: Path, columns: Sequence[Column], values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Positions (T, N, P, 2), confidence (T, N, P), keypoints and individuals."""
    names = list(dict.fromkeys(column[0] for column in columns))
    individuals = [name for name in names if name != NO_ANIMAL] if len(names) > 1 else names
    if len(individuals) < len(names):
        logger.warning('%s: the points of "%s" belong to no animal', path.name, NO_ANIMAL)
    keypoints = list(dict.fromkeys(part for name, part, _ in columns if name in individuals))
    place = {column: index for index, column in enumerate(columns)}
    blank = np.full(len(values), np.nan)

    def stack(coordinate: str) -> np.ndarray:
        parts = [
            [
                values[:, place[key]] if (key := (name, part, coordinate)) in place else blank
                for part in keypoints
            ]
            for name in individuals
        ]
        return np.array(parts).transpose(2, 0, 1)

    kinds = {column[2] for column in columns}
    if not {"x", "y"} <= kinds:
        raise InputError(f"the coordinates are {sorted(kinds)}, expected x and y", where=path)
    positions = np.stack([stack("x"), stack("y")], axis=-1)
    has_likelihood = "likelihood" in kinds
    confidence = stack("likelihood") if has_likelihood else np.ones(positions.shape[:3])
    return positions, confidence, keypoints, individuals
