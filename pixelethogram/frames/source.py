"""FrameSource: one door to every kind of recording."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.frames.frame_table import FrameTable
from pixelethogram.frames.image_folder import IMAGE_SUFFIXES, ImageFolder
from pixelethogram.frames.movie import MOVIE_SUFFIXES, Hdf5Movie
from pixelethogram.frames.video import VIDEO_SUFFIXES, VideoFile

HASHED_BYTES = 1 << 20


class FrameSource(Protocol):
    """Consecutive RGB frames of one recording; frame 0 is the first."""

    @property
    def num_frames(self) -> int:
        """Frames; an upper bound for a video file that was neither scanned nor iterated."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def fps(self) -> float:
        """Average frames per second."""

    def scan(self) -> FrameTable | None:
        """Count the frames exactly; the table of a video file, None for other recordings."""

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, H, W, 3) uint8 in the order asked for, repeats allowed."""

    def iterate(self) -> Iterator[np.ndarray]:
        """All frames (H, W, 3) uint8 in order, each decoded once; memory stays flat."""

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> FrameSource: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_frames(path: Path, table: FrameTable | None = None) -> FrameSource:
    """Open a video file, a folder of images or an HDF5 movie.

    Args:
        path: The recording.
        table: Frame table of a video file, for frame-exact random access.

    Raises:
        InputError: No such path, or nothing that holds frames.
    """
    if not path.exists():
        raise InputError("there is no such recording", where=path, do="check the path")
    if path.is_dir():
        return ImageFolder(path)
    if path.suffix.lower() in MOVIE_SUFFIXES:
        return Hdf5Movie(path)
    return VideoFile(path, table)


def is_recording(path: Path) -> bool:
    """True for a file with the suffix of a video or movie, and for a folder with images in it."""
    if path.is_dir():
        return any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in path.iterdir())
    return path.suffix.lower() in VIDEO_SUFFIXES | MOVIE_SUFFIXES


def find_recordings(sources: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Every recording in files and folders.

    Inside folders only video files are taken; an image folder or an HDF5 movie must be named
    itself. Results of earlier predictions and hidden files are left alone.

    Returns:
        (recording, its folder relative to the folder given), sorted within each source.

    Raises:
        InputError: A path does not exist, or nothing was found.
    """
    found: list[tuple[Path, Path]] = []
    for source in sources:
        if not source.exists():
            raise InputError("there is no such file or folder", where=source, do="check the path")
        if source.is_file() or is_recording(source):
            found.append((source, Path()))
            continue
        inside = [path for path in sorted(source.rglob("*")) if _is_video_inside(path, source)]
        found += [(path, path.parent.relative_to(source)) for path in inside]
    if not found:
        raise InputError(
            "there is no video here",
            where=", ".join(map(str, sources)),
            do="give video files, or a folder that holds some",
        )
    return found


def hash_recording(source: Path) -> str:
    """Quick sha256: size, first and last megabyte; of a folder the names and sizes of pictures."""
    digest = hashlib.sha256()
    if source.is_dir():
        for entry in sorted(source.iterdir()):
            if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith("."):
                digest.update(f"{entry.name}:{entry.stat().st_size}\n".encode())
        return digest.hexdigest()
    try:
        with source.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(str(size).encode())
            for start in (0, max(0, size - HASHED_BYTES)):
                file.seek(start)
                digest.update(file.read(HASHED_BYTES))
    except OSError as error:
        raise InputError(
            f"cannot read the recording: {error.strerror}", where=source, do="check the path"
        ) from error
    return digest.hexdigest()


def _is_video_inside(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and not hidden
