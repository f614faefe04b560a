"""The toy world does what its labels say, and one frame tells no more than it should."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import f1_score

from pixelethogram import toy

SIZE = 64
SPEED_PIXELS = 2
DIRECTIONS = np.array(toy.STEPS)


def colourfulness(frames: np.ndarray) -> np.ndarray:
    """How much of each column the animal fills, (T, W): the arena is grey and the animal is not."""
    channels = frames.astype(float)
    colour = np.abs(channels[..., 0] - channels[..., 2])
    return np.where(colour > 30, colour, 0.0).sum(axis=1)


def measured_steps(frames: np.ndarray) -> np.ndarray:
    """Shift in pixels from each frame to the next one, (T-1,), by circular correlation."""
    profile = colourfulness(frames)
    shifts = np.arange(-6, 7)
    overlap = [(profile[:-1] * np.roll(profile[1:], -shift, axis=1)).sum(1) for shift in shifts]
    return shifts[np.argmax(overlap, axis=0)]


def single_frame_facts(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Per frame: where the animal is and a close-up of it, (T, 2 + 8·8·3), and (T, 4) labels."""
    frames, labels = toy.toy_frames(seed, 300, SIZE)
    top = np.flatnonzero(colourfulness(frames.swapaxes(1, 2)).sum(0))[0]
    profile = np.concatenate([colourfulness(frames), colourfulness(frames)], axis=1) > 0
    filled = np.lib.stride_tricks.sliding_window_view(profile, SIZE // 4, axis=1).sum(2)
    left_edge = filled.argmax(1) % SIZE
    columns = (left_edge[:, None] + np.arange(SIZE // 4)) % SIZE
    rows = np.arange(top, top + SIZE // 4)
    close_ups = frames[np.arange(300)[:, None, None], rows[:, None], columns[:, None]]
    halved = close_ups.reshape(300, 8, 2, 8, 2, 3).mean(axis=(2, 4)).reshape(300, -1)
    return np.column_stack([np.full(300, top), left_edge, halved]), labels


@pytest.fixture(scope="module")
def single_frame_scores() -> np.ndarray:
    """F1 per behavior on unseen videos of a classifier that sees one frame at a time."""
    train, test = (
        tuple(np.concatenate(part) for part in zip(*map(single_frame_facts, seeds), strict=True))
        for seeds in (range(8), range(100, 104))
    )
    motion = ExtraTreesClassifier(100, random_state=0).fit(train[0], train[1][:, :3].argmax(1))
    coat = ExtraTreesClassifier(100, random_state=0).fit(train[0], train[1][:, 3])
    moving = f1_score(test[1][:, :3].argmax(1), motion.predict(test[0]), average=None)
    return np.append(moving, f1_score(test[1][:, 3], coat.predict(test[0])))


def test_the_animal_is_where_the_track_says() -> None:
    frames, _ = toy.toy_frames(3, 40, SIZE)
    left_edge, _ = toy.toy_motion(np.random.default_rng(3), 40, SIZE)
    for profile, edge in zip(colourfulness(frames), left_edge, strict=True):
        assert set(np.flatnonzero(profile)) == set((edge + np.arange(SIZE // 4)) % SIZE)


@pytest.mark.parametrize("seed", range(5))
def test_the_pixels_move_as_the_labels_say(seed: int) -> None:
    frames, labels = toy.toy_frames(seed, 200, SIZE)
    expected = (labels[:, :3] * DIRECTIONS).sum(1) * SPEED_PIXELS
    same_coat = labels[:-1, 3] == labels[1:, 3]
    assert np.array_equal(measured_steps(frames)[same_coat], expected[:-1][same_coat])


@pytest.mark.parametrize(("size", "speed_pixels"), [(32, 1), (64, 2), (96, 3), (128, 4)])
def test_the_speed_scales_with_the_arena(size: int, speed_pixels: int) -> None:
    left_edge, motion = toy.toy_motion(np.random.default_rng(0), 500, size)
    steps = (np.diff(left_edge) + size // 2) % size - size // 2
    assert np.array_equal(steps, DIRECTIONS[motion[:-1]] * speed_pixels)


@pytest.mark.parametrize("seed", range(50))
def test_each_frame_has_one_motion_and_every_behavior_occurs(seed: int) -> None:
    labels = toy.toy_frames(seed, 200, 16)[1]
    assert labels.shape == (200, len(toy.TOY_BEHAVIORS))
    assert labels.dtype == np.int8
    assert np.all(labels[:, :3].sum(1) == 1)
    assert np.all(labels.sum(0) >= toy.MIN_BOUT_FRAMES)


@pytest.mark.parametrize("states", [[0, 1], [0, 1, 2]])
def test_bouts_last_from_the_shortest_to_the_longest_length(states: list[int]) -> None:
    drawn = toy.toy_bouts(np.random.default_rng(0), 20_000, states)
    lengths = np.diff(np.flatnonzero(np.diff(drawn)))
    assert (lengths.min(), lengths.max()) == (toy.MIN_BOUT_FRAMES, toy.MAX_BOUT_FRAMES)
    assert np.allclose(np.bincount(drawn) / len(drawn), 1 / len(states), atol=0.03)


def test_every_place_is_equally_likely_whatever_the_animal_does() -> None:
    tracks = [toy.toy_motion(np.random.default_rng(seed), 300, SIZE) for seed in range(2000)]
    places = np.concatenate([left_edge for left_edge, _ in tracks]) // 8
    motions = np.concatenate([motion for _, motion in tracks])
    counts = np.histogram2d(places, motions, bins=(8, 3))[0]
    assert np.allclose(counts / counts.sum(1, keepdims=True), 1 / 3, atol=0.03)


def test_stripes_are_independent_of_motion() -> None:
    labels = np.concatenate([toy.toy_frames(seed, 300, 16)[1] for seed in range(60)])
    striped = [labels[labels[:, motion] == 1, 3].mean() for motion in range(3)]
    assert np.allclose(striped, 0.5, atol=0.06)


def test_one_frame_does_not_tell_left_from_right_from_still(
    single_frame_scores: np.ndarray,
) -> None:
    assert single_frame_scores[:3].mean() <= 0.5


def test_one_frame_tells_stripes(single_frame_scores: np.ndarray) -> None:
    assert single_frame_scores[3] >= 0.95


def test_equal_seeds_give_equal_worlds_and_others_do_not() -> None:
    frames, labels = toy.toy_frames(5, 30, 32)
    again, same_labels = toy.toy_frames(5, 30, 32)
    other, _ = toy.toy_frames(6, 30, 32)
    assert np.array_equal(frames, again)
    assert np.array_equal(labels, same_labels)
    assert not np.array_equal(frames, other)


@pytest.mark.parametrize("size", [14, 33])
def test_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        toy.toy_frames(0, 10, size)
