"""Splits: which stretches of which videos are for training, validation and test.

Comes in: the labels of every video. Goes out: half-open stretches of frames per part, such that
every part contains every behavior and the shares are close to the wanted ones. The assignment is
an integer programme, solved by HiGHS; it is not drawn at random and tried again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pixelethogram.assignment import Task, Unit, assign, list_words
from pixelethogram.errors import InputError, UsageError
from pixelethogram.progress import format_count

By = Literal["auto", "video", "time"]
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.6, "val": 0.2, "test": 0.2}
MIN_VIDEOS = 3
NUM_BLOCKS = (24, 40, 16, 10)


@dataclass(frozen=True)
class Segment:
    """A stretch of one video, `start <= frame < stop`."""

    video: str
    start: int
    stop: int


Splits = dict[str, list[Segment]]


def hide_other_frames(
    labels: Mapping[str, np.ndarray], segments: Sequence[Segment]
) -> dict[str, np.ndarray]:
    """Labels (T, K) of the labelled videos of some stretches; frames outside become -1.

    Args:
        labels: Video -> (T, K), 1 / 0 / -1.
        segments: What is kept.
    """
    hidden: dict[str, np.ndarray] = {}
    for each in segments:
        if each.video in labels:
            values = labels[each.video]
            kept = hidden.setdefault(each.video, np.full_like(values, -1))
            kept[each.start : each.stop] = values[each.start : each.stop]
    return hidden


def solve_splits(
    labels: Mapping[str, np.ndarray],
    behaviors: Sequence[str],
    *,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    by: By = "auto",
    guard_frames: int = 0,
    block_frames: int | None = None,
    seed: int = 0,
    fixed: Mapping[str, str] | None = None,
    allow_absent: bool = False,
) -> Splits:
    """Assign labelled videos, or blocks of them, to parts.

    Every part with a fraction above 0 gets at least one scored frame with each behavior, and one
    without it where that is possible. Subject to that, the shares of scored frames, of positive
    frames and of bouts of each behavior come as close to the fractions as the solver finds.

    Args:
        labels: (T, K) int8 per video; 1 present, 0 absent, −1 not scored.
        behaviors: The K names, for messages.
        fractions: Wanted share of each part; they sum to 1.
        by: "video" keeps videos whole. "time" cuts them into blocks. "auto" is "video" from three
            labelled videos on.
        guard_frames: By time: frames of different parts are more than this many frames apart. The
            frames between them, half from each side of the border, belong to no part.
        block_frames: By time: scored frames per block, about. None: so many that there are about
            24 blocks in all, or 40, 16 or 10 if 24 cannot be assigned.
        seed: Chooses among equally good assignments.
        fixed: Videos that already have a part and keep it as a whole.
        allow_absent: Accept a behavior that occurs nowhere.

    Returns:
        Segments of each part, sorted by video and frame: whole videos, or merged blocks. Videos
        without a scored frame are in no part.

    Raises:
        UsageError: Fractions, `fixed` or sizes make no sense.
        InputError: The labels cannot be split; names the behavior and where it occurs.
        ResourceError: The solver ran out of time.
    """
    _check_settings(fractions, fixed or {}, guard_frames, block_frames)
    labelled = {video: labels[video] for video in sorted(labels) if (labels[video] >= 0).any()}
    whole = by == "video" or (by == "auto" and len(labelled) >= MIN_VIDEOS)
    task = Task(
        behaviors=tuple(behaviors),
        fractions=dict(fractions),
        fixed={video: part for video, part in (fixed or {}).items() if video in labelled},
        guard_frames=guard_frames,
        seed=seed,
        occurring=_check_labels(labelled, behaviors, allow_absent),
        by="video" if whole else "time",
    )
    if not whole:
        return _split_by_time(labelled, task, block_frames)
    _check_number(labelled, task)
    units = [_measure(Segment(video, 0, len(values)), values) for video, values in labelled.items()]
    return _collect(units, assign(units, task), task)


def _check_settings(
    fractions: Mapping[str, float],
    fixed: Mapping[str, str],
    guard_frames: int,
    block_frames: int | None,
) -> None:
    if min(fractions.values(), default=-1) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise UsageError(
            f"split fractions are {dict(fractions)}",
            do="give each part a share of 0 or more; the shares must sum to 1",
        )
    for video, part in fixed.items():
        if part not in fractions:
            raise UsageError(
                f'video "{video}" is fixed to the part "{part}"',
                do="use one of: " + ", ".join(fractions),
            )
    if guard_frames < 0 or (block_frames is not None and block_frames < 1):
        raise UsageError(
            f"guard_frames is {guard_frames}, block_frames is {block_frames}",
            do="use a guard of 0 or more and blocks of 1 frame or more",
        )


def _check_labels(
    labelled: dict[str, np.ndarray], behaviors: Sequence[str], allow_absent: bool
) -> list[int]:
    """Columns of the behaviors that occur."""
    if not labelled:
        raise InputError("No video has a scored frame.", do="label a video, or import labels")
    for video, values in labelled.items():
        if values.ndim != 2 or values.shape[1] != len(behaviors):
            raise ValueError(f"{video}: expected (T, {len(behaviors)}) labels, got {values.shape}")
    occurs = np.any([(values == 1).any(axis=0) for values in labelled.values()], axis=0)
    for behavior, found in zip(behaviors, occurs, strict=True):
        if not (found or allow_absent):
            raise InputError(
                f'Behavior "{behavior}" occurs in none of '
                f"{format_count(len(labelled), 'labelled video')}.",
                do=f'score "{behavior}" in a video, or remove it from project.yaml',
            )
    return np.flatnonzero(occurs).tolist()


def _check_number(labelled: dict[str, np.ndarray], task: Task) -> None:
    if len(labelled) < len(task.parts):
        raise InputError(
            f"{format_count(len(labelled), 'labelled video')} ({list_words(labelled)}) "
            f"cannot be split by video into {', '.join(task.parts)}.",
            do="label more videos, or set split.by: time",
        )


def _measure(segment: Segment, values: np.ndarray) -> Unit:
    """Count what the labels (T, K) of a segment hold."""
    inside = values[segment.start : segment.stop]
    present = np.pad(inside == 1, ((1, 0), (0, 0)))
    return Unit(
        video=segment.video,
        start=segment.start,
        stop=segment.stop,
        scored=int((inside >= 0).any(axis=1).sum()),
        positives=present.sum(axis=0),
        bouts=(present[1:] & ~present[:-1]).sum(axis=0),
        negatives=(inside == 0).sum(axis=0),
    )


def _split_by_time(labelled: dict[str, np.ndarray], task: Task, block_frames: int | None) -> Splits:
    """Cut into blocks, assign them, merge neighbours, trim borders."""
    num_scored = sum(int((values >= 0).any(axis=1).sum()) for values in labelled.values())
    sizes = [math.ceil(num_scored / number) for number in NUM_BLOCKS]
    problems = []
    for size in [block_frames] if block_frames else sizes:
        units = [
            unit
            for video, values in labelled.items()
            for unit in _cut_blocks(video, values, size, task.guard_frames)
        ]
        try:
            return _collect(units, assign(units, task), task)
        except InputError as problem:
            problems.append(problem)
    raise problems[0]


def _cut_blocks(video: str, values: np.ndarray, size: int, guard_frames: int) -> list[Unit]:
    """Blocks with equally many scored frames, about `size`; counted without their guards."""
    scored = np.flatnonzero((values >= 0).any(axis=1))
    pieces = np.array_split(scored, max(1, round(len(scored) / size)))
    blocks = [Segment(video, int(piece[0]), int(piece[-1]) + 1) for piece in pieces]
    interiors = _trim_borders(blocks, [str(number) for number in range(len(blocks))], guard_frames)
    return [
        replace(_measure(interior, values), start=block.start, stop=block.stop)
        for block, interior in zip(blocks, interiors, strict=True)
    ]


def _trim_borders(
    segments: Sequence[Segment], parts: Sequence[str], guard_frames: int
) -> list[Segment]:
    """Shorten both sides of each border between different parts of a video by half of the guard.

    Segments of one video must be in order. A segment shorter than its guards ends up empty.
    """
    starts = [segment.start for segment in segments]
    stops = [segment.stop for segment in segments]
    for right in range(1, len(segments)):
        left = right - 1
        before, after = segments[left], segments[right]
        missing = guard_frames - (after.start - before.stop)
        if before.video == after.video and parts[left] != parts[right] and missing > 0:
            stops[left] -= missing // 2
            starts[right] += missing - missing // 2
    return [
        replace(segment, start=start, stop=max(start, stop))
        for segment, start, stop in zip(segments, starts, stops, strict=True)
    ]


def _collect(units: Sequence[Unit], assigned: Sequence[str], task: Task) -> Splits:
    """Merge neighbours of one part, trim borders, and list the segments of each part."""
    segments: list[Segment] = []
    parts: list[str] = []
    for unit, part in zip(units, assigned, strict=True):
        if segments and segments[-1].video == unit.video and parts[-1] == part:
            segments[-1] = replace(segments[-1], stop=unit.stop)
        else:
            segments.append(Segment(unit.video, unit.start, unit.stop))
            parts.append(part)
    splits: Splits = {part: [] for part in task.fractions}
    for segment, part in zip(_trim_borders(segments, parts, task.guard_frames), parts, strict=True):
        if segment.stop > segment.start:
            splits[part].append(segment)
    return splits
