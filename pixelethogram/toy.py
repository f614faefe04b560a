"""A toy world with a known ethogram: a seed comes in, a video and its true labels go out.

A square animal with a random coat walks on a horizontal line of a textured arena. Whether it goes
left, goes right or stands still cannot be told from one frame: the arena is a cylinder (who walks
out on the right comes in on the left), so every place is equally likely whatever the animal does,
and its coat does not change. Independently of that, bouts of blue stripes come over the coat, which
one frame shows and motion does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from pixelethogram.frames.video_writer import write_video

TOY_BEHAVIORS = ("left", "right", "still", "striped")
"""Columns of the labels: exactly one of the first three is 1, the last is independent of them."""

STEPS = (-1, 1, 0)
"""Direction that each of the first three behaviors means, in the order of TOY_BEHAVIORS."""

MIN_BOUT_FRAMES, MAX_BOUT_FRAMES = 10, 40
"""Length of a bout, both included; only the last bout of a video may be cut shorter."""

BLUE = np.array([40.0, 60.0, 150.0])
BROWN = np.array([1.0, 0.85, 0.6])
SENSOR_NOISE = 3.0
"""Standard deviation of the noise of every pixel and frame, in grey levels."""
FLICKER = 0.015
"""Standard deviation of the brightness from frame to frame, as a fraction."""


def make_toy_video(
    path: Path, seed: int, num_frames: int = 300, size: int = 64, fps: float = 30.0
) -> np.ndarray:
    """Write a toy video and return its true labels.

    Args:
        path: Video file (.mp4) to write; it appears only when it is complete.
        seed: Equal seeds give equal videos.
        num_frames: Frames of the video.
        size: Height and width in pixels, even.
        fps: Frames per second.

    Returns:
        (T, 4) int8 labels, columns as in TOY_BEHAVIORS.
    """
    frames, labels = toy_frames(seed, num_frames, size)
    write_video(frames, path, fps)
    return labels


def toy_frames(seed: int, num_frames: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint a toy video.

    Args:
        seed: Equal seeds give equal frames.
        num_frames: Frames to paint.
        size: Height and width in pixels; the animal is a quarter as wide.

    Returns:
        (T, H, W, 3) uint8 frames and (T, 4) int8 labels, columns as in TOY_BEHAVIORS.

    Raises:
        ValueError: The size is odd or too small for the animal to have a coat.
    """
    if size < 16 or size % 2:
        raise ValueError(f"the toy arena needs an even size of at least 16 pixels, got {size}")
    generator = np.random.default_rng(seed)
    left_edge, motion = toy_motion(generator, num_frames, size)
    striped = toy_bouts(generator, num_frames, [0, 1])
    coats = _paint_coats(generator, size // 4)
    arena = _paint_arena(generator, size)
    top = int(generator.integers(size // 8, size - size // 4 - size // 8 + 1))
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for frame in range(num_frames):
        scene = arena.copy()
        columns = (left_edge[frame] + np.arange(size // 4)) % size
        scene[top : top + size // 4, columns] = coats[striped[frame]]
        scene *= generator.normal(1.0, FLICKER)
        scene += generator.normal(0.0, SENSOR_NOISE, scene.shape)
        frames[frame] = np.clip(np.rint(scene), 0, 255)
    labels = np.column_stack([motion[:, None] == np.arange(len(STEPS)), striped == 1])
    return frames, labels.astype(np.int8)


def toy_motion(
    generator: np.random.Generator, num_frames: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Let the animal walk.

    Args:
        generator: Source of the randomness.
        num_frames: Frames to walk.
        size: Width of the arena in pixels; a step is size / 32 pixels, at least 1.

    Returns:
        (T,) left edge of the animal in pixels, 0 <= edge < size, and (T,) motion: the index into
        STEPS of the step between this frame and the next one.
    """
    motion = toy_bouts(generator, num_frames, range(len(STEPS)))
    step_pixels = max(1, round(size / 32))
    displacement = np.asarray(STEPS)[motion] * step_pixels
    travelled = np.cumsum(displacement) - displacement  # before the step of each frame
    return (int(generator.integers(size)) + travelled) % size, motion


def toy_bouts(generator: np.random.Generator, num_frames: int, states: Sequence[int]) -> np.ndarray:
    """Draw states in bouts of random length.

    Args:
        generator: Source of the randomness.
        num_frames: Frames to fill.
        states: Two or more different ones; all take turns, each round in a new order, and none
            follows itself.

    Returns:
        (T,) states, each lasting MIN_BOUT_FRAMES to MAX_BOUT_FRAMES.
    """
    drawn: list[int] = []
    while len(drawn) < num_frames:
        turns = generator.permutation(states)
        if drawn and turns[0] == drawn[-1]:
            turns = turns[::-1]
        lengths = generator.integers(MIN_BOUT_FRAMES, MAX_BOUT_FRAMES + 1, len(turns))
        drawn += np.repeat(turns, lengths).tolist()
    return np.array(drawn[:num_frames])


def _paint_coats(generator: np.random.Generator, side: int) -> np.ndarray:
    """Paint the animal with spots and with blue diagonal stripes over them: (2, side, side, 3)."""
    spots = 150.0 + 35.0 * _texture(generator, side, sigma=side / 10)
    plain = spots[..., None] * BROWN
    rows, columns = np.mgrid[:side, :side]
    stripes = (rows + columns) % max(4, side // 2) < max(2, side // 4)
    return np.stack([plain, np.where(stripes[..., None], BLUE, plain)])


def _paint_arena(generator: np.random.Generator, size: int) -> np.ndarray:
    """Paint the floor, (size, size, 3) grey."""
    grey = 110.0 + 12.0 * _texture(generator, size, sigma=size / 24)
    return np.repeat(grey[..., None], 3, axis=2)


def _texture(generator: np.random.Generator, side: int, sigma: float) -> np.ndarray:
    """Draw (side, side) smooth noise of mean 0 and standard deviation 1, without a seam."""
    noise = gaussian_filter(generator.normal(size=(side, side)), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()
