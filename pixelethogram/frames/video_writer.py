"""Frames in, a video file out; memory stays flat."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.codec.codec import UnknownCodecError

ENCODERS: dict[Literal["libx264", "mpeg4"], dict[str, object]] = {
    "libx264": {"crf": "10", "preset": "fast"},
    "mpeg4": {"qmin": "1", "qmax": "3"},
}
"""Settings of high quality for the encoders that an ffmpeg may have, the better one first."""


def write_video(frames: Iterable[np.ndarray], path: Path, fps: float) -> None:
    """Write frames as H.264 of high quality, or MPEG-4 where this ffmpeg cannot write H.264.

    Args:
        frames: (H, W, 3) uint8 each, even height and width, at least one.
        path: Video file; it is renamed into place when complete.
        fps: Frames per second.
    """
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        _encode(frames, unfinished, fps)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _encode(frames: Iterable[np.ndarray], path: Path, fps: float) -> None:
    frames = iter(frames)
    first = next(frames)
    encoder = _encoder()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = ENCODERS[encoder]
        stream.thread_count = 1
        for pixels in itertools.chain([first], frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def _encoder() -> Literal["libx264", "mpeg4"]:
    """Name of the best encoder this ffmpeg has."""
    try:
        av.Codec("libx264", "w")
    except UnknownCodecError:
        return "mpeg4"
    return "libx264"
