"""FrameTable: what one pass over a video file found out about each of its frames."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError

NO_PTS = int(np.iinfo(np.int64).min)  # of frames without a time stamp


@dataclasses.dataclass(frozen=True)
class FrameTable:
    """Where every frame of a video is."""

    pts: np.ndarray
    """(T,) int64 presentation time stamps in units of `time_base`; NO_PTS where none is stated."""
    keyframes: np.ndarray
    """(T,) bool; decoding can begin here."""
    damaged: np.ndarray
    """(T,) bool; could not be decoded and repeats the good frame before (or the first good one)."""
    intact: bool
    """The decoder met no damage and gave as many frames as the file states."""
    time_base: Fraction
    """Seconds per unit of `pts`."""
    stated_fps: float
    """Rate in the file's header, used where there are no time stamps."""
    height: int
    """Pixels, after the rotation that the file asks for."""
    width: int
    """Pixels."""

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.pts)

    @property
    def num_damaged(self) -> int:
        """Frames that repeat another one."""
        return int(self.damaged.sum())

    @property
    def has_times(self) -> bool:
        """True where time stamps rise from frame to frame, so that frames can be sought by them."""
        return bool((self.pts != NO_PTS).all() and (np.diff(self.pts) > 0).all())

    @property
    def can_seek(self) -> bool:
        """True where decoding from a key frame gives the same pictures as from the start."""
        return self.has_times and self.intact

    @property
    def seconds(self) -> np.ndarray:
        """(T,) float64 since the first frame; frame / fps where time stamps cannot be trusted."""
        if not self.has_times:
            return np.arange(self.num_frames) / self.fps
        return (self.pts - self.pts[0]) * float(self.time_base)

    @property
    def fps(self) -> float:
        """Average rate by the time stamps."""
        return measure_fps(self.pts, self.time_base) or self.stated_fps

    @property
    def variable_rate(self) -> bool:
        """True where frame / fps is wrong by more than half a frame somewhere."""
        error = self.seconds - np.arange(self.num_frames) / self.fps
        return bool(np.abs(error).max(initial=0) * self.fps > 0.5)

    @property
    def sources(self) -> np.ndarray:
        """(T,) the frame whose picture each frame shows: itself, or the good one it repeats."""
        numbers = np.where(self.damaged, -1, np.arange(self.num_frames))
        return np.maximum(np.maximum.accumulate(numbers), np.argmin(self.damaged))


def write_frame_table(table: FrameTable, path: Path) -> None:
    """Keep a frame table as npz, atomically; steps compress to about a byte per frame."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        steps=np.diff(table.pts, prepend=np.int64(0)),
        keyframes=np.packbits(table.keyframes),
        damaged=np.packbits(table.damaged),
        intact=table.intact,
        time_base=np.array([table.time_base.numerator, table.time_base.denominator]),
        stated_fps=table.stated_fps,
        size=np.array([table.height, table.width]),
    )
    write_bytes(path, buffer.getvalue())


def read_frame_table(path: Path) -> FrameTable:
    """The table that `write_frame_table` kept.

    Raises:
        InputError: Missing, damaged, or of another version.
    """
    try:
        with np.load(path) as content:
            pts = np.cumsum(content["steps"])
            height, width = content["size"].tolist()
            return FrameTable(
                pts,
                np.unpackbits(content["keyframes"], count=len(pts)).astype(bool),
                np.unpackbits(content["damaged"], count=len(pts)).astype(bool),
                bool(content["intact"]),
                Fraction(*content["time_base"].tolist()),
                float(content["stated_fps"]),
                height,
                width,
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"the frame table cannot be read: {error}",
            where=path,
            why="it is damaged or was made by another version",
            do="remove it and add the video again",
        ) from error


def measure_fps(pts: np.ndarray, time_base: Fraction | None) -> float | None:
    """Average rate; None where time stamps are missing or stand still."""
    if len(pts) < 2 or (pts == NO_PTS).any() or pts.max() == pts.min() or not time_base:
        return None
    return (len(pts) - 1) / float((pts.max() - pts.min()) * time_base)
