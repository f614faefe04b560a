"""VideoFile: frame-exact decoding of video files with PyAV; one reader for training and inference.

The frames of a video are the pictures its decoder yields, in presentation order. A damaged picture in
the middle is replaced by the last good one, so that later frames keep their numbers; what lies
behind the last good picture does not exist. `iterate` and `scan` count alike.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from pixelethogram.errors import InputError

VIDEO_SUFFIXES = frozenset(
    ".mp4 .avi .mov .mkv .webm .m4v .mpg .mpeg .wmv .asf .flv .ts .mts .m2ts .3gp .ogv .mjpeg .mjpg".split()
)
FALLBACK_FPS = 30.0  # for files that state neither a rate nor usable time stamps
MAX_THREADS = 4  # each holds a few decoded pictures
NO_PTS = int(np.iinfo(np.int64).min)  # of frames without a time stamp
MAX_RATE_SPREAD = 0.2  # relative; frame distances that vary more are a variable rate


@dataclasses.dataclass(frozen=True)
class FrameTable:
    """Where every frame of a video is."""

    pts: np.ndarray
    """(T,) int64 presentation time stamps in units of `time_base`; NO_PTS where the file states none."""
    time_base: float
    """Seconds per unit of `pts`."""
    num_damaged: int
    """Frames that could not be decoded and repeat the one before."""

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.pts)

    @property
    def has_times(self) -> bool:
        """True where time stamps rise from frame to frame, so that frames can be sought by them."""
        return bool((self.pts != NO_PTS).all() and (np.diff(self.pts) > 0).all())

    @property
    def seconds(self) -> np.ndarray | None:
        """(T,) float64 seconds since the first frame; None without time stamps."""
        return (self.pts - self.pts[0]) * self.time_base if self.has_times else None

    @property
    def fps(self) -> float | None:
        """Average rate; None without time stamps."""
        if not self.has_times or self.num_frames < 2:
            return None
        return (self.num_frames - 1) / float((self.pts[-1] - self.pts[0]) * self.time_base)

    @property
    def variable_rate(self) -> bool:
        """True where the distances of neighbouring frames differ by more than a fifth."""
        if not self.has_times or self.num_frames < 3:
            return False
        steps = np.diff(self.pts)
        return bool(np.percentile(steps, 99) > (1 + MAX_RATE_SPREAD) * np.percentile(steps, 1))


def write_frame_table(table: FrameTable, path: Path) -> None:
    """Keep a frame table as npz, atomically; differences compress to about a byte per frame."""
    buffer = io.BytesIO()
    steps = np.diff(table.pts, prepend=np.int64(0))
    np.savez_compressed(
        buffer, steps=steps, time_base=table.time_base, num_damaged=table.num_damaged
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)


def read_frame_table(path: Path) -> FrameTable:
    """The table that `write_frame_table` kept."""
    with np.load(path) as content:
        pts = np.cumsum(content["steps"])
        return FrameTable(pts, float(content["time_base"]), int(content["num_damaged"]))


class VideoFile:
    """Frames of a video file.

    Args:
        path: Anything FFmpeg reads.
        table: From an earlier `scan`; without it `num_frames` counts packets, an upper bound.

    Raises:
        InputError: Not a video, no picture in it, or unreadable.
    """

    def __init__(self, path: Path, table: FrameTable | None = None) -> None:
        self.path = path
        self._table = table
        self._container: Any = None
        self._decoder: Iterator[tuple[np.ndarray, int]] | None = None
        self._position = 0
        with self._open() as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            self._stated_fps = float(rate) if rate else FALLBACK_FPS
            first = next(_decode(container), None)
            if first is None:
                raise self._error("no picture can be decoded", "the file is empty or damaged")
            self.height, self.width = first[0].shape[:2]
        self._num_packets: int | None = None

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_container": None, "_decoder": None, "_position": 0}

    @property
    def num_frames(self) -> int:
        """Exact after a scan or with a table, else the number of packets."""
        if self._table is not None:
            return self._table.num_frames
        if self._num_packets is None:
            with self._open() as container:
                packets = container.demux(video=0)
                self._num_packets = sum(1 for packet in packets if packet.size)
        return self._num_packets

    @property
    def fps(self) -> float:
        """Average over all time stamps when scanned, else what the file states."""
        measured = self._table.fps if self._table is not None else None
        return measured or self._stated_fps

    def scan(self) -> FrameTable:
        """Decode everything once and remember where each frame is."""
        pts: list[int] = []
        damaged = 0
        with self._open() as container:
            stream = container.streams.video[0]
            base = float(stream.time_base) if stream.time_base else 1 / self._stated_fps
            for _, stamp, repeated in _decode_raw(container):
                pts.append(stamp)
                damaged += repeated
        self._table = FrameTable(np.array(pts, dtype=np.int64), base, damaged)
        return self._table

    def iterate(self) -> Iterator[np.ndarray]:
        """All frames in order, decoded once."""
        with self._open() as container:
            for frame, _ in _decode(container):
                yield frame

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, H, W, 3) in the order asked for; near and rising indices are fastest.

        Raises:
            IndexError: An index outside the video.
        """
        table = self._table or self.scan()
        outside = [index for index in indices if not 0 <= index < table.num_frames]
        if outside:
            raise IndexError(f"{self.path.name} has {table.num_frames} frames, not {outside[0]}")
        found: dict[int, np.ndarray] = {}
        for index in sorted(set(indices)):
            found[index] = self._read_one(index, table)
        return np.stack([found[index] for index in indices])

    def close(self) -> None:
        """Let go of the file; reading again opens it anew."""
        self._decoder = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _read_one(self, index: int, table: FrameTable) -> np.ndarray:
        """Go on decoding to a frame, or jump to the key frame before it when that is nearer."""
        if self._decoder is None or not self._position <= index < self._position + 64:
            self._seek(index, table)
        assert self._decoder is not None
        for frame, _ in self._decoder:
            self._position += 1
            if self._position > index:
                return frame
        raise self._error(f"frame {index} is gone", "the file changed since it was added")

    def _seek(self, index: int, table: FrameTable) -> None:
        """Place the decoder at or before a frame; from the start where stamps cannot be trusted."""
        self.close()
        self._container = self._open()
        self._position = 0
        if not table.has_times or table.num_damaged or index < 64:
            self._decoder = _decode(self._container)
            return
        stream = self._container.streams.video[0]
        self._container.seek(int(table.pts[index]), stream=stream, backward=True)
        decoder = _decode(self._container)
        first = next(decoder, None)
        position = None if first is None else _position_of(first[1], table)
        if first is None or position is None or position > index:
            self.close()
            self._container = self._open()
            self._decoder = _decode(self._container)
            return
        self._position = position
        self._decoder = _chain(first, decoder)

    def _open(self) -> Any:
        try:
            container = av.open(str(self.path), metadata_errors="ignore")
        except (av.error.FFmpegError, OSError) as error:
            raise self._error(
                f"this is not a video that can be read: {error}", "the file is damaged or no video"
            ) from error
        if not container.streams.video:
            container.close()
            raise self._error("there is no picture in this file", "it holds only sound")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
        return container

    def _error(self, what: str, why: str) -> InputError:
        return InputError(what, where=self.path, why=why, do="play it, or convert it with ffmpeg")


def _decode(container: Any) -> Iterator[tuple[np.ndarray, int]]:
    """(RGB picture, time stamp) of every frame, damaged ones repeated."""
    for picture, stamp, _ in _decode_raw(container, to_rgb=True):
        yield picture, stamp


def _decode_raw(container: Any, to_rgb: bool = False) -> Iterator[tuple[Any, int, bool]]:
    """(picture, time stamp, repeated) of every frame in presentation order."""
    last: Any = None
    lost = 0
    for packet in container.demux(video=0):
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError:
            lost += 1
            continue
        except av.error.EOFError:
            break
        for frame in decoded:
            if last is not None:
                for _ in range(lost):
                    yield last, NO_PTS, True
            lost = 0
            last = _to_rgb(frame) if to_rgb else frame.pts
            yield last, NO_PTS if frame.pts is None else int(frame.pts), False


def _to_rgb(frame: Any) -> np.ndarray:
    """(H, W, 3) uint8, turned upright by the rotation the file states."""
    picture = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4
    if quarter_turns:
        picture = np.ascontiguousarray(np.rot90(picture, quarter_turns))
    return picture


def _position_of(stamp: int, table: FrameTable) -> int | None:
    """Index of the frame with exactly this time stamp."""
    index = int(np.searchsorted(table.pts, stamp))
    return index if index < table.num_frames and table.pts[index] == stamp else None


def _chain(
    first: tuple[np.ndarray, int], rest: Iterator[tuple[np.ndarray, int]]
) -> Iterator[tuple[np.ndarray, int]]:
    yield first
    yield from rest
