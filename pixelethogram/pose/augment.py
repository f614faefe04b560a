"""Random changes of a whole pose: turned, mirrored, scaled, shifted, and with noise.

Cheaper and cleaner than changing drawn pictures: limbs stay as thick as they were, no corner is
empty, and in a mirror left and right change places. One draw for all frames, so that motion stays
what it was; only noise is new on every frame.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from pixelethogram.pose.pose import Pose


@dataclasses.dataclass(frozen=True)
class Change:
    """What happens to a pose, in this order, about the middle of the recording.

    Attributes:
        mirror: Left becomes right, on screen and in the names of keypoints.
        angle: Radians, clockwise on screen.
        scale: Factor on all distances.
        shift: Pixels, x and y.
        noise: Standard deviation of what is added to every coordinate, pixels.
    """

    mirror: bool = False
    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0


def draw_change(
    generator: np.random.Generator,
    *,
    mirror: float = 0.5,
    rotation_degrees: float = 180.0,
    scale: float = 0.1,
    shift: float = 0.0,
    noise: float = 1.0,
) -> Change:
    """A change at random.

    Args:
        generator: Where chance comes from.
        mirror: Chance of a mirror; 0 where left and right are different behaviors.
        rotation_degrees: Largest rotation either way.
        scale: Largest relative change of size.
        shift: Largest shift along each axis, pixels.
        noise: Standard deviation of every coordinate, pixels.
    """
    turn = math.radians(rotation_degrees)
    x, y = generator.uniform(-shift, shift, 2).tolist()
    return Change(
        mirror=bool(generator.random() < mirror),
        angle=float(generator.uniform(-turn, turn)),
        scale=float(generator.uniform(1 - scale, 1 + scale)),
        shift=(x, y),
        noise=noise,
    )


def apply_change(pose: Pose, change: Change, generator: np.random.Generator) -> Pose:
    """The changed pose; what is missing stays missing, the size of the recording stays as it is."""
    middle = np.array([pose.width - 1, pose.height - 1]) / 2
    positions, confidence = pose.positions - middle, pose.confidence
    if change.mirror:
        twin = list(pose.skeleton.mirror)
        positions, confidence = positions[:, :, twin] * [-1, 1], confidence[:, :, twin]
    cos, sin = math.cos(change.angle), math.sin(change.angle)
    turn = change.scale * np.array([[cos, sin], [-sin, cos]])  # for rows of points
    positions = positions @ turn + middle + change.shift
    if change.noise:
        positions = positions + generator.normal(0, change.noise, positions.shape)
    return dataclasses.replace(pose, positions=positions, confidence=confidence)
