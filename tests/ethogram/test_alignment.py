"""Labels that lie late or early are found by the motion; labels that lie right are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.ethogram.alignment import NUM_PARTS, find_shift
from pixelethogram.toy import toy_bouts


def world(seed: int, num_frames: int = 1500, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Two behaviors in bouts, and motion that is strong in one and weak in the other."""
    generator = np.random.default_rng(seed)
    states = toy_bouts(generator, num_frames, (0, 1, 2))
    labels = (states[:, None] == [0, 1]).astype(np.int8)
    motion = np.array([3.0, 1.0, 2.0])[states] + generator.normal(0, noise, num_frames)
    return labels, np.exp(motion)


def moved(labels: np.ndarray, frames: int) -> np.ndarray:
    """Labels that many frames later; not scored where nothing is left."""
    result = np.full_like(labels, -1)
    if frames >= 0:
        result[frames:] = labels[: len(labels) - frames]
    else:
        result[:frames] = labels[-frames:]
    return result


@pytest.mark.parametrize("late", [-40, -9, 7, 25])
def test_a_shift_is_found_to_the_frame(late: int) -> None:
    labels, energy = world(0)
    shift = find_shift(moved(labels, late), energy, 90, 3)
    assert shift is not None and shift.clear
    assert shift.frames == -late
    assert shift.parts_agree == NUM_PARTS
    assert shift.fit > max(shift.fit_now, shift.fit_far)


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_labels_that_lie_right_are_left_alone(late: int) -> None:
    labels, energy = world(1)
    shift = find_shift(moved(labels, late), energy, 90, 3)
    assert shift is not None and not shift.clear


def test_labels_that_have_nothing_to_do_with_the_motion_propose_nothing() -> None:
    proposals = [find_shift(world(seed)[0], world(seed + 100)[1], 90, 3) for seed in range(30)]
    assert sum(shift is not None and shift.clear for shift in proposals) == 0


def test_unscored_frames_never_count() -> None:
    labels, energy = world(2)
    late = moved(labels, 12)
    late[200:500, 1] = -1
    shift = find_shift(late, energy, 90, 3)
    energy = energy.copy()
    energy[215:470] = 1e9  # the frames that stay unscored wherever a fitting place is looked for
    other = find_shift(late, energy, 15, 3)
    assert shift is not None and shift.clear and shift.frames == -12
    assert other is not None and other.frames == -12


@pytest.mark.parametrize(
    ("labels", "energy"),
    [
        (np.zeros((50, 1), np.int8), np.arange(50.0)),
        (np.zeros((2000, 1), np.int8), np.arange(2000.0)),
        (np.full((2000, 1), -1, np.int8), np.arange(2000.0)),
        (np.eye(2, dtype=np.int8)[np.arange(2000) % 2], np.ones(2000)),
    ],
    ids=["too short", "one state", "not scored", "nothing moves"],
)
def test_nothing_is_said_where_nothing_can_be(labels: np.ndarray, energy: np.ndarray) -> None:
    assert find_shift(labels, energy, 90, 3) is None


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="20 frames of labels, 30 of motion"):
        find_shift(np.zeros((20, 1), np.int8), np.ones(30), 5, 1)
