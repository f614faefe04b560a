"""Recordings in, one file for each out: a feature vector per frame, every frame decoded once.

Memory does not grow with recordings: batches of frames pass through a decoder thread, the networks,
and a thread that writes HDF5 files. The device works on a batch while the results of the one before
are fetched and written.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.config import Config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.batches import (
    Batch,
    Cutting,
    Ended,
    Event,
    Opened,
    Part,
    iterate_batches,
)
from pixelethogram.features.engine import Engine, Started
from pixelethogram.features.extracted import Extracted
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.features.pictures import OpenRecording
from pixelethogram.frames.source import FrameSource
from pixelethogram.progress import Progress
from pixelethogram.store import ArrayWriter
from pixelethogram.training.device import choose_inference_precision

ON_GPU = 8  # times the batch of a CPU
ON_CPU = 4 * 256 * 256  # pixels at a time; more leave the cache, fewer read the weights too often
WRITES_WAITING = 8  # blocks on their way to disk

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Order:
    """A recording, and the file that its features go to."""

    name: str
    """Shown beside the bar."""
    open: OpenRecording
    """Called when its turn comes, by another thread."""
    path: Path
    """The file to write; it appears only when whole."""
    attributes: Mapping[str, Any]
    """Kept in the file; precision, frame and flow settings, and colors are added."""


def build_engine(
    model: FeaturesNetwork, config: Config, *, device: str, exact: bool, progress: Progress
) -> Engine:
    """The networks of a features run, prepared for a device.

    Args:
        model: In eval mode on the device.
        config: All settings of the features run.
        device: Where the model is.
        exact: fp32, whatever the settings say.
        progress: Told what was changed.
    """
    wanted = "fp32" if exact else config.features.precision
    return Engine(
        model,
        clip_length=config.flow.model.clip_length,
        shared=_shares_flow(config),
        precision=choose_inference_precision(wanted, device),
        chunk=_chunk(config, device),
        progress=progress,
    )


def extract_to_file(
    model: FeaturesNetwork,
    frames: FrameSource,
    config: Config,
    path: Path,
    attributes: Mapping[str, Any],
    *,
    device: str,
    progress: Progress,
    exact: bool = False,
) -> int:
    """Features and logits of every frame of one open recording; gives the number of frames.

    Raises:
        InputError: A feature or a logit is not a finite number, or too large for float16.
    """
    engine = build_engine(model, config, device=device, exact=exact, progress=progress)
    order = Order(path.stem, lambda: contextlib.nullcontext(frames), path, attributes)
    with contextlib.closing(extract_all(engine, [order], config, progress)) as extracted:
        (found,) = extracted
    found.check()
    return found.num_frames


def extract_all(
    engine: Engine, orders: Sequence[Order], config: Config, progress: Progress
) -> Generator[Extracted, None, None]:
    """Features and logits of every frame of many recordings, in batches that cross their borders.

    Close it (`contextlib.closing`): that stops its threads.

    Args:
        engine: From `build_engine`, with the same settings.
        orders: In this order.
        config: All settings of the features run.
        progress: Told of every frame.

    Yields:
        One per order, as soon as its file is there; also those that cannot be read, or whose
        features or logits are not finite numbers, or too large for float16.

    Raises:
        OSError: Writing failed; that concerns all.
    """
    engine.forget()
    cutting = plan_cutting(config, engine.device)
    recordings = [order.open for order in orders]
    events = iterate_batches(recordings, config.frames, cutting, engine.layout)
    attributes = {"frames": config.frames.model_dump(), "flow_stride": config.flow.stride}
    with contextlib.closing(events), _Desk(engine, orders, attributes, progress) as desk:
        for event in events:
            yield from desk.take(event)
        yield from desk.finish()


def plan_cutting(config: Config, device: str) -> Cutting:
    """Clips of the settings, in batches that hold whole clips of the shared flow."""
    length, spacing = config.flow.model.clip_length, config.frames.spacing
    size = _size(config, device)
    if shared := _shares_flow(config):
        whole = (length - 1) * spacing
        size = -(-size // whole) * whole
    return Cutting(length, spacing, size, shared)


class _Desk:
    """Where batches become rows of files; one batch is with the device while another is written."""

    def __init__(
        self,
        engine: Engine,
        orders: Sequence[Order],
        attributes: Mapping[str, Any],
        progress: Progress,
    ) -> None:
        self._engine, self._orders, self._progress = engine, orders, progress
        self._attributes = attributes
        self._waiting: deque[tuple[Event, Started | None]] = deque()
        self._promised: dict[int, int] = {}
        self._thread = ThreadPoolExecutor(1, "writer")
        self._writes: deque[Future[None]] = deque()
        self._file = contextlib.ExitStack()
        self._writer: ArrayWriter | None = None
        self._error: InputError | UsageError | None = None

    def __enter__(self) -> _Desk:
        return self

    def __exit__(self, *error: Any) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._file.close()

    def take(self, event: Event) -> Generator[Extracted, None, None]:
        """Let the device begin with a batch, then see to what came before it."""
        started = self._engine.start(event) if isinstance(event, Batch) else None
        self._waiting.append((event, started))
        if started is not None:
            yield from self._see_to(len(self._waiting) - 1)

    def finish(self) -> Generator[Extracted, None, None]:
        """See to everything that is waiting."""
        yield from self._see_to(len(self._waiting))

    def _see_to(self, number: int) -> Generator[Extracted, None, None]:
        for _ in range(number):
            event, started = self._waiting[0]
            if isinstance(event, Opened):
                self._promised[event.recording] = event.num_frames
            elif isinstance(event, Ended):
                yield self._end(event)
            elif started is not None:
                if not self._engine.is_sound(started):
                    started = self._start_again(started)
                on_host = {name: each.numpy() for name, each in started.wait().items()}
                yield from self._share_out(event, on_host)
            self._waiting.popleft()

    def _start_again(self, first: Started) -> Started:
        """All that is waiting, in a format that holds more; gives what became of the first."""
        self._engine.retreat(first)
        again = [
            (event, self._engine.start(event) if isinstance(event, Batch) else None)
            for event, _ in self._waiting
        ]
        self._waiting = deque(again)
        started = again[0][1]
        assert started is not None
        return started

    def _share_out(self, batch: Batch, arrays: Arrays) -> Generator[Extracted, None, None]:
        row = 0
        for part in batch.parts:
            if isinstance(part, Ended):
                yield self._end(part)
                continue
            rows = slice(row, row + part.stop - part.start)
            self._write(part, {name: each[rows] for name, each in arrays.items()})
            row = rows.stop

    def _write(self, part: Part, arrays: Arrays) -> None:
        """Rows of a recording; none any more once some of them were no numbers."""
        order = self._orders[part.recording]
        if part.start == 0:
            self._progress.start(f"features of {order.name}", self._promised[part.recording])
            about = {**order.attributes, "precision": self._engine.precision, **self._attributes}
            self._writer = self._file.enter_context(ArrayWriter(order.path, about))
        if self._error is None:
            self._error = _find_infinite(arrays, part.start, order.path)
        if self._error is None and self._writer is not None:
            self._writes.append(self._thread.submit(self._writer.append, **arrays))
            self._wait(WRITES_WAITING)
        self._progress.advance(part.stop - part.start)

    def _end(self, ended: Ended) -> Extracted:
        order, error = self._orders[ended.recording], ended.error or self._error
        self._wait(0)
        if error is None and self._writer is None:
            error = InputError("there is no frame in it", where=order.path.stem)
        if error is None and self._writer is not None:
            self._writer.annotate({**ended.colors, "precision": self._engine.precision})
            self._writer.finish()
            self._progress.finish()
        self._file.close()
        self._writer = self._error = None
        return Extracted(order.name, ended.num_frames, ended.format, error)

    def _wait(self, allowed: int) -> None:
        """Until no more than so many blocks are on their way; raises what writing raised."""
        while len(self._writes) > allowed:
            self._writes.popleft().result()


def _chunk(config: Config, device: str) -> int:
    """Frames that pass through the networks at a time."""
    size, pixels = _size(config, device), config.frames.height * config.frames.width
    return max(1, min(ON_CPU // pixels, size)) if device == "cpu" else size


def _size(config: Config, device: str) -> int:
    """Frames per batch."""
    return config.features.batch_size * (ON_GPU if device.startswith("cuda") else 1)


def _shares_flow(config: Config) -> bool:
    return config.flow.stride > 1 and config.features.model.needs_flow


def _find_infinite(arrays: Arrays, first_frame: int, path: Path) -> InputError | None:
    finite = [np.isfinite(values).all(axis=1) for values in arrays.values()]
    bad = ~np.logical_and.reduce(finite)
    if not bad.any():
        return None
    return InputError(
        "the network gives features that are not finite numbers, or beyond 65504 (float16)",
        where=f"{path}, frame {first_frame + int(bad.argmax())}",
        why="its weights grew too large in training, or the precision is too low for them",
        do="train the features again with a smaller features.train.learning_rate, or with "
        "features.precision=fp32; extract and predict --exact compute in fp32",
    )
