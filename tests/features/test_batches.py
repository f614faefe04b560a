"""Batches: the clip of every frame once, across recordings, and the stream of the shared flow."""

from __future__ import annotations

import contextlib
import itertools
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelethogram.config import FramesConfig
from pixelethogram.errors import InputError
from pixelethogram.features.batches import (
    BATCHES_AHEAD,
    Batch,
    Cutting,
    Ended,
    Event,
    Opened,
    Part,
    iterate_batches,
    plan_batches,
)
from pixelethogram.features.extracted import Format
from pixelethogram.frames.clips import clip_indices, fixed_offset, stretch_indices

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=6)


class Numbered:
    """A recording whose frame t of recording r is the number 256 r + t, in its first two colors."""

    height, width, fps = 2, 2, 30.0
    poses = np.zeros((0, 0), np.float32)

    def __init__(self, recording: int, num_frames: int, broken: bool = False) -> None:
        self.recording, self.num_frames, self.broken = recording, num_frames, broken

    def iterate(self) -> Iterator[np.ndarray]:
        for frame in range(self.num_frames):
            yield np.full((2, 2, 3), (self.recording, frame % 256, 0), np.uint8)
        if self.broken:
            raise InputError("damaged", where=str(self.recording))


def plan(lengths: Sequence[int], cutting: Cutting, broken: int | None = None) -> list[Event]:
    recordings = [
        contextlib.nullcontext(Numbered(number, length, number == broken))
        for number, length in enumerate(lengths)
    ]
    return list(plan_batches(recordings, cutting))  # type: ignore[arg-type]


def numbers(images: np.ndarray) -> list[tuple[int, int]]:
    """(recording, frame) of each image."""
    return [(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in images]


def frames_of(batches: list[Batch]) -> list[tuple[int, int]]:
    parts = [part for batch in batches for part in batch.parts if isinstance(part, Part)]
    return [(part.recording, frame) for part in parts for frame in range(part.start, part.stop)]


@settings(max_examples=60)
@given(
    lengths=LENGTHS,
    length=st.integers(2, 11),
    spacing=st.integers(1, 3),
    size=st.integers(1, 30),
    shared=st.booleans(),
)
def test_every_frame_has_its_clip_once_and_batches_are_full(
    lengths: list[int], length: int, spacing: int, size: int, shared: bool
) -> None:
    events = plan(lengths, Cutting(length, spacing, size, shared))
    batches = [event for event in events if isinstance(event, Batch)]
    expected = [(number, t) for number, frames in enumerate(lengths) for t in range(frames)]
    assert frames_of(batches) == expected
    counts = [len(batch.starts) for batch in batches]
    assert counts == [size] * (len(counts) - 1) + [len(expected) - size * (len(counts) - 1)] * bool(
        counts
    )
    for batch in batches:
        shown = numbers(batch.images)
        for (recording, frame), start in zip(frames_of([batch]), batch.starts, strict=True):
            clip = clip_indices(frame, lengths[recording], length, spacing)
            assert shown[start : start + length] == [(recording, int(each)) for each in clip]


@settings(max_examples=60)
@given(
    lengths=LENGTHS, length=st.integers(2, 11), spacing=st.integers(1, 3), size=st.integers(1, 30)
)
def test_the_shared_flow_of_a_frame_is_that_of_its_pairs_as_in_training(
    lengths: list[int], length: int, spacing: int, size: int
) -> None:
    """The flow network stands for the two images of each pair, and which pair of a clip it was."""
    bank: list[list[Any]] = []
    for batch in plan(lengths, Cutting(length, spacing, size, shared=True)):
        if not isinstance(batch, Batch):
            continue
        shown = numbers(batch.images)
        new = [
            [(*shown[start + pair : start + pair + 2], pair) for pair in range(length - 1)]
            for start in batch.clips
        ]
        bank = [(bank + new)[number] for number in batch.bank]
        stream = [pair for clip in bank for pair in clip]
        for (recording, frame), begin in zip(frames_of([batch]), batch.slices, strict=True):
            offset = fixed_offset(frame, length, spacing)
            images = stretch_indices(frame, lengths[recording], length, offset, spacing)
            pairs = [
                (
                    (recording, int(images[place])),
                    (recording, int(images[place + 1])),
                    place % (length - 1),
                )
                for place in range(offset, offset + length - 1)
            ]
            assert stream[begin : begin + length - 1] == pairs


@pytest.mark.parametrize("spacing", [1, 3])
def test_shared_flow_looks_once_per_clip(spacing: int) -> None:
    events = plan([600], Cutting(11, spacing, 10 * spacing, shared=True))
    looks = sum(len(event.clips) for event in events if isinstance(event, Batch))
    assert 600 / 10 <= looks <= 600 / 10 + spacing


def test_recordings_open_and_end_in_order_and_are_told_apart() -> None:
    events = plan([3, 0, 5], Cutting(3, 1, 4, shared=False))
    assert [event.recording for event in events if isinstance(event, Opened)] == [0, 1, 2]
    ended = [
        part
        for event in events
        for part in (event.parts if isinstance(event, Batch) else [event])
        if isinstance(part, Ended)
    ]
    assert [(each.recording, each.num_frames, each.error) for each in ended] == [
        (0, 3, None),
        (1, 0, None),
        (2, 5, None),
    ]


def test_a_recording_ends_before_the_next_one_has_rows() -> None:
    (batch,) = (each for each in plan([2, 3], Cutting(3, 1, 8, False)) if isinstance(each, Batch))
    kinds = [(type(part).__name__, part.recording) for part in batch.parts]
    assert kinds == [("Part", 0), ("Ended", 0), ("Part", 1), ("Ended", 1)]


def test_a_damaged_recording_ends_with_its_error_and_the_others_are_whole() -> None:
    events = plan([5, 7, 6], Cutting(3, 1, 4, shared=False), broken=1)
    frames = frames_of([event for event in events if isinstance(event, Batch)])
    assert [t for recording, t in frames if recording == 0] == list(range(5))
    assert [t for recording, t in frames if recording == 2] == list(range(6))
    ended = [each for each in events if isinstance(each, Ended)]
    assert [str(each.error).splitlines()[0] for each in ended if each.error] == ["damaged"]


def test_the_end_of_a_recording_need_not_be_known(array_source: Callable[..., Any]) -> None:
    endless = Numbered(0, 10**9)
    events = plan_batches([contextlib.nullcontext(endless)], Cutting(11, 1, 8, True))  # type: ignore[list-item]
    found = [event for event in itertools.islice(events, 4) if isinstance(event, Batch)]
    assert [len(batch.starts) for batch in found] == [8, 8, 8]


@pytest.mark.parametrize("shared", [False, True])
def test_memory_stays_flat(shared: bool) -> None:
    class Large(Numbered):
        def iterate(self) -> Iterator[np.ndarray]:
            return (np.full((64, 64, 3), frame % 251, np.uint8) for frame in range(800))

    large = contextlib.nullcontext(Large(0, 800))
    tracemalloc.start()
    for _ in plan_batches([large], Cutting(11, 1, 10, shared)):  # type: ignore[list-item]
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * 64 * 64 * 3


def test_the_thread_resizes_and_stays_a_few_batches_ahead(
    array_source: Callable[..., Any],
) -> None:
    decoded = 0

    class Slow:
        num_frames, height, width, fps = 400, 48, 40, 30.0

        def iterate(self) -> Iterator[np.ndarray]:
            nonlocal decoded
            for _ in range(400):
                decoded += 1
                yield np.zeros((48, 40, 3), np.uint8)

    config = FramesConfig(height=32, width=36)
    recordings: Any = [lambda: contextlib.nullcontext(Slow())]
    events = iterate_batches(recordings, config, Cutting(3, 1, 4, shared=False))
    seen = 0
    with contextlib.closing(events):
        for event in events:
            if isinstance(event, Batch):
                assert event.images.shape[1:] == (32, 36, 3)
                seen += len(event.starts)
                assert decoded - seen <= 4 * (BATCHES_AHEAD + 3)
            if isinstance(event, Ended):
                assert event.format == Format(48, 40, 30.0)
                assert event.colors["colors"]["mean"] == (0, 0, 0)
    assert seen == 400
