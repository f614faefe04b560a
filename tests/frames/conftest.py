"""Small videos whose frames show their own number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

NUM_FRAMES = 40


def draw(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A frame with its number as 3 x 4 bright (1) and dark (0) blocks, lowest bit top left."""
    frame = np.empty((height, width, 3), np.uint8)
    for bit in range(12):
        row, column = divmod(bit, 4)
        rows = slice(row * height // 3, (row + 1) * height // 3)
        columns = slice(column * width // 4, (column + 1) * width // 4)
        frame[rows, columns] = 220 if number >> bit & 1 else 30
    return frame


def read_number(frame: np.ndarray) -> int:
    """The number drawn into a frame."""
    height, width = frame.shape[:2]
    number = 0
    for bit in range(12):
        row, column = divmod(bit, 4)
        rows = slice(row * height // 3 + 4, (row + 1) * height // 3 - 4)
        columns = slice(column * width // 4 + 4, (column + 1) * width // 4 - 4)
        number |= int(frame[rows, columns].mean() > 125) << bit
    return number


def write(
    path: Path,
    frames: Sequence[np.ndarray] | None = None,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    b_frames: int = 2,
    ticks: Sequence[int] | None = None,
    rate: int = 30,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """A video of numbered frames, a key frame every 12; `ticks` are time stamps in 1 / rate s."""
    pictures = [draw(number) for number in range(NUM_FRAMES)] if frames is None else frames
    with av.open(str(path), "w", options=container or {}) as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.gop_size = pix_fmt, 12
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.time_base = Fraction(1, rate)
        stream.codec_context.thread_count = 1
        if rotation:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            stream.set_display_rotation(rotation)
        reformatter = VideoReformatter()
        for index, frame in enumerate(pictures):
            picture: Any = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture = reformatter.reformat(picture, format=pix_fmt, threads=1)
            picture.pts = index if ticks is None else ticks[index]
            picture.time_base = Fraction(1, rate)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """See `write`."""
    return write


@pytest.fixture(scope="session")
def number_of() -> Callable[[np.ndarray], int]:
    """See `read_number`."""
    return read_number


@pytest.fixture(scope="session")
def draw_number() -> Callable[..., np.ndarray]:
    """See `draw`."""
    return draw


@pytest.fixture(scope="session")
def numbered_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty numbered H.264 frames with B-frames."""
    return write(tmp_path_factory.mktemp("videos") / "numbered.mp4")
