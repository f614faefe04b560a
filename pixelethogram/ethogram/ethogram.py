"""The ethogram, frames × behaviors, and its CSV file: one format for people and models.

Comes in: arrays or `labels.csv`. Goes out: a checked `Ethogram`, or a file, whole or not at all.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError
from pixelethogram.progress import format_count

FRAME_COLUMN = "frame"
LABEL_CELLS = {"0": 0, "1": 1, "-1": -1}


@dataclass(frozen=True, eq=False)
class Ethogram:
    """Which behavior is present on which frame.

    Args:
        values: (T, K) int8; 1 present, 0 absent, −1 not scored.
        behaviors: K different names without outer spaces, one per column.
        fps: Frames per second of the video.

    Raises:
        ValueError: The three do not fit together.

    Example:
        >>> ethogram = Ethogram(np.array([[1], [-1]], dtype=np.int8), ("groom",), fps=30.0)
        >>> ethogram.scored.ravel().tolist()
        [True, False]
    """

    values: np.ndarray
    behaviors: tuple[str, ...]
    fps: float

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.behaviors):
            raise ValueError(
                f"expected (T, {len(self.behaviors)}) values, one column per behavior, "
                f"got {self.values.shape}"
            )
        if self.values.dtype != np.int8 or not np.isin(self.values, (-1, 0, 1)).all():
            raise ValueError(f"values must be int8 and −1, 0 or 1, got {self.values.dtype}")
        names = {name.strip() for name in self.behaviors} - {""}
        if names != set(self.behaviors) or len(names) != len(self.behaviors):
            raise ValueError(f"behaviors must be different trimmed names, got {self.behaviors}")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be a positive number, got {self.fps}")

    @property
    def scored(self) -> np.ndarray:
        """(T, K) bool: where somebody decided."""
        return self.values >= 0


def read_csv(
    path: Path, behaviors: Sequence[str] | None, num_frames: int | None, fps: float
) -> Ethogram:
    """Read labels or predictions; columns are matched by name.

    Args:
        path: File with the header `frame,<behavior>,…` and one row per frame, counted from 0.
        behaviors: The project's behaviors; the result has their order. None: the file's.
        num_frames: Frames of the video, which the rows must match. None: whatever the file has.
        fps: Frames per second of the video.

    Raises:
        InputError: With file, line, value and remedy, when anything does not fit.
    """
    names, rows, first_line = _read_table(path, behaviors, num_frames)
    cells = _parse_cells(rows, _place(path, first_line, names))
    values = np.array(cells, dtype=np.int8).reshape(len(rows), len(names))
    wanted = tuple(names if behaviors is None else behaviors)
    return Ethogram(values[:, [names.index(name) for name in wanted]], wanted, fps)


def write_csv(ethogram: Ethogram, path: Path) -> None:
    """Write `frame,<behavior>,…`, one row per frame, cells 1, 0, −1; whole or not at all."""
    rows = (
        f"{frame},{','.join(map(str, row))}" for frame, row in enumerate(ethogram.values.tolist())
    )
    write_bytes(path, "\n".join([_header(ethogram.behaviors), *rows, ""]).encode())


def write_probabilities_csv(
    probabilities: np.ndarray, behaviors: Sequence[str], path: Path
) -> None:
    """Write probabilities (T, K) with four decimals, in the layout of an ethogram.

    Raises:
        ValueError: Not (T, K), or a value outside [0, 1].
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(behaviors):
        raise ValueError(f"expected (T, {len(behaviors)}) probabilities, got {probabilities.shape}")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    line = "%d" + ",%.4f" * len(behaviors)
    rows = (line % (frame, *row) for frame, row in enumerate(probabilities.tolist()))
    write_bytes(path, "\n".join([_header(behaviors), *rows, ""]).encode())


def _header(behaviors: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([FRAME_COLUMN, *behaviors])
    return text.getvalue()


def _read_table(
    path: Path, behaviors: Sequence[str] | None, num_frames: int | None
) -> tuple[list[str], list[list[str]], int]:
    """Names, rows of text with a checked frame column, and the line of the first row."""
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), skipinitialspace=True)
    header = next(reader, [])
    first_line = reader.line_num + 1
    names = _check_header(header, behaviors, path)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InputError(f"not a table: {error}", where=f"{path}, line {reader.line_num}") from None
    while rows and not rows[-1]:
        rows.pop()  # blank lines at the end
    _check_rows(rows, len(names), path, first_line)
    if num_frames is not None and len(rows) != num_frames:
        raise InputError(
            f"{format_count(len(rows), 'row')}, but the video has "
            f"{format_count(num_frames, 'frame')}",
            where=path,
            why="the labels belong to another video, or were exported at another frame rate",
            do="give one row per frame of this video; -1 where nobody scored",
        )
    return names, rows, first_line


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            "there is no such file", where=path, do="check the name of the file"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text: byte {error.object[error.start]:#04x} at position {error.start}",
            where=path,
            why="the file was saved in an older encoding, or is not a CSV file",
            do="save it again as 'CSV UTF-8'",
        ) from None


def _check_header(header: list[str], behaviors: Sequence[str] | None, path: Path) -> list[str]:
    """Names of the behavior columns, in the file's order."""
    where = f"{path}, line 1"
    if not header or header[0] != FRAME_COLUMN or len(header) < 2:
        shown = ",".join(header)
        raise InputError(
            f'the header is "{shown[:80]}"',
            where=where,
            why="the first column must be called frame, then one column per behavior, with commas",
            do="write a header such as: " + ",".join([FRAME_COLUMN, *(behaviors or ["groom"])]),
        )
    names = header[1:]
    for position, name in enumerate(names):
        if not name or name in names[:position]:
            raise InputError(
                f'column {position + 2} is called "{name}"',
                where=where,
                why="every behavior needs a name of its own",
                do="rename or delete the column",
            )
    if behaviors is not None and set(names) != set(behaviors):
        raise InputError(
            "the columns are not the project's behaviors" + _difference(names, behaviors),
            where=where,
            do="rename the columns, add missing ones filled with -1 (not scored), delete others",
        )
    return names


def _difference(names: Sequence[str], behaviors: Sequence[str]) -> str:
    missing = ", ".join(f'"{name}"' for name in behaviors if name not in names)
    unknown = ", ".join(f'"{name}"' for name in names if name not in behaviors)
    return (f"; missing {missing}" if missing else "") + (f"; unknown {unknown}" if unknown else "")


def _check_rows(rows: list[list[str]], num_behaviors: int, path: Path, first_line: int) -> None:
    """Every row is as wide as the header and counts frames 0, 1, 2, …"""
    if not rows:
        raise InputError("no row, only a header", where=path, do="give one row per frame")
    for frame, row in enumerate(rows):
        if len(row) != num_behaviors + 1:
            raise InputError(
                f"{len(row)} cells, expected {num_behaviors + 1}",
                where=f"{path}, line {first_line + frame}",
                do="give the frame and one cell per behavior; -1 where nobody scored",
            )
        if row[0] != str(frame):
            raise InputError(
                f'frame "{row[0]}", expected {frame}',
                where=f"{path}, line {first_line + frame}",
                why="frames are counted from 0, in order, none left out",
                do="sort the rows by frame and fill gaps with -1 (not scored)",
            )


def _place(path: Path, first_line: int, names: Sequence[str]) -> Callable[[int, int], str]:
    """Function that says in words where row, column of the table stands."""
    return lambda row, column: f'{path}, line {first_line + row}, column "{names[column]}"'


def _parse_cells(rows: list[list[str]], place: Callable[[int, int], str]) -> list[int]:
    """All cells but the frame column, row by row, in one flat list."""
    try:
        return [LABEL_CELLS[cell] for row in rows for cell in row[1:]]
    except KeyError:
        row, column = next(
            (row, column)
            for row, cells in enumerate(rows)
            for column, cell in enumerate(cells[1:])
            if cell not in LABEL_CELLS
        )
    raise InputError(
        f'the cell is "{rows[row][column + 1]}"',
        where=place(row, column),
        do="cells must be 1, 0, or -1 (not scored)",
    )


def check_exclusive(ethogram: Ethogram, path: Path) -> None:
    """Refuse labels that have two behaviors on a frame, naming the file they were read from."""
    both = (ethogram.values == 1).sum(axis=1) > 1
    if both.any():
        raise InputError(
            f"two behaviors at once on {format_count(int(both.sum()), 'frame')}, first on frame "
            f"{both.argmax()}",
            where=path,
            why="the project is exclusive: at most one behavior per frame",
            do="mend the labels, or set exclusive: false in project.yaml",
        )
