"""Recordings in, batches of equal size out: every frame decoded, resized and sent once.

A batch is filled across the borders between recordings, so short ones cost no more than a long one.
Its images lie so that the clip of every frame is a stretch of consecutive images: frames that are
`spacing` apart form a lane, and the frames at the edges of a recording repeat.

With shared flow (`features.shared_flow`) a batch also says in which clips the flow network looks,
and where in the stream of pairs, which goes on from the batch before, each frame's flow begins.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from pixelethogram.config import FramesConfig
from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.extracted import NOTHING, Format
from pixelethogram.features.pictures import OpenRecording, Pictures, open_resized
from pixelethogram.frames.statistics import ColorMeter
from pixelethogram.pose.flow import PoseLayout

BATCHES_AHEAD = 3  # decoded batches that may wait for the networks


@dataclasses.dataclass(frozen=True)
class Cutting:
    """How frames become clips, and clips batches."""

    length: int
    """Frames per clip, L."""
    spacing: int
    """Frames of the video from one frame of a clip to the next, s."""
    size: int
    """Frames per batch."""
    shared: bool
    """One clip for the flow network per L - 1 frames."""

    @property
    def before(self) -> int:
        """Place of a frame in its clip."""
        return self.length // 2

    @property
    def pairs(self) -> int:
        """Pairs of frames in a clip; with shared flow also frames per clip."""
        return self.length - 1

    def last_image(self, frame: int) -> int:
        """The last frame of the video that has to be there for this one."""
        if not self.shared:
            return frame + (self.pairs - self.before) * self.spacing
        place, lane = divmod(frame, self.spacing)
        clip = -(-place // self.pairs)
        return (clip * self.pairs - self.before + self.pairs) * self.spacing + lane

    @property
    def kept(self) -> int:
        """How many frames before the next one later clips may begin."""
        return (self.before + (self.pairs - 1) * self.shared) * self.spacing


@dataclasses.dataclass(frozen=True)
class Part:
    """Consecutive frames of one recording in a batch."""

    recording: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Opened:
    """A recording begins."""

    recording: int
    num_frames: int
    """As many as it promises."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """All frames of a recording were in batches, or it cannot be read."""

    recording: int
    num_frames: int
    format: Format
    colors: dict[str, Any]
    """Of the images, as `colors`; nothing where there is none."""
    error: InputError | UsageError | None = None


@dataclasses.dataclass(frozen=True)
class Batch:
    """What the networks are given next."""

    images: np.ndarray
    """(F, H, W, 3) uint8."""
    poses: np.ndarray
    """(F, D) float32 rows of keypoints; D = 0 where the flow is not made of them."""
    starts: list[int]
    """n; the clip of each frame is the L images from here on."""
    parts: list[Part | Ended]
    """Whose frames they are, in order, and which recordings end with them."""
    clips: list[int]
    """m; shared flow: where the clips for the flow network start."""
    bank: list[int]
    """M; shared flow: clips of the batch before (numbered from 0), then new ones, in the order in
    which their pairs make a stream."""
    slices: list[int]
    """n; shared flow: the flow of each frame is the L - 1 pairs of that stream from here on."""


Event = Opened | Batch | Ended


def iterate_batches(
    recordings: Iterable[OpenRecording],
    frames: FramesConfig,
    cutting: Cutting,
    layout: PoseLayout | None = None,
) -> Generator[Event, None, None]:
    """Events, made by a thread that is a few batches ahead.

    Close it (`contextlib.closing`) before the recordings: that stops the thread.

    Args:
        recordings: Opened one after the other; what they are is asked for as late as can be.
        frames: Size that frames are brought to.
        cutting: Size of clips and batches.
        layout: What the rows of keypoints must say; None where the flow is not made of them.

    Raises:
        Exception: Whatever reading raises; but an InputError is told in the recording's `Ended`.
    """
    return _ahead(plan_batches(open_resized(recordings, frames, layout), cutting))


def plan_batches(
    recordings: Iterable[AbstractContextManager[Pictures]], cutting: Cutting
) -> Iterator[Event]:
    """Events of recordings whose frames have the right size."""
    planner = _Planner(cutting)
    for number, opening in enumerate(recordings):
        lane = _Timeline(number)
        planner.timelines.append(lane)
        try:
            with opening as pictures:
                lane.poses = pictures.poses
                yield Opened(number, pictures.num_frames)
                for picture in lane.meter.watch(pictures.iterate()):
                    lane.add(picture)
                    if planner.count_ready(lane) >= cutting.size:
                        yield planner.build_batch()
                lane.format = Format(pictures.height, pictures.width, pictures.fps)
        except (InputError, UsageError) as error:
            lane.fail(error)
        lane.complete = True
        while planner.count_ready(lane) >= cutting.size:
            yield planner.build_batch()
        yield from planner.drop_ended()
    while planner.timelines:
        yield planner.build_batch()


class _Timeline:
    """The frames of one recording that are still needed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.first, self.next, self.ready = 0, 0, 0
        self.held: deque[np.ndarray] = deque()
        self.poses = np.zeros((0, 0), np.float32)
        self.complete, self.format, self.meter = False, NOTHING, ColorMeter()
        self.error: InputError | UsageError | None = None

    @property
    def received(self) -> int:
        return self.first + len(self.held)

    @property
    def is_over(self) -> bool:
        return self.complete and self.next >= self.received

    def describe_colors(self) -> dict[str, Any]:
        found = self.meter.statistics if self.received else None
        return {"colors": dataclasses.asdict(found)} if found else {}

    def add(self, picture: np.ndarray) -> None:
        self.held.append(picture)

    def fail(self, error: InputError | UsageError) -> None:
        """Forget the frames that are in no batch yet."""
        self.error = error
        self.held.clear()
        self.first = self.ready = self.next

    def forget(self, before: int) -> None:
        while self.held and self.first < before:
            self.held.popleft()
            self.first += 1


class _Planner:
    """Puts the frames that are ready into batches."""

    def __init__(self, cutting: Cutting) -> None:
        self.timelines: list[_Timeline] = []
        self._cutting = cutting
        self._bank: list[tuple[int, int, int]] = []  # recording, lane, clip

    def count_ready(self, newest: _Timeline) -> int:
        """Frames, of all recordings, whose clips are complete."""
        while newest.ready < newest.received and (
            newest.complete or self._cutting.last_image(newest.ready) < newest.received
        ):
            newest.ready += 1
        return sum(timeline.ready - timeline.next for timeline in self.timelines)

    def build_batch(self) -> Batch:
        left = self._cutting.size
        layout = _Layout(self._cutting, self._bank)
        parts: list[Part | Ended] = []
        while self.timelines and left:
            timeline = self.timelines[0]
            start, stop = timeline.next, min(timeline.ready, timeline.next + left)
            if stop > start:
                layout.add(timeline, start, stop)
                parts.append(Part(timeline.number, start, stop))
                timeline.next, left = stop, left - (stop - start)
                timeline.forget(stop - self._cutting.kept)
            ended = list(self.drop_ended())
            parts += ended
            if not ended:
                break
        self._bank = layout.keys
        return layout.to_batch(parts)

    def drop_ended(self) -> Iterator[Ended]:
        """Recordings at the front of which nothing is left."""
        while self.timelines and self.timelines[0].is_over:
            first = self.timelines.pop(0)
            yield Ended(
                first.number, first.next, first.format, first.describe_colors(), first.error
            )


class _Layout:
    """Images of one batch, and where clips begin in them."""

    def __init__(self, cutting: Cutting, earlier: list[tuple[int, int, int]]) -> None:
        self._cutting = cutting
        self._known = {key: position for position, key in enumerate(earlier)}
        self._images: list[np.ndarray] = []
        self._poses: list[np.ndarray] = []
        self.starts: list[int] = []
        self.slices: list[int] = []
        self.clips: list[int] = []
        self.bank: list[int] = []
        self.keys: list[tuple[int, int, int]] = []

    def add(self, timeline: _Timeline, start: int, stop: int) -> None:
        """Place the frames from start to stop of a recording."""
        spacing = self._cutting.spacing
        starts = np.zeros(stop - start, np.int64)
        slices = np.zeros(stop - start, np.int64)
        for first in range(start, min(stop, start + spacing)):
            places = np.arange(first, stop, spacing) // spacing
            lane = first % spacing
            rows = slice(first - start, None, spacing)
            starts[rows], slices[rows] = self._add_lane(timeline, lane, places)
        self.starts += starts.tolist()
        self.slices += slices.tolist()

    def _add_lane(
        self, timeline: _Timeline, lane: int, places: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Starts and slices of frames of one lane, `spacing` apart; places count within it."""
        cut = self._cutting
        clips = range(int(places[0]) // cut.pairs, -(-int(places[-1]) // cut.pairs) + 1)
        keys = [(timeline.number, lane, clip) for clip in clips] if cut.shared else []
        new = [clip for *_, clip in keys if (timeline.number, lane, clip) not in self._known]
        first = min([int(places[0]), *(clip * cut.pairs for clip in new)]) - cut.before
        last = max([int(places[-1]), *(clip * cut.pairs for clip in new)])
        wanted = np.arange(first, last - cut.before + cut.length) * cut.spacing + lane
        shift = len(self._images) - first - cut.before
        wanted = wanted.clip(0, timeline.received - 1)
        self._images += [timeline.held[index] for index in (wanted - timeline.first).tolist()]
        if timeline.poses.size:
            self._poses.append(timeline.poses[wanted])
        base = len(self.bank) - clips[0]
        for key in keys:
            self.bank.append(self._number(key, key[2] * cut.pairs + shift))
        self.keys += keys
        slices = (places // cut.pairs + base) * cut.pairs + places % cut.pairs
        return places + shift, slices

    def _number(self, key: tuple[int, int, int], start: int) -> int:
        """Number of a clip; a new one starts at that image."""
        if key in self._known:
            return self._known[key]
        self.clips.append(start)
        return len(self._known) + len(self.clips) - 1

    def to_batch(self, parts: list[Part | Ended]) -> Batch:
        images = np.stack(self._images)
        nothing = np.zeros((len(images), 0), np.float32)
        poses = np.concatenate(self._poses) if self._poses else nothing
        return Batch(images, poses, self.starts, parts, self.clips, self.bank, self.slices)


def _ahead(events: Iterator[Event]) -> Generator[Event, None, None]:
    """The same events, made by a thread while the networks work on earlier ones."""
    waiting: queue.Queue[Any] = queue.Queue(BATCHES_AHEAD)
    stop = threading.Event()
    thread = threading.Thread(
        target=_produce, args=(events, waiting, stop), name="decoder", daemon=True
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


def _produce(events: Iterator[Event], waiting: queue.Queue, stop: threading.Event) -> None:
    """Queue every event, then None; an error takes the place of what is missing."""
    try:
        with contextlib.closing(events):  # type: ignore[type-var]
            for event in events:
                _put(event, waiting, stop)
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
