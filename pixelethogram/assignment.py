"""Assignment: which part each video, or block of one, goes to, solved as an integer programme.

Every behavior must occur in every part; among such assignments the one is taken whose shares of
frames, positive frames and bouts are closest to the wanted ones (HiGHS, by scipy.optimize.milp).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import csr_array

from pixelethogram.errors import InputError, ResourceError
from pixelethogram.progress import format_count

# Weights of the objective; deviations are shares, so each sum lies between 0 and 2.
POSITIVES_WEIGHT = 1.0
BOUTS_WEIGHT = 0.25
NO_NEGATIVE_COST = 1.0
BORDER_COST = 0.002
TOLERANCE = 0.02

# Node limits, unlike time limits, give the same split on every machine.
BALANCED_SOLVER = {"time_limit": 10.0, "mip_rel_gap": 0.01, "node_limit": 30}
FEASIBLE_SOLVER = {"time_limit": 30.0}


@dataclass(frozen=True, eq=False)
class Unit:
    """What goes to one part as a whole: a video, or a block of one.

    Counts are of the frames that stay whatever the neighbours get; (K,) each but `scored`.
    """

    video: str
    start: int
    stop: int
    scored: int
    positives: np.ndarray
    bouts: np.ndarray
    negatives: np.ndarray


@dataclass(frozen=True)
class Task:
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


def assign(units: Sequence[Unit], task: Task) -> list[str]:
    """Part of each unit: every behavior in every part, shares close to the fractions.

    Raises:
        InputError: There is no such assignment; names the behavior and where it occurs.
        ResourceError: The solver ran out of time.
    """
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


def _assign_unbalanced(units: Sequence[Unit], present: np.ndarray, task: Task) -> np.ndarray:
    """Find any split with every behavior in every part, or name what makes it impossible."""
    programme, choices = _state_choices(units, task)
    gaps = _require_presence(programme, choices, present, task, forgivable=True)
    result = programme.solve(FEASIBLE_SOLVER)
    if result.x is None:
        raise ResourceError(
            f"No split was found within {FEASIBLE_SOLVER['time_limit']:.0f} s.",
            why=f"{format_count(len(units), task.unit)} with "
            f"{format_count(len(task.behaviors), 'behavior')} are to be divided",
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


def _check_spread(units: Sequence[Unit], present: np.ndarray, task: Task) -> None:
    """Refuse behaviors that occur in fewer units than there are parts."""
    for column in task.occurring:
        if present[:, column].sum() < len(task.parts):
            raise InputError(
                f"{_occurrence(units, present, column, task)}. "
                f"A split by {task.by} cannot test it.",
                why=f"each of {', '.join(task.parts)} needs one such {task.unit}",
                do=_remedy(task, task.behaviors[column]),
            )


def _occurrence(units: Sequence[Unit], present: np.ndarray, column: int, task: Task) -> str:
    holders = dict.fromkeys(
        unit.video for unit, holds in zip(units, present[:, column], strict=True) if holds
    )
    kind = "labelled videos" if task.by == "video" else "blocks"
    where = f" ({list_words(holders)})" if holders else ""
    number = present[:, column].sum()
    return f'Behavior "{task.behaviors[column]}" occurs in {number} of {len(units)} {kind}{where}'


def _remedy(task: Task, behavior: str) -> str:
    if task.by == "video":
        return f'label one more video with "{behavior}", or set split.by: time'
    return f'label more bouts of "{behavior}", or lower split.block_frames or split.guard_frames'


def _state_choices(units: Sequence[Unit], task: Task) -> tuple[_Programme, np.ndarray]:
    """Programme with one yes-or-no variable per unit and part, exactly one yes per unit."""
    programme = _Programme()
    parts = list(task.fractions)
    choices = programme.add_variables(len(units) * len(parts), upper=1, integer=True)
    order = np.random.default_rng(task.seed).permutation(len(units))  # the seed's only effect
    choices = choices.reshape(len(units), len(parts))[order]
    for unit, row in zip(units, choices, strict=True):
        programme.require(row, 1, 1, 1)
        if unit.video in task.fixed:
            part = parts.index(task.fixed[unit.video])
            programme.require(row[part : part + 1], 1, 1)
        else:
            unwanted = [fraction == 0 for fraction in task.fractions.values()]
            programme.require(row, unwanted, 0, 0)
    return programme, choices


def _require_presence(
    programme: _Programme,
    choices: np.ndarray,
    present: np.ndarray,
    task: Task,
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
    programme: _Programme, choices: np.ndarray, units: Sequence[Unit], task: Task
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
    task: Task,
) -> None:
    """Make |share of the counts − fraction|, as far as it exceeds the tolerance, cost `weight`."""
    shares = np.asarray(counts) / max(np.sum(counts), 1)
    for index, fraction in enumerate(task.fractions.values()):
        excess = programme.add_variables(1, cost=weight)
        variables = np.append(choices[:, index], excess)
        programme.require(variables, np.append(shares, 1), fraction - TOLERANCE)
        programme.require(variables, np.append(shares, -1), -math.inf, fraction + TOLERANCE)


def _avoid_borders(
    programme: _Programme, choices: np.ndarray, units: Sequence[Unit], task: Task
) -> None:
    """Make each border between different parts of one video cost a little, for its lost frames."""
    num_scored = sum(unit.scored for unit in units)
    cost = BORDER_COST + task.guard_frames / max(num_scored, 1)
    for left, right in itertools.pairwise(range(len(units))):
        if units[left].video != units[right].video:
            continue
        border = programme.add_variables(1, cost=cost)
        for part in range(choices.shape[1]):
            pair = np.array([border[0], choices[left, part], choices[right, part]])
            programme.require(pair, [1, -1, 1], 0)


def list_words(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
