"""The simulated files have the layout of the challenge, and mice that do what they are said to."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.pose.readers.calms21 import read_sequences, share_of_swapped_sides

TOOL = runpy.run_path(
    str(Path(__file__).resolve().parents[2] / "tools" / "simulate_calms21.py"), run_name="tool"
)


def mean_distance(points: np.ndarray) -> float:
    """Between the centres of the two mice of (T, 2, 2, 7)."""
    centres = points.mean(axis=3)
    return float(np.hypot(*(centres[:, 0] - centres[:, 1]).T).mean())


def mean_speed(points: np.ndarray) -> float:
    centres = points[:, 0].mean(axis=2)
    return float(np.hypot(*np.diff(centres, axis=0).T).mean())


@pytest.mark.parametrize("task", [1, 2, 3])
def test_the_files_belong_together(task: int, tmp_path: Path) -> None:
    TOOL["write"](tmp_path, task, train=4, test=2, frames=150, seed=0)
    train, test, truth = (
        read_sequences(tmp_path / f"{name}.npy") for name in ("train", "test", "truth")
    )
    sample = np.load(tmp_path / "sample_submission.npy", allow_pickle=True).item()
    assert all(each.annotations is not None for each in [*train, *truth])
    assert all(each.annotations is None for each in test)
    assert [each.id for each in test] == [each.id for each in truth]
    lengths = {each.id: each.pose.num_frames for each in test}
    groups = sample.values() if task == 3 else [sample]
    assert {key: len(value) for group in groups for key, value in group.items()} == lengths
    raters = {each.rater for each in train}
    assert len(raters) == (4 if task == 2 else 1)
    assert len({each.group for each in train}) == (7 if task == 3 else 1)
    assert share_of_swapped_sides([each.pose for each in train]) < 0.01


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        TOOL["write"](tmp_path / name, 1, train=1, test=1, frames=60, seed=4)
    same = [(tmp_path / name / "train.npy").read_bytes() for name in ("a", "b")]
    assert same[0] == same[1]


def test_behaviors_are_ways_to_move() -> None:
    points = {
        name: TOOL["simulate"](["other"] * 30 + [name] * 300, np.random.default_rng(1))[90:]
        for name in ("other", "investigation", "mount", "attack", "groom", "disengaged")
    }
    distance = {name: mean_distance(each) for name, each in points.items()}
    assert distance["mount"] < 50 < distance["investigation"] < 110 < distance["disengaged"]
    speed = {name: mean_speed(each) for name, each in points.items()}
    assert speed["attack"] > 2 * speed["investigation"]
    assert speed["groom"] < 2
    assert all(np.isfinite(each).all() for each in points.values())


def test_annotators_have_habits() -> None:
    names = ("attack", "investigation", "mount", "other")
    states = ["other"] * 20 + ["attack"] * 30 + ["other"] * 20 + ["mount"] * 5 + ["other"] * 5
    written = {
        late: TOOL["annotate"](states, names, TOOL["Habit"](late, shortest))
        for late, shortest in ((0, 1), (8, 6))
    }
    exact = [3] * 20 + [0] * 30 + [3] * 20 + [2] * 5 + [3] * 5
    assert written[0].tolist() == exact
    assert written[8].tolist() == [3] * 28 + [0] * 22 + [3] * 30  # late, and past the short bout
