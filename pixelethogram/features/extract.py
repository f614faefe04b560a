"""Frames of a recording in, one feature vector per frame out; every frame is decoded once.

Memory does not grow with the recording: blocks of frames pass through a decoder thread, the
networks, and an HDF5 file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pixelethogram.config import Config, FramesConfig
from pixelethogram.errors import InputError
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.frames.augment import to_float
from pixelethogram.frames.clips import iterate_chunks
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import FrameSource
from pixelethogram.frames.statistics import ColorMeter
from pixelethogram.progress import Progress
from pixelethogram.store import ArrayWriter
from pixelethogram.training.device import choose_precision

BLOCKS_AHEAD = 4  # decoded blocks that may wait for the networks


def extract_to_file(
    model: FeaturesNetwork,
    frames: FrameSource,
    config: Config,
    path: Path,
    attributes: Mapping[str, Any],
    *,
    device: str,
    progress: Progress,
) -> int:
    """Features and logits of every frame, written to an HDF5 file that appears only when whole.

    Args:
        model: In eval mode on the device.
        frames: The recording.
        config: All settings of the features run.
        path: The file to write.
        attributes: Kept in the file; precision, frame settings and colors are added.
        device: Where the model is.
        progress: Told of every frame.

    Returns:
        Number of frames.

    Raises:
        InputError: A feature or a logit is not a finite number, or too large for float16.
    """
    precision = choose_precision(config.features.precision, device)
    about = {**attributes, "precision": precision, "frames": config.frames.model_dump()}
    length, spacing = config.flow.model.clip_length, config.frames.spacing
    progress.start("features", frames.num_frames)
    num_frames = 0
    meter = ColorMeter()
    blocks = _ahead(_blocks(frames, config.frames, length, config.features.batch_size, meter))
    with ArrayWriter(path, about) as writer, contextlib.closing(blocks):
        for block in blocks:
            frames_on_device = torch.from_numpy(block).to(device)
            arrays = extract_block(model, frames_on_device, length, spacing, precision)
            _refuse_infinite(arrays, num_frames, path)
            writer.append(**arrays)
            done = len(arrays["logits"])
            num_frames += done
            progress.advance(done)
        writer.annotate({"colors": dataclasses.asdict(meter.statistics)})
        writer.finish()
    progress.finish()
    return num_frames


@torch.inference_mode()
def extract_block(
    model: FeaturesNetwork, block: Tensor, length: int, spacing: int, precision: str
) -> dict[str, np.ndarray]:
    """Arrays of the frames in the middle of a block.

    Args:
        model: In eval mode.
        block: (n + (L - 1) s, H, W, 3) uint8, see `iterate_chunks`.
        length: Frames per clip, L.
        spacing: Frames of the video from one frame of a clip to the next, s.
        precision: fp32, bf16 or fp16.

    Returns:
        features (n, D) float16; logits (n, O) float32, and from networks of two streams those of
        each, spatial_logits and flow_logits.
    """
    reach = (length - 1) * spacing + 1
    windows = block.unfold(0, reach, 1)[..., ::spacing]
    windows = windows.permute(0, 4, 1, 2, 3)  # (n, L, H, W, 3), a view
    clips = to_float(windows)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    context: Any = contextlib.nullcontext()
    if kind is not None:
        context = torch.autocast(block.device.type, dtype=kind)
    with context:
        features = model.forward_features(clips)
    features = features.float()
    logits = {name: each.cpu().numpy() for name, each in model.named_logits(features).items()}
    return {"features": features.half().cpu().numpy(), **logits}


def _refuse_infinite(arrays: Mapping[str, np.ndarray], first_frame: int, path: Path) -> None:
    finite = [np.isfinite(values).all(axis=1) for values in arrays.values()]
    bad = ~np.logical_and.reduce(finite)
    if bad.any():
        raise InputError(
            "the network gives features that are not finite numbers, or beyond 65504 (float16)",
            where=f"{path}, frame {first_frame + int(bad.argmax())}",
            why="its weights grew too large in training, or the precision is too low for them",
            do="train the features again with a smaller features.train.learning_rate, or with "
            "features.precision=fp32",
        )


def _blocks(
    frames: FrameSource, settings: FramesConfig, length: int, size: int, meter: ColorMeter
) -> Iterator[np.ndarray]:
    resized = (
        resize_frame(frame, settings.height, settings.width, settings.fit)
        for frame in frames.iterate()
    )
    return iterate_chunks(meter.watch(resized), length, size, settings.spacing)


def _ahead(blocks: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:
    """The same blocks, made by a thread while the networks work on earlier ones.

    Close it (`contextlib.closing`) before the recording: it stops the thread.
    """
    waiting: queue.Queue[Any] = queue.Queue(BLOCKS_AHEAD)
    stop = threading.Event()
    thread = threading.Thread(
        target=_produce, args=(blocks, waiting, stop), name="decoder", daemon=True
    )
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _produce(blocks: Iterator[np.ndarray], waiting: queue.Queue, stop: threading.Event) -> None:
    """Queue every block, then None; an error takes the place of what is missing."""
    try:
        for block in blocks:
            _put(block, waiting, stop)
            if stop.is_set():
                return
        _put(None, waiting, stop)
    except Exception as error:  # noqa: BLE001 - the consumer raises it
        _put(error, waiting, stop)


def _put(item: Any, waiting: queue.Queue, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            waiting.put(item, timeout=0.1)
            return
