"""Proxies: a recording at training size, made once, from which random clips are read fast.

::

    <name>.frames   encoded frames, one behind the other: 4 bytes length, then the frame
    <name>.npz      where each frame starts, size, color statistics           written LAST

Frames are stored without loss (docs/decisions/0003-proxy-encoding.md), so training sees the very
pixels that prediction sees. A proxy without its .npz is unfinished; the next call goes on from
the last whole frame. Proxies can be deleted at any time.
"""

from __future__ import annotations

import dataclasses
import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import FrameSource
from pixelethogram.frames.statistics import (
    STRIDE,
    Statistics,
    measure_colors,
    pool_statistics,
)
from pixelethogram.progress import Progress

LENGTH = struct.Struct("<I")
FLUSH_FRAMES = 256


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How one frame is turned into bytes and back."""

    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[np.ndarray], np.ndarray]


def _image_encoding(suffix: str, options: Sequence[int]) -> Encoding:
    def encode(frame: np.ndarray) -> bytes:
        return cv2.imencode(suffix, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), list(options))[
            1
        ].tobytes()

    def decode(data: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    return Encoding(encode, decode)


ENCODINGS = {
    "png": _image_encoding(".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
    "webp lossless": _image_encoding(".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    "jpeg 95": _image_encoding(".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]),
}
DEFAULT_ENCODING = "png"


def proxy_path(folder: Path, height: int, width: int, fit: str) -> Path:
    """The .npz of a video's proxy of this size."""
    return folder / "proxy" / f"{height}x{width}_{fit}.npz"


def build_proxy(
    source: FrameSource,
    path: Path,
    height: int,
    width: int,
    fit: Literal["stretch", "pad"],
    progress: Progress,
    encoding: str = DEFAULT_ENCODING,
) -> None:
    """Write the proxy of a recording, or finish a broken-off one.

    Args:
        source: The recording, decoded once.
        path: The .npz to write; frames lie beside it.
        height: Pixels.
        width: Pixels.
        fit: See `resize_frame`.
        progress: Advanced by one per frame.
        encoding: Key of ENCODINGS.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data_path = path.with_suffix(".frames")
    offsets = _whole_frames(data_path)
    end = offsets[-1][1] if offsets else 0
    colors: list[Statistics] = []
    with data_path.open("r+b" if data_path.exists() else "w+b") as file:
        file.truncate(end)
        file.seek(end)
        for index, frame in enumerate(source.iterate()):
            progress.advance(1)
            if index < len(offsets) and index % STRIDE:
                continue
            small = resize_frame(frame, height, width, fit)
            if index % STRIDE == 0:
                colors.append(measure_colors(small[None]))
            if index >= len(offsets):
                blob = ENCODINGS[encoding].encode(small)
                file.write(LENGTH.pack(len(blob)) + blob)
                start = end + LENGTH.size
                end = start + len(blob)
                offsets.append((start, end))
            if index % FLUSH_FRAMES == 0:
                file.flush()
        file.flush()
        os.fsync(file.fileno())
    about = {"height": height, "width": width, "encoding": encoding}
    _write_index(path, offsets, pool_statistics(colors), about)


class ProxyFile:
    """Frames of a finished proxy; opened when first read, so it can be handed to worker processes.

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
                self._decode = ENCODINGS[str(content["encoding"])].decode
                self.statistics = Statistics(
                    int(content["counted"]),
                    tuple(content["mean"].tolist()),
                    tuple(content["std"].tolist()),
                )
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"the proxy cannot be read: {error}",
                where=path,
                do="delete its folder; it is made anew",
            ) from error
        self._data: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        ProxyFile.__init__(self, state["path"])

    @property
    def num_frames(self) -> int:
        """Frames of the recording."""
        return len(self._offsets)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, height, width, 3) uint8 in the order asked for; a repeat is decoded once."""
        if self._data is None:
            self._data = np.memmap(self.path.with_suffix(".frames"), np.uint8, mode="r")
        frames = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for position, index in enumerate(indices):
            if position and index == indices[position - 1]:
                frames[position] = frames[position - 1]
                continue
            start, stop = self._offsets[index]
            frames[position] = self._decode(self._data[start:stop])
        return frames


def _whole_frames(path: Path) -> list[tuple[int, int]]:
    """(start, stop) of every frame that was written whole."""
    return list(_walk(path)) if path.exists() else []


def _walk(path: Path) -> Iterator[tuple[int, int]]:
    size = path.stat().st_size
    position = 0
    with path.open("rb") as file:
        while position + LENGTH.size <= size:
            (length,) = LENGTH.unpack(file.read(LENGTH.size))
            start, position = position + LENGTH.size, position + LENGTH.size + length
            if position > size or length == 0:
                return
            yield start, position
            file.seek(position)


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
    temporary = path.with_suffix(".partial")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)
