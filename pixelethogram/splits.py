"""Splits: which stretches of which videos are for training, validation and test.

Comes in: the labels of every video. Goes out: half-open stretches of frames per part, such that
every part contains every behavior and the shares are close to the wanted ones. The assignment is
an integer programme, solved by HiGHS; it is not drawn at random and tried again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import csr_array

from pixelethogram.errors import InputError, ResourceError, UsageError

By = Literal["auto", "video", "time"]
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.6, "val": 0.2, "test": 0.2}
MIN_VIDEOS = 3
NUM_BLOCKS = (24, 40, 16, 10)

# Weights of the objective; deviations are shares, so each sum lies between 0 and 2.
POSITIVES_WEIGHT = 1.0
BOUTS_WEIGHT = 0.25
NO_NEGATIVE_COST = 1.0
BORDER_COST = 0.002
TOLERANCE = 0.02

# Node limits, unlike time limits, give the same split on every machine.
BALANCED_SOLVER = {"time_limit": 10.0, "mip_rel_gap": 0.01, "node_limit": 30}
FEASIBLE_SOLVER = {"time_limit": 30.0}


@dataclass(frozen=True)
class Segment:
    """A stretch of one video, `start <= frame < stop`."""

    video: str
    start: int
    stop: int


Splits = dict[str, list[Segment]]


@dataclass(frozen=True, eq=False)
class _Unit:
    """What goes to one part as a whole: a video, or a block of one.

    Counts are of the frames that stay whatever the neighbours get; (K,) each but `scored`.
    """

    segment: Segment
    scored: int
    positives: np.ndarray
    bouts: np.ndarray
    negatives: np.ndarray


@dataclass(frozen=True)
class _Task:
    """What is asked for, checked."""

    behaviors: tuple[str, ...]
    fractions: dict[str, float]
    fixed: dict[str, str]
    guard_frames: int
    seed: int
    occurring: list[int]
    by: str

    @property
    def unit(self) -> str:
        return "video" if self.by == "video" else "block"

    @property
    def parts(self) -> list[str]:
        """Parts that must not stay empty."""
        return [part for part, fraction in self.fractions.items() if fraction > 0]


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
    task = _Task(
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
    return _collect(units, _assign(units, task), task)


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
                f"{_count(len(labelled), 'labelled video')}.",
                do=f'score "{behavior}" in a video, or remove it from project.yaml',
            )
    return np.flatnonzero(occurs).tolist()


def _check_number(labelled: dict[str, np.ndarray], task: _Task) -> None:
    if len(labelled) < len(task.parts):
        raise InputError(
            f"{_count(len(labelled), 'labelled video')} ({_listing(labelled)}) cannot be split "
            f"by video into {', '.join(task.parts)}.",
            do="label more videos, or set split.by: time",
        )


def _measure(segment: Segment, values: np.ndarray) -> _Unit:
    """Count what the labels (T, K) of a segment hold."""
    inside = values[segment.start : segment.stop]
    present = np.pad(inside == 1, ((1, 0), (0, 0)))
    return _Unit(
        segment=segment,
        scored=int((inside >= 0).any(axis=1).sum()),
        positives=present.sum(axis=0),
        bouts=(present[1:] & ~present[:-1]).sum(axis=0),
        negatives=(inside == 0).sum(axis=0),
    )


def _split_by_time(
    labelled: dict[str, np.ndarray], task: _Task, block_frames: int | None
) -> Splits:
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
            return _collect(units, _assign(units, task), task)
        except InputError as problem:
            problems.append(problem)
    raise problems[0]


def _cut_blocks(video: str, values: np.ndarray, size: int, guard_frames: int) -> list[_Unit]:
    """Blocks with equally many scored frames, about `size`; counted without their guards."""
    scored = np.flatnonzero((values >= 0).any(axis=1))
    pieces = np.array_split(scored, max(1, round(len(scored) / size)))
    blocks = [Segment(video, int(piece[0]), int(piece[-1]) + 1) for piece in pieces]
    interiors = _trim_borders(blocks, [str(number) for number in range(len(blocks))], guard_frames)
    return [
        replace(_measure(interior, values), segment=block)
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


def _collect(units: Sequence[_Unit], assigned: Sequence[str], task: _Task) -> Splits:
    """Merge neighbours of one part, trim borders, and list the segments of each part."""
    segments: list[Segment] = []
    parts: list[str] = []
    for unit, part in zip(units, assigned, strict=True):
        if segments and segments[-1].video == unit.segment.video and parts[-1] == part:
            segments[-1] = replace(segments[-1], stop=unit.segment.stop)
        else:
            segments.append(unit.segment)
            parts.append(part)
    splits: Splits = {part: [] for part in task.fractions}
    for segment, part in zip(_trim_borders(segments, parts, task.guard_frames), parts, strict=True):
        if segment.stop > segment.start:
            splits[part].append(segment)
    return splits


class _Programme:
    """An integer programme under construction: variables with costs, and linear conditions."""

    def __init__(self) -> None:
        self.costs: list[float] = []
        self.upper: list[float] = []
        self.integer: list[bool] = []
        self.conditions: list[tuple[np.ndarray, np.ndarray, float, float]] = []

    def add_variables(
        self, number: int, cost: float = 0.0, upper: float = math.inf, integer: bool = False
    ) -> np.ndarray:
        """Indices of new variables, each between 0 and `upper`."""
        first = len(self.costs)
        self.costs += [cost] * number
        self.upper += [upper] * number
        self.integer += [integer] * number
        return np.arange(first, first + number)

    def require(
        self, variables: np.ndarray, factors: object, lower: float, upper: float = math.inf
    ) -> None:
        """Demand lower <= sum of factors × variables <= upper."""
        row = np.broadcast_to(np.asarray(factors, dtype=np.float64), variables.shape)
        self.conditions.append((variables, row, lower, upper))

    def solve(self, options: Mapping[str, float]) -> OptimizeResult:
        columns = np.concatenate([variables for variables, _, _, _ in self.conditions])
        values = np.concatenate([factors for _, factors, _, _ in self.conditions])
        lengths = [len(variables) for variables, _, _, _ in self.conditions]
        rows = np.repeat(np.arange(len(lengths)), lengths)
        matrix = csr_array((values, (rows, columns)), shape=(len(lengths), len(self.costs)))
        lower = [lower for _, _, lower, _ in self.conditions]
        upper = [upper for _, _, _, upper in self.conditions]
        return milp(
            np.array(self.costs),
            integrality=np.array(self.integer, dtype=int),
            bounds=Bounds(0, np.array(self.upper)),
            constraints=LinearConstraint(matrix, lower, upper),
            options=dict(options),
        )


def _assign(units: Sequence[_Unit], task: _Task) -> list[str]:
    """Part of each unit: every behavior in every part, shares close to the fractions."""
    present = np.array([[*(unit.positives > 0), unit.scored > 0] for unit in units])
    _check_spread(units, present, task)
    programme, choices = _state_choices(units, task)
    _require_presence(programme, choices, present, task)
    _balance_shares(programme, choices, units, task)
    _avoid_borders(programme, choices, units, task)
    result = programme.solve(BALANCED_SOLVER)
    chosen = None if result.x is None else result.x[choices]
    if chosen is None:
        chosen = _assign_unbalanced(units, present, task)
    return [list(task.fractions)[part] for part in chosen.argmax(axis=1)]


def _assign_unbalanced(units: Sequence[_Unit], present: np.ndarray, task: _Task) -> np.ndarray:
    """Find any split with every behavior in every part, or name what makes it impossible."""
    programme, choices = _state_choices(units, task)
    gaps = _require_presence(programme, choices, present, task, forgivable=True)
    result = programme.solve(FEASIBLE_SOLVER)
    if result.x is None:
        raise ResourceError(
            f"No split was found within {FEASIBLE_SOLVER['time_limit']:.0f} s.",
            why=f"there are {len(units)} {task.unit}s and {len(task.behaviors)} behaviors",
            do="try again on an idle computer, or fix some videos to a part",
        )
    missing = {column: part for (column, part), gap in gaps.items() if result.x[gap] > 0.5}
    for column, part in missing.items():
        if column == len(task.behaviors):
            raise InputError(
                f'No {task.unit} is left for the part "{part}".',
                why="the other videos are fixed to a part",
                do="label one more video, or free a fixed one",
            )
        where = _occurrence(units, present, column, task)
        raise InputError(
            f'{where}, but then the part "{part}" gets none of them.',
            why="they are fixed to other parts, or other behaviors need them there",
            do=_remedy(task, task.behaviors[column]),
        )
    return result.x[choices]


def _check_spread(units: Sequence[_Unit], present: np.ndarray, task: _Task) -> None:
    """Refuse behaviors that occur in fewer units than there are parts."""
    for column in task.occurring:
        if present[:, column].sum() < len(task.parts):
            raise InputError(
                f"{_occurrence(units, present, column, task)}. "
                f"A split by {task.by} cannot test it.",
                why=f"each of {', '.join(task.parts)} needs one such {task.unit}",
                do=_remedy(task, task.behaviors[column]),
            )


def _occurrence(units: Sequence[_Unit], present: np.ndarray, column: int, task: _Task) -> str:
    holders = dict.fromkeys(
        unit.segment.video for unit, holds in zip(units, present[:, column], strict=True) if holds
    )
    kind = "labelled videos" if task.by == "video" else "blocks"
    where = f" ({_listing(holders)})" if holders else ""
    number = present[:, column].sum()
    return f'Behavior "{task.behaviors[column]}" occurs in {number} of {len(units)} {kind}{where}'


def _remedy(task: _Task, behavior: str) -> str:
    if task.by == "video":
        return f'label one more video with "{behavior}", or set split.by: time'
    return f'label more bouts of "{behavior}", or lower split.block_frames or split.guard_frames'


def _state_choices(units: Sequence[_Unit], task: _Task) -> tuple[_Programme, np.ndarray]:
    """Programme with one yes-or-no variable per unit and part, exactly one yes per unit."""
    programme = _Programme()
    parts = list(task.fractions)
    choices = programme.add_variables(len(units) * len(parts), upper=1, integer=True)
    order = np.random.default_rng(task.seed).permutation(len(units))  # the seed's only effect
    choices = choices.reshape(len(units), len(parts))[order]
    for unit, row in zip(units, choices, strict=True):
        programme.require(row, 1, 1, 1)
        if unit.segment.video in task.fixed:
            part = parts.index(task.fixed[unit.segment.video])
            programme.require(row[part : part + 1], 1, 1)
        else:
            unwanted = [fraction == 0 for fraction in task.fractions.values()]
            programme.require(row, unwanted, 0, 0)
    return programme, choices


def _require_presence(
    programme: _Programme,
    choices: np.ndarray,
    present: np.ndarray,
    task: _Task,
    forgivable: bool = False,
) -> dict[tuple[int, str], int]:
    """Demand every behavior, and a scored frame (last column), in every part.

    Returns:
        If forgivable, for each column and part the variable that is 1 where the demand is not met.
    """
    gaps = {}
    for column in [*task.occurring, len(task.behaviors)]:
        for index, part in enumerate(task.fractions):
            if part not in task.parts:
                continue
            variables = choices[present[:, column], index]
            if forgivable:
                gap = programme.add_variables(1, cost=1, upper=1)
                gaps[column, part] = int(gap[0])
                variables = np.append(variables, gap)
            programme.require(variables, 1, 1)
    return gaps


def _balance_shares(
    programme: _Programme, choices: np.ndarray, units: Sequence[_Unit], task: _Task
) -> None:
    """Make shares unlike the fractions, and parts without a negative frame, cost something."""
    num_behaviors = max(len(task.occurring), 1)
    _add_deviations(programme, choices, [unit.scored for unit in units], 1, task)
    for column in task.occurring:
        positives = [unit.positives[column] for unit in units]
        bouts = [unit.bouts[column] for unit in units]
        _add_deviations(programme, choices, positives, POSITIVES_WEIGHT / num_behaviors, task)
        _add_deviations(programme, choices, bouts, BOUTS_WEIGHT / num_behaviors, task)
        negative = np.array([unit.negatives[column] > 0 for unit in units])
        for index, part in enumerate(task.fractions):
            if part in task.parts and negative.any():
                gap = programme.add_variables(1, cost=NO_NEGATIVE_COST, upper=1)
                programme.require(np.append(choices[negative, index], gap), 1, 1)
    constant = programme.add_variables(1, cost=1)  # the solver's gap is relative to about 1
    programme.require(constant, 1, 1)


def _add_deviations(
    programme: _Programme,
    choices: np.ndarray,
    counts: Sequence[int] | Sequence[np.integer],
    weight: float,
    task: _Task,
) -> None:
    """Make |share of the counts − fraction|, as far as it exceeds the tolerance, cost `weight`."""
    shares = np.asarray(counts) / max(np.sum(counts), 1)
    for index, fraction in enumerate(task.fractions.values()):
        excess = programme.add_variables(1, cost=weight)
        variables = np.append(choices[:, index], excess)
        programme.require(variables, np.append(shares, 1), fraction - TOLERANCE)
        programme.require(variables, np.append(shares, -1), -math.inf, fraction + TOLERANCE)


def _avoid_borders(
    programme: _Programme, choices: np.ndarray, units: Sequence[_Unit], task: _Task
) -> None:
    """Make each border between different parts of one video cost a little, for its lost frames."""
    num_scored = sum(unit.scored for unit in units)
    cost = BORDER_COST + task.guard_frames / max(num_scored, 1)
    for left, right in itertools.pairwise(range(len(units))):
        if units[left].segment.video != units[right].segment.video:
            continue
        border = programme.add_variables(1, cost=cost)
        for part in range(choices.shape[1]):
            pair = np.array([border[0], choices[left, part], choices[right, part]])
            programme.require(pair, [1, -1, 1], 0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listing(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
