"""VideoFile: frame-exact decoding of video files with PyAV; one reader for training and inference.

The frames of a video are the pictures its decoder yields, in presentation order. A damaged picture
in the middle is replaced by the last good one, so that later frames keep their numbers; what lies
behind the last good picture does not exist. `scan`, `iterate` and `read` count alike, on any number
of processor cores.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.frames.closing import ClosesItself
from pixelethogram.frames.frame_table import NO_PTS, FrameTable, measure_fps
from pixelethogram.frames.resize import resize_frame

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".asf", ".flv"}
    | {".ts", ".mts", ".m2ts", ".3gp", ".ogv", ".mjpeg", ".mjpg"}
)
NOT_VIDEO = frozenset({"tty"})  # FFmpeg draws text files as pictures
FALLBACK_FPS = 30.0  # for files that state neither a rate nor usable time stamps
MAX_THREADS = 4  # each holds a few decoded pictures
MAX_SEEKS = 3  # key frames tried before decoding from the start

av.logging.set_level(None)  # a decoder's threads can deadlock when they log through Python


class VideoFile(ClosesItself):
    """Frames of a video file.

    Before a scan (or a complete `iterate`) `num_frames` counts packets: an upper bound in damaged
    files. An object can be handed to another process, which opens the file for itself.

    Args:
        path: Anything FFmpeg reads.
        table: From an earlier `scan`.

    Raises:
        InputError: Not a video, no picture in it, or unreadable.
    """

    def __init__(self, path: Path, table: FrameTable | None = None) -> None:
        self.path = path
        self._table = table
        self._packets: tuple[int, float] | None = None
        self._display_matrix: bytes | None = None
        self._forget_position()
        if table is not None:
            self.height, self.width = table.height, table.width
            return
        with _open(path, 1) as container:
            first = next(_repair(_decode_carefully(container)), None)
            if first is None:
                raise _error(path, "no picture can be decoded", "the file is empty or damaged")
            self.height, self.width = self._to_rgb(first.frame).shape[:2]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "table": self._table, "size": (self.height, self.width)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self._table = state["path"], state["table"]
        self._packets = self._display_matrix = None
        self.height, self.width = state["size"]
        self._forget_position()

    @property
    def num_frames(self) -> int:
        """Exact with a table, else the number of packets."""
        return self._table.num_frames if self._table else self._count_packets()[0]

    @property
    def fps(self) -> float:
        """Average rate by the time stamps, or what the file states where there are none."""
        return self._table.fps if self._table else self._count_packets()[1]

    def scan(self) -> FrameTable:
        """Decode everything once and remember where each frame is."""
        notes = [_note(shown) for shown in _repair(_decode(self.path))]
        return self._keep_table(notes)

    def iterate(self) -> Iterator[np.ndarray]:
        """All frames in order, decoded once; memory stays flat. Afterwards the table is known."""
        notes = []
        for shown in _repair(_decode(self.path)):
            notes.append(_note(shown))
            yield self._fit(self._to_rgb(shown.frame))
        self._keep_table(notes)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, H, W, 3) in the order asked for; near ones are decoded together.

        The first call without a table scans the video. Files with damage or without usable time
        stamps are decoded from the start whenever a call goes back.

        Raises:
            IndexError: An index outside the video.
        """
        table = self._table or self.scan()
        asked = np.asarray(indices, dtype=np.int64)
        outside = asked[(asked < 0) | (asked >= table.num_frames)]
        if len(outside):
            raise IndexError(f"{self.path.name} has {table.num_frames} frames, not {outside[0]}")
        if self._process != os.getpid():  # after a fork the file's position is shared
            self._forget_position()
        wanted = table.sources[asked]
        frames = np.empty((len(asked), self.height, self.width, 3), np.uint8)
        for index in np.unique(wanted):
            frames[wanted == index] = self._read_one(int(index), table)
        return frames

    def close(self) -> None:
        """Let go of the file; reading again opens it anew."""
        if self._container is not None and self._process == os.getpid():
            self._container.close()
        self._forget_position()

    def _forget_position(self) -> None:
        self._container: Any = None
        self._upcoming: Iterator[tuple[int, Any]] = iter(())
        self._position = -1
        self._process = os.getpid()

    def _count_packets(self) -> tuple[int, float]:
        """(packets of shown pictures, frames per second by their time stamps)."""
        if self._packets is None:
            with _open(self.path, 1) as container:
                stream = _find_stream(container)
                stamps = [_stamp(each.pts) for each in _demux(container) if _is_shown(each)]
                pts = np.array(stamps, dtype=np.int64)
                rate = measure_fps(pts, stream.time_base) or _stated_fps(stream)
                self._packets = (len(stamps), rate)
        return self._packets

    def _keep_table(self, notes: Sequence[tuple[int, bool, bool]]) -> FrameTable:
        if not notes:
            raise _error(self.path, "no picture can be decoded", "the file is empty or damaged")
        pts, keyframes, damaged = (np.array(column) for column in zip(*notes, strict=True))
        with _open(self.path, 1) as container:
            stream = _find_stream(container)
            base, rate = stream.time_base or Fraction(1, 1), _stated_fps(stream)
            hides_frames = "mp4" in container.format.name  # edit lists may, which is no damage
            complete = hides_frames or stream.frames in (0, len(pts))
        intact = bool(complete and not damaged.any())
        self._table = FrameTable(
            pts, keyframes, damaged, intact, base, rate, self.height, self.width
        )
        return self._table

    def _to_rgb(self, frame: Any) -> np.ndarray:
        """(H, W, 3) uint8, upright."""
        if self._display_matrix is None:  # asked once: it ties a frame into a cycle of references
            self._display_matrix = bytes(frame.side_data.get("DISPLAYMATRIX") or b"")
        # threads of a conversion would be waited for without end where a forked process frees it
        rgb = frame.to_ndarray(format="rgb24", threads=1)
        picture = _turn_upright(rgb, self._display_matrix)
        return np.ascontiguousarray(picture)

    def _fit(self, picture: np.ndarray) -> np.ndarray:
        """A picture of another size than the first is stretched to it."""
        return resize_frame(picture, self.height, self.width, "stretch")

    def _read_one(self, index: int, table: FrameTable) -> np.ndarray:
        """Go on decoding to a frame, or from the key frame before it when that is nearer."""
        nearest = int(np.flatnonzero(table.keyframes[: index + 1]).max(initial=0))
        ahead = self._container is not None and self._position < index
        if not (ahead and (nearest <= self._position + 1 or not table.can_seek)):
            self._seek(index, table)
        for position, frame in self._upcoming:
            self._position = position
            if position == index:
                return self._fit(self._to_rgb(frame))
        raise _error(self.path, f"frame {index} is gone", "the file changed since it was added")

    def _seek(self, index: int, table: FrameTable) -> None:
        """Stand on a key frame at or before a frame; each jump is checked by its time stamp."""
        keys = np.flatnonzero(table.keyframes)
        candidates = keys[(keys > 0) & (keys <= index)][::-1][:MAX_SEEKS].tolist()
        for key in [*(candidates if table.can_seek else []), 0]:
            self.close()
            self._container = _open(self.path, 1)
            upcoming = _number(self._container, table, key)
            first = next(upcoming, None)
            if first is not None and (first[0] == key or key == 0):
                self._upcoming = itertools.chain([first], upcoming)
                self._position = key - 1
                return


class _Picture(NamedTuple):
    """What the decoder said about one frame."""

    frame: Any
    """av.VideoFrame; None where it is damaged or lost."""
    pts: int | None
    keyframe: bool


class _Shown(NamedTuple):
    """One frame of the video as the user sees it."""

    frame: Any
    pts: int | None
    keyframe: bool
    damaged: bool


def _open(path: Path, num_threads: int) -> Any:
    """Container whose video decoder is ready; the caller closes it."""
    try:
        container = av.open(str(path.absolute()), metadata_errors="ignore")
    except (av.error.FFmpegError, OSError) as error:
        why = "the file is damaged, was not written to its end, or is no video"
        raise _error(path, f"this is not a video that can be read: {error}", why) from error
    stream = _find_stream(container)
    if stream is None or stream.codec_context is None or container.format.name in NOT_VIDEO:
        container.close()
        raise _error(path, "there are no moving pictures in this file", "it is no video")
    stream.thread_type = "AUTO" if num_threads > 1 else "NONE"
    stream.codec_context.thread_count = num_threads
    return container


def _find_stream(container: Any) -> Any:
    """First video stream that is not a cover picture, or None."""
    cover = av.stream.Disposition.attached_pic
    streams = (stream for stream in container.streams.video if not stream.disposition & cover)
    return next(streams, None)


def _error(path: Path, what: str, why: str) -> InputError:
    return InputError(what, where=path, why=why, do="play it, or convert it with ffmpeg")


def _stated_fps(stream: Any) -> float:
    rates = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    return next((rate for rate in rates if math.isfinite(rate) and rate > 0), FALLBACK_FPS)


def _note(shown: _Shown) -> tuple[int, bool, bool]:
    return _stamp(shown.pts), shown.keyframe, shown.damaged


def _stamp(pts: int | None) -> int:
    return NO_PTS if pts is None else pts


def _is_shown(packet: Any) -> bool:
    return bool(packet is not None and packet.size and not packet.is_discard)


def _demux(container: Any) -> Iterator[Any]:
    """Packets of the video, then None, which makes the decoder give what it still holds."""
    packets = container.demux(_find_stream(container))
    while True:
        try:
            packet = next(packets, None)
        except (av.error.InvalidDataError, av.error.EOFError):  # a truncated file ends here
            packet = None
        if packet is None or not packet.size:
            yield None
            return
        yield packet


def _decode(path: Path) -> Iterator[_Picture]:
    """All pictures; fast, and from the first sign of damage on again, on one thread."""
    num_pictures = 0
    with _open(path, min(MAX_THREADS, os.cpu_count() or 1)) as container:
        for picture in _decode_until_damage(container):
            if picture is None:
                break
            num_pictures += 1
            yield picture
        else:
            return
    with _open(path, 1) as container:
        yield from itertools.islice(_decode_carefully(container), num_pictures, None)


def _decode_until_damage(container: Any) -> Iterator[_Picture | None]:
    """Good pictures, then None if there is damage or not every packet gave a picture.

    Around damage threaded decoders lose a different number of pictures than single ones, and
    whether they flag a picture can depend on chance; so they are told to stop at any error.
    """
    stream = _find_stream(container)
    stream.codec_context.options = {"err_detect": "explode"}
    num_missing = 0
    try:
        for packet in _demux(container):
            num_missing += _is_shown(packet)
            for frame in stream.decode(packet):
                if frame.is_corrupt:
                    yield None
                    return
                num_missing -= 1
                yield _to_picture(frame)
    except av.error.FFmpegError:  # whether it is damage or not, the careful pass will tell
        yield None
        return
    if num_missing:
        yield None


def _decode_carefully(container: Any) -> Iterator[_Picture]:
    """Pictures from where the container stands, with a gap wherever a packet could not be decoded.

    A gap at the end, or one that the decoder fills after all, is not reported.
    """
    stream = _find_stream(container)
    lost: list[int] = []
    for packet in _demux(container):
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            lost += [_stamp(packet.pts)] if _is_shown(packet) else []
            continue
        for frame in frames:
            picture = _to_picture(frame)
            lost = sorted(pts for pts in lost if pts != picture.pts)
            while lost and (picture.pts is None or lost[0] < picture.pts):
                yield _Picture(None, lost.pop(0), False)
            yield picture


def _to_picture(frame: Any) -> _Picture:
    return _Picture(None if frame.is_corrupt else frame, frame.pts, bool(frame.key_frame))


def _repair(pictures: Iterator[_Picture]) -> Iterator[_Shown]:
    """Fill gaps with the last good picture, those at the beginning with the first good one."""
    last: Any = None
    gaps: list[_Picture] = []
    for picture in pictures:
        if picture.frame is None:
            gaps.append(picture)
            continue
        for gap in gaps:
            yield _Shown(last or picture.frame, gap.pts, False, True)
        gaps.clear()
        last = picture.frame
        yield _Shown(last, picture.pts, picture.keyframe, False)


def _number(container: Any, table: FrameTable, key: int) -> Iterator[tuple[int, Any]]:
    """(frame number, picture) from a key frame on; counted where time stamps do not tell."""
    if not table.can_seek:
        for index, shown in enumerate(_repair(_decode_carefully(container))):
            yield index, shown.frame
        return
    if key > 0:
        container.seek(int(table.pts[key]), stream=_find_stream(container), backward=True)
    for picture in _decode_carefully(container):
        index = int(np.searchsorted(table.pts, _stamp(picture.pts)))
        known = index < table.num_frames and table.pts[index] == picture.pts
        if picture.frame is not None and known and index >= key:
            yield index, picture.frame


def _turn_upright(picture: np.ndarray, display_matrix: bytes) -> np.ndarray:
    """Turn and mirror a picture by the file's display matrix: x' = ax + cy, y' = bx + dy."""
    if not display_matrix:
        return picture
    a, b, _, c, d = np.frombuffer(display_matrix, np.int32)[:5].tolist()
    if abs(b) > abs(a):  # a quarter turn
        picture, a, d = picture.swapaxes(0, 1), c, b
    if a < 0:
        picture = picture[:, ::-1]
    return picture[::-1] if d < 0 else picture
