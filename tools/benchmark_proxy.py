"""Measure ways to keep a proxy: bytes per frame, time of a random clip, loss.

    python tools/benchmark_proxy.py [VIDEO…] [--size PIXELS]

Without a video a drawn one and one with the noise of a camera sensor are measured. Times are
seconds of one processor core (medians; files are in memory), so other programs disturb little.
docs/decisions/0003-proxy-encoding.md quotes the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import h5py
import numpy as np

from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import open_frames
from pixelethogram.frames.video import VideoFile

CLIP_FRAMES = 11
REPETITIONS = 30
LONG_VIDEO_FRAMES = 54_000

Reader = Callable[[int], np.ndarray]
"""First frame of a clip -> (11, H, W, 3)."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """Frames in one of the candidates' forms."""

    num_bytes: int
    read_clip: Reader


def store_image(suffix: str, *options: int) -> Callable[[np.ndarray], Stored]:
    """Each frame a picture, coded by OpenCV."""

    def store(frames: np.ndarray) -> Stored:
        blobs = [cv2.imencode(suffix, frame[..., ::-1], options)[1] for frame in frames]

        def read_clip(first: int) -> np.ndarray:
            clip = blobs[first : first + CLIP_FRAMES]
            return np.stack([cv2.imdecode(blob, cv2.IMREAD_COLOR)[..., ::-1] for blob in clip])

        return Stored(sum(len(blob) for blob in blobs), read_clip)

    return store


def store_video(
    encoder: str, decoder: str, pix_fmt: str, block_frames: int, **options: str
) -> Callable[[np.ndarray], Stored]:
    """Blocks that can be decoded alone, coded by FFmpeg; a clip needs one or more of them."""

    def store(frames: np.ndarray) -> Stored:
        starts = range(0, len(frames), block_frames)
        blocks = [
            _encode(frames[start : start + block_frames], encoder, pix_fmt, options)
            for start in starts
        ]

        def read_clip(first: int) -> np.ndarray:
            block = first // block_frames
            skipped = first - block * block_frames
            context = _open_decoder(decoder, frames.shape[1:3])
            pictures: list[np.ndarray] = []
            while len(pictures) < skipped + CLIP_FRAMES and block < len(blocks):
                pictures += _decode(context, blocks[block])
                block += 1
            pictures += _decode(context, [None])
            return np.stack(pictures[skipped : skipped + CLIP_FRAMES])

        return Stored(sum(len(packet) for packets in blocks for packet in packets), read_clip)

    return store


def store_array(folder: Path, compression: str | None) -> Callable[[np.ndarray], Stored]:
    """An HDF5 dataset, one chunk per frame."""

    def store(frames: np.ndarray) -> Stored:
        file = h5py.File(folder / f"{compression}.h5", "w")
        data = file.create_dataset(
            "frames", data=frames, chunks=(1, *frames.shape[1:]), compression=compression
        )
        file.flush()
        return Stored(data.id.get_storage_size(), lambda first: data[first : first + CLIP_FRAMES])

    return store


def store_memory_map(folder: Path) -> Callable[[np.ndarray], Stored]:
    """A plain .npy file."""

    def store(frames: np.ndarray) -> Stored:
        path = folder / "frames.npy"
        np.save(path, frames)
        mapped = np.load(path, mmap_mode="r")
        return Stored(
            path.stat().st_size, lambda first: np.array(mapped[first : first + CLIP_FRAMES])
        )

    return store


def seek_in_file(path: Path, size: int) -> Callable[[np.ndarray], Stored]:
    """No proxy: jump to the key frame before the clip in the recording, decode, resize."""

    def store(frames: np.ndarray) -> Stored:
        source = VideoFile(path)
        num_frames = source.scan().num_frames

        def read_clip(first: int) -> np.ndarray:
            clip = source.read(range(first, first + CLIP_FRAMES))
            return np.stack([resize_frame(frame, size, size, "stretch") for frame in clip])

        return Stored(path.stat().st_size * len(frames) // num_frames, read_clip)

    return store


def _encode(frames: np.ndarray, encoder: str, pix_fmt: str, options: dict[str, str]) -> list[bytes]:
    context: Any = av.CodecContext.create(encoder, "w")
    context.height, context.width = frames.shape[1:3]
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 30)
    context.options, context.gop_size, context.max_b_frames = options, len(frames), 0
    context.thread_count = 1
    packets: list[bytes] = []
    for number, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format=pix_fmt, threads=1)
        picture.pts = number
        packets += [bytes(packet) for packet in context.encode(picture)]
    return packets + [bytes(packet) for packet in context.encode(None)]


def _open_decoder(decoder: str, shape: Sequence[int]) -> Any:
    context: Any = av.CodecContext.create(decoder, "r")
    context.thread_count = 1
    context.height, context.width = shape
    return context


def _decode(context: Any, packets: Sequence[bytes | None]) -> Iterator[np.ndarray]:
    for packet in packets:
        for picture in context.decode(packet and av.Packet(packet)):
            yield picture.to_ndarray(format="rgb24", threads=1)


def list_candidates(folder: Path) -> dict[str, Callable[[np.ndarray], Stored]]:
    """Name in the table -> how to store frames."""
    fine = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    quality = cv2.IMWRITE_JPEG_QUALITY
    return {
        "raw .npy, mapped": store_memory_map(folder),
        "raw HDF5": store_array(folder, None),
        "lzf HDF5": store_array(folder, "lzf"),
        "PNG 1": store_image(".png", cv2.IMWRITE_PNG_COMPRESSION, 1),
        "WebP lossless": store_image(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        "QOI": store_video("qoi", "qoi", "rgb24", 1),
        "MagicYUV": store_video("magicyuv", "magicyuv", "gbrp", 1, pred="median"),
        "FFV1": store_video("ffv1", "ffv1", "bgr0", 1, level="1", coder="0"),
        "H.264 lossless, 8": store_video(
            "libx264rgb", "h264", "rgb24", 8, qp="0", preset="ultrafast"
        ),
        "H.264 lossless, 24": store_video(
            "libx264rgb", "h264", "rgb24", 24, qp="0", preset="ultrafast"
        ),
        "JPEG 90": store_image(".jpg", quality, 90),
        "JPEG 95 4:4:4": store_image(".jpg", quality, 95, *fine),
        "JPEG 100 4:4:4": store_image(".jpg", quality, 100, *fine),
    }


def measure(frames: np.ndarray, store: Callable[[np.ndarray], Stored]) -> tuple[float, ...]:
    """(kB per frame, frames stored per second, milliseconds per clip, PSNR in dB)."""
    begin = time.process_time()
    stored = store(frames)
    seconds = time.process_time() - begin
    generator = np.random.default_rng(0)
    times, errors = [], []
    for first in generator.integers(0, len(frames) - CLIP_FRAMES + 1, REPETITIONS):
        begin = time.process_time()
        clip = stored.read_clip(int(first))
        times.append(time.process_time() - begin)
        truth = frames[first : first + CLIP_FRAMES].astype(np.float64)
        errors.append(float(np.mean((clip - truth) ** 2)))
    error = float(np.mean(errors))
    loss = 10 * np.log10(255**2 / error) if error else np.inf
    return (
        stored.num_bytes / len(frames) / 1e3,
        len(frames) / seconds,
        float(np.median(times)) * 1e3,
        float(loss),
    )


def read_video(path: Path, num_frames: int, size: int) -> np.ndarray:
    """The first frames at training size."""
    with open_frames(path) as source:
        frames = itertools.islice(source.iterate(), num_frames)
        return np.stack([resize_frame(frame, size, size, "stretch") for frame in frames])


def draw_video(num_frames: int, size: int, noise: float) -> np.ndarray:
    """A dark animal on smooth ground, with sensor noise of this standard deviation."""
    generator = np.random.default_rng(0)
    shape = (size, size, 3)
    ground = cv2.GaussianBlur(generator.random(shape), (0, 0), size / 40)
    ground = 20 + 200 * (ground - ground.min()) / np.ptp(ground)
    frames = []
    for number in range(num_frames):
        frame = ground.copy()
        angle = number / 15
        centre = [int(size * (0.5 + 0.3 * place)) for place in (np.cos(angle), np.sin(angle))]
        axes = (size // 8, size // 16)
        cv2.ellipse(frame, centre, axes, np.degrees(angle), 0, 360, (30, 25, 20), -1)
        frames.append((frame + generator.normal(0, noise, shape)).clip(0, 255).astype(np.uint8))
    return np.stack(frames)


def print_table(
    title: str, frames: np.ndarray, more: dict[str, Callable[[np.ndarray], Stored]]
) -> None:
    """Measure every candidate on one video."""
    print(f"\n{title}: {len(frames)} frames of {frames.shape[1]} x {frames.shape[2]}")
    heads = ("kB/frame", "GB/54,000", "stored/s", "ms/clip", "PSNR")
    print(" " * 20 + " ".join(f"{head:>9s}" for head in heads))
    with tempfile.TemporaryDirectory() as folder:
        for label, store in {**list_candidates(Path(folder)), **more}.items():
            size, rate, clip, loss = measure(frames, store)
            total = size * LONG_VIDEO_FRAMES / 1e6
            print(f"{label:20s}{size:9.1f} {total:9.1f} {rate:9.0f} {clip:9.1f} {loss:9.1f}")


def main() -> None:
    """Print one table per video."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=120, help="of each video")
    parser.add_argument("--size", type=int, default=128, help="height and width in pixels")
    arguments = parser.parse_args()
    num_frames, size = arguments.frames, arguments.size
    cv2.setNumThreads(1)
    for path in arguments.videos:
        more = {"seek in the video": seek_in_file(path, size)}
        print_table(path.name, read_video(path, num_frames, size), more)
    if not arguments.videos:
        print_table("drawn, no noise", draw_video(num_frames, size, 0.0), {})
    print_table("drawn, sensor noise of 4", draw_video(num_frames, size, 4.0), {})


if __name__ == "__main__":
    main()
