"""Hdf5Movie: a (T, H, W) or (T, H, W, 3) uint8 dataset as a recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.frames.closing import ClosesItself

MOVIE_SUFFIXES = frozenset({".h5", ".hdf5"})
DEFAULT_FPS = 30.0
BLOCK_BYTES = 1 << 24  # read at once


class Hdf5Movie(ClosesItself):
    """The only movie in an HDF5 file; its attribute `fps` is used when there is one, else 30.

    Args:
        path: HDF5 file.

    Raises:
        InputError: No such dataset, or more than one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InputError(f"this HDF5 file cannot be read: {error}", where=path) from error
        movies: list[Any] = []
        self._file.visititems(lambda _, item: movies.append(item) if _is_movie(item) else None)
        if len(movies) != 1:
            found = ", ".join(movie.name for movie in movies) or "none"
            self._file.close()
            raise InputError(
                f"expected one uint8 dataset (frames, height, width[, 1 or 3]), found {found}",
                where=path,
                do="keep one movie per file",
            )
        self._movie = movies[0]
        self.num_frames, self.height, self.width = self._movie.shape[:3]
        stated = float(self._movie.attrs.get("fps", self._file.attrs.get("fps", DEFAULT_FPS)))
        self.fps = stated if 0 < stated < float("inf") else DEFAULT_FPS

    def scan(self) -> None:
        """Nothing to find out: the shape says it all."""

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, H, W, 3) uint8 in the order asked for."""
        unique, order = np.unique(np.asarray(indices), return_inverse=True)
        return _to_rgb(self._movie[unique])[order]

    def iterate(self) -> Iterator[np.ndarray]:
        """All frames in order, read in blocks."""
        frame_bytes = int(np.prod(self._movie.shape[1:]))
        chunk = self._movie.chunks[0] if self._movie.chunks else 1
        step = max(1, BLOCK_BYTES // frame_bytes, chunk)
        for start in range(0, self.num_frames, step):
            for frame in self._movie[start : start + step]:
                yield _to_rgb(frame[None])[0]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_movie(item: Any) -> bool:
    if not isinstance(item, h5py.Dataset) or item.dtype != np.uint8 or not item.size:
        return False
    return item.ndim == 3 or (item.ndim == 4 and item.shape[3] in (1, 3))


def _to_rgb(block: np.ndarray) -> np.ndarray:
    if block.ndim == 3:
        block = block[..., None]
    return np.ascontiguousarray(np.broadcast_to(block, (*block.shape[:3], 3)))
