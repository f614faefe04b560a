"""HDF5 files that may be anything: looked into without trouble, read with a plain message."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import h5py

from pixelethogram.errors import InputError

Found = TypeVar("Found")
DAMAGED = (OSError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading raises where a file is cut off, or a part of it is missing or something else."""


def look_into(path: Path, ask: Callable[[h5py.File], Found]) -> Found | None:
    """What `ask` finds in a file; None: it is missing, no HDF5, or damaged."""
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            return ask(file)
    except DAMAGED:
        return None


@contextlib.contextmanager
def open_to_read(path: Path) -> Iterator[h5py.File]:
    """The open file; all that h5py has to say against it becomes an InputError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DAMAGED as error:
        raise InputError(
            f"the file is damaged, or lacks a part: {error}",
            where=path,
            why="it was cut off while it was copied, or another program wrote it",
            do="copy it again, or let its program write it again",
        ) from error
