"""Arrays of one video on disk: features and probabilities, one HDF5 file per video and run.

::

    features/<run>.h5     attrs: complete, run, weights_sha256, video_sha256, precision, frames,
                          colors; of keypoints pose_sha256 in place of the last two
        features          (T, D) float16, chunks of 256 frames
        logits            (T, O) float32, the features stage's own opinion, without temporal context
        spatial_logits, flow_logits  (T, O) float32, each stream's
    sequence/<run>.h5     attrs: complete, run, behaviors
        probabilities     (T, K) float32

A file is written under a temporary name and renamed when whole, so what has its final name is
complete. Keyed by run: after a new training there are no features yet, and stale ones cannot be
used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.progress import format_count

CHUNK_FRAMES = 256


def unfinished_path(path: Path) -> Path:
    """Where a file is written until it is complete."""
    return path.with_name(f".{path.name}.partial")


def create_hdf5(path: Path) -> h5py.File:
    """A new HDF5 file without a chunk cache.

    With one, a full disk would not be an OSError here but a crash inside HDF5 at exit.
    """
    return h5py.File(path, "w", rdcc_nbytes=0)


def give_name(unfinished: Path, path: Path) -> None:
    """Name a closed and complete file, once it is on the disk."""
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


class ArrayWriter:
    """Appends blocks of frames to named arrays; the file gets its name only in `finish`.

    Memory does not grow with the number of frames. Leaving the `with` block without `finish`
    (an error, Ctrl+C) removes the temporary file; after a kill the next writer overwrites it.

    Args:
        path: Final name of the file.
        attributes: Kept as attributes of the file; lists and dicts as JSON.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        plain = {name: _to_plain(value) for name, value in attributes.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._temporary = unfinished_path(path)
        self._file = create_hdf5(self._temporary)
        self._file.attrs.update(plain)
        self._waiting: dict[str, np.ndarray] = {}

    def __enter__(self) -> ArrayWriter:
        return self

    def append(self, **blocks: np.ndarray) -> None:
        """Add the next frames of each array; blocks are (n, columns)."""
        for name, block in blocks.items():
            earlier = self._waiting.get(name)
            rows = block if earlier is None else np.concatenate([earlier, block])
            whole = len(rows) - len(rows) % CHUNK_FRAMES
            if whole:
                self._write(name, rows[:whole])
            self._waiting[name] = rows[whole:]

    def annotate(self, attributes: Mapping[str, Any]) -> None:
        """Keep more attributes, such as what was only known at the end."""
        self._file.attrs.update({name: _to_plain(value) for name, value in attributes.items()})

    def finish(self) -> None:
        """Mark the file complete and give it its name."""
        for name, rows in self._waiting.items():
            self._write(name, rows)
        self._file.attrs["complete"] = True
        self._file.close()
        give_name(self._temporary, self._path)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._file:
                self._file.close()  # writes what is left, which a full disk refuses
        finally:
            self._temporary.unlink(missing_ok=True)

    def _write(self, name: str, rows: np.ndarray) -> None:
        """Append rows to a dataset; whole chunks, except for the last ones."""
        dataset = self._file.get(name)
        if dataset is None:
            dataset = self._file.create_dataset(
                name,
                shape=(0, rows.shape[1]),
                maxshape=(None, rows.shape[1]),
                chunks=(CHUNK_FRAMES, rows.shape[1]),
                dtype=rows.dtype,
            )
        start = dataset.shape[0]
        dataset.resize(start + len(rows), axis=0)
        dataset[start:] = rows


class ArrayReader:
    """Reads stretches of frames from a complete file.

    Args:
        path: File made by ArrayWriter.
        num_frames: Frames of the video; every array must have that many rows.

    Raises:
        InputError: No such file, not complete, damaged, or of another length.
    """

    def __init__(self, path: Path, num_frames: int | None = None) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except FileNotFoundError as error:
            raise InputError(
                f"{path.name} is not there", where=path.parent, do="run the stage again"
            ) from error
        except OSError as error:
            raise InputError(
                f"{path.name} is damaged: {error}", where=path, do="delete it and extract again"
            ) from error
        try:
            self._check(num_frames)
        except InputError:
            self._file.close()
            raise

    def __enter__(self) -> ArrayReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def num_frames(self) -> int:
        """Rows of every array."""
        return next(iter(self._file.values())).shape[0]

    @property
    def names(self) -> list[str]:
        """Names of the arrays."""
        return list(self._file)

    def attribute(self, name: str) -> Any:
        """An attribute; text and numbers as they were written, all else as JSON; None if absent."""
        value = self._file.attrs.get(name)
        return value.item() if isinstance(value, np.generic) else value

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows `start` to `stop` (half-open) of an array, in the type it was stored in."""
        return self._file[name][start:stop]

    def _check(self, num_frames: int | None) -> None:
        if not self._file.attrs.get("complete", False):
            raise InputError(f"{self.path.name} is not complete", where=self.path, do="delete it")
        for name, dataset in self._file.items():
            if num_frames is not None and dataset.shape[0] != num_frames:
                raise InputError(
                    f"{name} has {format_count(dataset.shape[0], 'frame')}, "
                    f"the video has {num_frames}",
                    where=self.path,
                    why="the video file was replaced after extraction",
                    do="delete the file and run: pixelethogram extract",
                )


def _to_plain(value: Any) -> str | int | float:
    return value if isinstance(value, str | int | float) else json.dumps(value)


def array_file(folder: Path, stage: str, run_id: str) -> Path:
    """Where the arrays of a run of one video lie."""
    return folder / stage / f"{run_id}.h5"
