"""Make files in the exact layout of CalMS21 / MABe 2021 from two simulated mice.

Two mice of seven points wander in the arena of the challenge (1024 x 570 pixels, 30 frames/s). What
the resident does is a chain of bouts, and each behavior is a way to move: it follows and sniffs,
climbs on from behind and rocks, or fights. Annotators have habits: how late they begin, which short
bouts they pass over. Task 3 has a group of sequences for each of seven rare behaviors.

Written: train.npy, test.npy (no annotations), sample_submission.npy, truth.npy (the test file with
the annotations, which the challenge keeps to itself).

    python tools/simulate_calms21.py FOLDER --task 1
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT = 1024, 570
ARENA = ((190.0, 60.0), (830.0, 510.0))
COMMON = ("attack", "investigation", "mount", "other")
RARE = (
    *("approach", "disengaged", "groom", "intromission"),
    *("mount_attempt", "sniff_face", "whiterearing"),
)
# nose, left ear, right ear, neck, left hip, right hip, tail base; ahead and to the left, pixels
AHEAD = np.array([46.0, 26.0, 26.0, 16.0, -22.0, -22.0, -44.0])
LEFT = np.array([0.0, 15.0, -15.0, 0.0, 18.0, -18.0, 0.0])
RELAX = 0.25  # share of the way to its place that a mouse goes per frame, at most its speed


@dataclasses.dataclass(frozen=True)
class Manner:
    """How the two mice move in one behavior."""

    seconds: float
    """Typical length of a bout."""
    speed: float
    """Most pixels per frame of the resident."""
    place: tuple[float, float] | None
    """Where it wants to be, ahead and left of the intruder; None: somewhere in the arena."""
    align: bool = False
    """It looks where the intruder looks; else at the intruder, or ahead."""
    rock: float = 0.0
    """Pixels of a quick movement to and fro."""
    fight: float = 0.0
    """Pixels per frame by which both are thrown about."""
    shrink: float = 1.0
    """Length of the resident's body, of 1."""
    intruder_speed: float = 3.0
    """Pixels per frame of the intruder."""


MANNERS = {
    "other": Manner(3.0, 4.0, None),
    "investigation": Manner(2.0, 7.0, (-75.0, 0.0), intruder_speed=2.0),
    "mount": Manner(2.0, 7.0, (-25.0, 0.0), align=True, rock=3.0, intruder_speed=1.0),
    "attack": Manner(1.2, 14.0, (-10.0, 15.0), fight=9.0, intruder_speed=9.0),
    "approach": Manner(1.0, 12.0, (-110.0, 0.0)),
    "disengaged": Manner(1.5, 8.0, (-330.0, 60.0)),
    "groom": Manner(2.5, 0.3, None, rock=1.5, shrink=0.8),
    "intromission": Manner(3.0, 7.0, (-25.0, 0.0), align=True, rock=7.0, intruder_speed=0.3),
    "mount_attempt": Manner(0.7, 9.0, (-38.0, 8.0), align=True, rock=2.0, intruder_speed=5.0),
    "sniff_face": Manner(1.2, 7.0, (95.0, 0.0), intruder_speed=0.8),
    "whiterearing": Manner(1.2, 0.3, None, shrink=0.55),
}
USUAL = {"other": 0.5, "investigation": 0.3, "mount": 0.1, "attack": 0.1}


@dataclasses.dataclass(frozen=True)
class Habit:
    """How an annotator differs from what happened."""

    late: int
    """Frames by which bouts begin late (negative: early)."""
    shortest: int
    """Bouts of fewer frames are passed over."""


HABITS = (Habit(0, 1), Habit(8, 6), Habit(-10, 1), Habit(4, 25), Habit(-4, 12))


def draw_states(num_frames: int, chances: dict[str, float], random: Any) -> list[str]:
    """Name of the behavior of every frame, in bouts; the same never follows itself."""
    names, states = list(chances), ["other"] * int(random.integers(10, 40))
    while len(states) < num_frames:
        others = [name for name in names if name != states[-1]]
        weights = np.array([chances[name] for name in others])
        name = str(random.choice(others, p=weights / weights.sum()))
        seconds = MANNERS[name].seconds * random.gamma(4.0, 0.25)
        states += [name] * max(8, round(30 * seconds))
    return states[:num_frames]


def simulate(states: list[str], random: Any, noise: float = 1.5) -> np.ndarray:
    """Keypoints (T, 2, 2, 7) of resident and intruder who do this."""
    low, high = (np.array(corner) for corner in ARENA)
    place = random.uniform(low, high, (2, 2))
    angle = random.uniform(-np.pi, np.pi, 2)
    targets = random.uniform(low, high, (2, 2))
    poses = np.empty((len(states), 2, 5))  # x, y, angle, length, bend of the head
    length, bend = np.ones(2), np.zeros(2)
    for frame, state in enumerate(states):
        manner = MANNERS[state]
        close = np.hypot(*(targets - place).T) < 25
        new = random.random(2) < 0.01
        targets = np.where((close | new)[:, None], random.uniform(low, high, (2, 2)), targets)
        ahead = np.array([np.cos(angle[1]), np.sin(angle[1])])
        left = np.array([ahead[1], -ahead[0]])  # y points down
        goal = targets[0]
        if manner.place is not None:
            goal = place[1] + manner.place[0] * ahead + manner.place[1] * left
        step = np.array(
            [
                _step(goal - place[0], manner.speed),
                _step(targets[1] - place[1], manner.intruder_speed),
            ]
        )
        step += random.normal(0, 0.3 + manner.fight / 2, (2, 2))
        rock = manner.rock * np.sin(2 * np.pi * frame / 6)
        place = np.clip(place + step, low, high)
        wanted = np.arctan2(step[:, 1], step[:, 0])
        if manner.place is not None:
            to_other = place[1] - place[0]
            wanted[0] = angle[1] if manner.align else np.arctan2(to_other[1], to_other[0])
        turn = (wanted - angle + np.pi) % (2 * np.pi) - np.pi
        moving = np.hypot(*step.T) > 0.8
        angle = angle + np.where(moving | [manner.place is not None, False], 0.2, 0.02) * turn
        angle += random.normal(0, 0.02 + manner.fight / 40, 2)
        length += 0.2 * (np.array([manner.shrink, 1.0]) - length) + random.normal(0, 0.01, 2)
        bend = 0.9 * bend + random.normal(0, 0.05, 2)
        shown = place + rock * np.array([[np.cos(angle[0]), np.sin(angle[0])], [0, 0]])
        poses[frame] = np.column_stack([shown, angle, length, bend])
    return _to_keypoints(poses) + random.normal(0, noise, (len(states), 2, 2, 7))


def annotate(states: list[str], names: tuple[str, ...], habit: Habit) -> np.ndarray:
    """(T,) index of `names` for every frame, as an annotator of this habit would write."""
    other = names.index("other")
    truth = np.array([names.index(each) if each in names else other for each in states])
    edges = [0, *(np.flatnonzero(np.diff(truth)) + 1).tolist(), len(truth)]
    written = np.full(len(truth), other)
    for start, stop in zip(edges, edges[1:], strict=False):
        if truth[start] != other and stop - start >= habit.shortest:
            written[max(0, start + habit.late) : stop] = truth[start]
    return written


def make_sequences(
    number: int, frames: int, random: Any, names: tuple[str, ...], raters: list[int | None]
) -> dict[str, dict[str, Any]]:
    """Sequences by their ids, with annotations; raters take turns."""
    made = {}
    for index in range(number):
        rare = {name: 0.25 for name in names if name in RARE}
        length = int(frames * random.uniform(0.8, 1.2))
        states = draw_states(length, {**USUAL, **rare}, random)
        rater = raters[index % len(raters)]
        made[random.bytes(5).hex()] = {
            "keypoints": simulate(states, random),
            "annotations": annotate(states, names, HABITS[rater or 0]),
            **({} if rater is None else {"annotator_id": rater}),
        }
    return made


def write(folder: Path, task: int, train: int, test: int, frames: int, seed: int) -> None:
    """Write the four files of a task."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    raters: list[int | None] = {1: [0], 2: [1, 2, 3, 4], 3: [None]}[task]
    files: dict[str, Any]
    if task < 3:
        parts = [make_sequences(number, frames, random, COMMON, raters) for number in (train, test)]
        files = {
            "train": {"vocabulary": list(COMMON), "sequences": parts[0]},
            "truth": {"vocabulary": list(COMMON), "sequences": parts[1]},
            "test": _without_annotations(parts[1]),
            "sample_submission": _zeros(parts[1]),
        }
    else:
        files = {"train": {}, "truth": {}, "test": {}, "sample_submission": {}}
        for name in RARE:
            names = (name, "other")
            parts = [make_sequences(each, frames, random, names, raters) for each in (train, test)]
            files["train"][name] = {"vocabulary": list(names), "sequences": parts[0]}
            files["truth"][name] = {"vocabulary": list(names), "sequences": parts[1]}
            files["test"] |= _without_annotations(parts[1])
            files["sample_submission"][name] = _zeros(parts[1])
    for name, content in files.items():
        np.save(folder / f"{name}.npy", content)


def _step(way: np.ndarray, speed: float) -> np.ndarray:
    distance = float(np.hypot(*way)) + 1e-9
    return way / distance * min(speed, RELAX * distance)


def _to_keypoints(poses: np.ndarray) -> np.ndarray:
    """(T, 2, 2, 7) of place, angle, length and bend (T, 2, 5)."""
    x, y, angle, length, bend = (poses[..., index, None] for index in range(5))
    head = np.arange(7) < 3
    turned = angle + np.where(head, bend, 0.0)
    ahead, left = AHEAD * length, np.broadcast_to(LEFT, turned.shape)
    return np.stack(
        [
            x + np.cos(turned) * ahead + np.sin(turned) * left,
            y + np.sin(turned) * ahead - np.cos(turned) * left,
        ],
        axis=2,
    )


def _without_annotations(sequences: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        key: {name: value for name, value in each.items() if name != "annotations"}
        for key, each in sequences.items()
    }


def _zeros(sequences: dict[str, dict[str, Any]]) -> dict[str, list[int]]:
    return {key: [0] * len(each["annotations"]) for key, each in sequences.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--train", type=int, default=8, help="sequences (task 3: per behavior)")
    parser.add_argument("--test", type=int, default=3, help="sequences (task 3: per behavior)")
    parser.add_argument("--frames", type=int, default=1200, help="per sequence, about")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.folder, given.task, given.train, given.test, given.frames, given.seed)


if __name__ == "__main__":
    main()
