"""Proxies: a recording at training size, made once, from which random clips are read fast.

::

    <name>.frames   a line of JSON about the proxy, then records: length, checksum, encoded frame
    <name>.npz      where each frame starts, size, color statistics           written LAST

Frames are stored without loss (docs/decisions/0003-proxy-encoding.md), so training sees the very
pixels that prediction sees: as they are while the recording stays small, as MagicYUV otherwise.
A proxy without its .npz is unfinished; the next call goes on behind the last whole frame. Proxies
can be deleted at any time.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av
import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import FrameSource
from pixelethogram.frames.statistics import STRIDE, Statistics, measure_colors, pool_statistics
from pixelethogram.progress import Progress

RECORD = struct.Struct("<II")  # bytes and CRC-32 of the encoded frame behind it
RAW_LIMIT_BYTES = 2 * 1024**3  # per recording; up to here frames are stored as they are
RAW, MAGICYUV = "raw", "magicyuv"
PIX_FMT = "gbrp"


def proxy_path(folder: Path, height: int, width: int, look: str) -> Path:
    """The .npz of a video's proxy of this size; `look` says how frames were fitted or drawn."""
    return folder / "proxy" / f"{height}x{width}_{look}.npz"


def build_proxy(
    source: FrameSource,
    path: Path,
    height: int,
    width: int,
    fit: Literal["stretch", "pad"],
    progress: Progress,
) -> None:
    """Write the proxy of a recording, or finish a broken-off one.

    Args:
        source: The recording, decoded once.
        path: The .npz to write; frames lie beside it.
        height: Pixels.
        width: Pixels.
        fit: See `resize_frame`.
        progress: Advanced by one per frame.

    Raises:
        OSError: The disk is full; no .npz is left, and a later call goes on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    raw_bytes = source.num_frames * height * width * 3
    encoding = RAW if raw_bytes <= RAW_LIMIT_BYTES else MAGICYUV
    about = {"height": height, "width": width, "fit": fit, "encoding": encoding}
    colors: list[Statistics] = []
    with _open_for_adding(path.with_suffix(".frames"), about) as file:
        offsets = list(_walk(file))
        file.seek(offsets[-1][1] if offsets else len(_header(about)))
        file.truncate()
        encode = np.ndarray.tobytes if encoding == RAW else _Encoder(height, width).encode
        num_frames = 0
        for index, frame in enumerate(source.iterate()):
            num_frames += 1
            progress.advance(1)
            if index < len(offsets) and index % STRIDE:
                continue
            small = resize_frame(frame, height, width, fit)
            if index % STRIDE == 0:
                colors.append(measure_colors(small[None]))
            if index >= len(offsets):
                offsets.append(_append(file, encode(small)))
        file.flush()
        os.fsync(file.fileno())
    _write_index(path, offsets[:num_frames], pool_statistics(colors), about)


class ProxyFile:
    """Frames of a finished proxy; can be handed to worker processes.

    Args:
        path: The .npz.

    Raises:
        InputError: The proxy is not there or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with np.load(path) as content:
                self._offsets = content["offsets"]
                self.height, self.width = int(content["height"]), int(content["width"])
                encoding = str(content["encoding"])
                self.statistics = Statistics(
                    int(content["counted"]),
                    tuple(content["mean"].tolist()),
                    tuple(content["std"].tolist()),
                )
            self._data = np.memmap(path.with_suffix(".frames"), np.uint8, mode="r")
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise self._broken(str(error)) from error
        if self._offsets[-1, 1] > len(self._data):
            raise self._broken("frames are missing at its end")
        self._decoder = None if encoding == RAW else _open_decoder(self.height, self.width)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        ProxyFile.__init__(self, state["path"])

    @property
    def num_frames(self) -> int:
        """Frames of the recording."""
        return len(self._offsets)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, height, width, 3) uint8 in the order asked for; a repeat is decoded once.

        Raises:
            IndexError: An index outside the recording.
        """
        frames = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for position, index in enumerate(indices):
            if position and index == indices[position - 1]:
                frames[position] = frames[position - 1]
            else:
                frames[position] = self._read_one(index)
        return frames

    def _read_one(self, index: int) -> np.ndarray:
        if not 0 <= index < self.num_frames:
            raise IndexError(f"{self.path} has {self.num_frames} frames, not {index}")
        start, stop = self._offsets[index]
        if self._decoder is None:
            return self._data[start:stop].reshape(self.height, self.width, 3)
        try:
            (picture,) = self._decoder.decode(av.Packet(self._data[start:stop].tobytes()))
        except (av.error.InvalidDataError, ValueError) as error:
            raise self._broken(f"frame {index} cannot be decoded") from error
        return picture.to_ndarray()  # planes of green, blue, red; PyAV gives red, green, blue

    def _broken(self, reason: str) -> InputError:
        return InputError(
            f"the proxy cannot be read: {reason}",
            where=self.path,
            do="delete its folder; it is made anew",
        )


class _Encoder:
    """Frames in, bytes out; each frame stands alone."""

    def __init__(self, height: int, width: int) -> None:
        context: Any = av.CodecContext.create(MAGICYUV, "w")
        context.height, context.width = height, width
        context.pix_fmt, context.time_base = PIX_FMT, Fraction(1, 1)
        context.thread_count = 1
        context.options = {"pred": "median"}
        self._context = context
        self._num_frames = 0

    def encode(self, frame: np.ndarray) -> bytes:
        picture: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=PIX_FMT)
        picture.pts = self._num_frames
        self._num_frames += 1
        (packet,) = self._context.encode(picture)
        return bytes(packet)


def _open_decoder(height: int, width: int) -> Any:
    decoder: Any = av.CodecContext.create(MAGICYUV, "r")
    decoder.height, decoder.width = height, width
    decoder.thread_count = 1  # no threads, so the object survives a fork
    return decoder


def _header(about: dict[str, Any]) -> bytes:
    return json.dumps(about, sort_keys=True).encode() + b"\n"


def _open_for_adding(path: Path, about: dict[str, Any]) -> BinaryIO:
    """The data file behind its header; begun anew when it was made in another way."""
    header = _header(about)
    if path.exists():
        file = path.open("r+b")
        if file.read(len(header)) == header:
            return file
        file.close()
    file = path.open("w+b")
    file.write(header)
    return file


def _walk(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(start, stop) of every frame that was written whole, from where the file stands."""
    position = file.tell()
    while len(record := file.read(RECORD.size)) == RECORD.size:
        length, checksum = RECORD.unpack(record)
        encoded = file.read(length)
        if not length or len(encoded) < length or zlib.crc32(encoded) != checksum:
            return
        position += RECORD.size + length
        yield position - length, position


def _append(file: BinaryIO, encoded: bytes) -> tuple[int, int]:
    """(start, stop) of a frame written at the end."""
    start = file.tell() + RECORD.size
    file.write(RECORD.pack(len(encoded), zlib.crc32(encoded)) + encoded)
    return start, start + len(encoded)


def _write_index(
    path: Path, offsets: Sequence[tuple[int, int]], colors: Statistics, about: dict[str, Any]
) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        offsets=np.array(offsets, dtype=np.int64),
        counted=colors.num_frames,
        mean=colors.mean,
        std=colors.std,
        **about,
    )
    write_bytes(path, buffer.getvalue())
