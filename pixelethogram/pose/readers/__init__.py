"""Readers of pose files: a table with one module per format, chosen by what is in the file.

A reader has two functions. `can_read(path) -> bool` looks into the file and never raises.
`read(path, facts) -> Iterator[(name, Pose)]` gives every recording of the file; positions are in
pixels, NaN where missing; where axes are in another order it raises an InputError with the expected
shape, and it never turns, pads, renames or drops anything. `facts` are size and rate, where known
from elsewhere. A new format is one file here and one line in READERS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers import (
    calms21,
    deeplabcut,
    mabe_table,
    mars,
    npz,
    sleap_analysis,
    sleap_labels,
)
from pixelethogram.pose.readers.assembly import Facts


class PoseReader(Protocol):
    """See the docstring of this folder."""

    def can_read(self, path: Path, /) -> bool:
        """True for a file of this format."""

    def read(self, path: Path, facts: Facts, /) -> Iterator[tuple[str, Pose]]:
        """Name and pose of every recording in the file."""


READERS: dict[str, PoseReader] = {
    "deeplabcut": deeplabcut,
    "sleap_analysis": sleap_analysis,
    "sleap_labels": sleap_labels,
    "mars": mars,
    "mabe_table": mabe_table,
    "npz": npz,
    "calms21": calms21,
}


def find_reader(path: Path) -> PoseReader | None:
    """The reader of a file; None: it holds no pose of a known format."""
    if not path.is_file():
        return None
    return next((reader for reader in READERS.values() if reader.can_read(path)), None)


def read_poses(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """Name and pose of every recording in a file.

    Raises:
        InputError: The format is not known, or the file is damaged.
    """
    reader = find_reader(path)
    if reader is None:
        raise InputError(
            "this is no pose file of a known format",
            where=path,
            do=f"known: {', '.join(READERS)} (docs/pose.md)",
        )
    yield from reader.read(path, facts)
