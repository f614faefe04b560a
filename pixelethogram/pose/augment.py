"""Random changes of a whole pose: turned, mirrored, scaled, shifted, exchanged, with noise.

Cheaper and cleaner than changing drawn pictures: limbs stay as thick as they were, no corner is
empty, and in a mirror left and right change places. One draw for all frames, so that motion stays
what it was; only noise is new on every frame.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from pixelethogram.pose.pose import Pose
from pixelethogram.pose.views import Panel


@dataclasses.dataclass(frozen=True)
class Change:
    """What happens to a pose, in this order, about the middle of the recording; noise comes last.

    Attributes:
        mirror: Left becomes right, on screen and in the names of keypoints.
        angle: Radians, clockwise on screen.
        scale: Factor on all distances.
        shift: Pixels, x and y.
        noise: Standard deviation of what is added to every coordinate, pixels.
        order: Which animal takes the place of each; empty: all keep their own.
    """

    mirror: bool = False
    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    order: tuple[int, ...] = ()

    @property
    def linear(self) -> np.ndarray:
        """(2, 2) what becomes of a step (x, y)."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        mirror = np.diag([-1.0 if self.mirror else 1.0, 1.0])
        return self.scale * np.array([[cos, -sin], [sin, cos]]) @ mirror


def draw_change(
    generator: np.random.Generator,
    *,
    mirror: float = 0.5,
    rotation_degrees: float = 180.0,
    scale: float = 0.1,
    shift: float = 0.0,
    noise: float = 1.0,
    exchange: float = 0.0,
    animals: int = 1,
) -> Change:
    """A change at random.

    Args:
        generator: Where chance comes from.
        mirror: Chance of a mirror; 0 where left and right are different behaviors.
        rotation_degrees: Largest rotation either way.
        scale: Largest relative change of size.
        shift: Largest shift along each axis, pixels.
        noise: Standard deviation of every coordinate, pixels.
        exchange: Chance that animals change places at random.
        animals: How many there are.
    """
    turn = math.radians(rotation_degrees)
    x, y = generator.uniform(-shift, shift, 2).tolist()
    change = Change(
        mirror=bool(generator.random() < mirror),
        angle=float(generator.uniform(-turn, turn)),
        scale=float(generator.uniform(1 - scale, 1 + scale)),
        shift=(x, y),
        noise=noise,
    )
    if exchange and generator.random() < exchange:
        return dataclasses.replace(change, order=tuple(generator.permutation(animals).tolist()))
    return change


def apply_change(pose: Pose, change: Change, generator: np.random.Generator) -> Pose:
    """The changed pose; what is missing stays missing, the size of the recording stays as it is."""
    middle = _middle(pose)
    positions, confidence = pose.positions - middle, pose.confidence
    if change.mirror:
        twin = list(pose.skeleton.mirror)
        positions, confidence = positions[:, :, twin], confidence[:, :, twin]
    if change.order:
        order = list(change.order)
        positions, confidence = positions[:, order], confidence[:, order]
    positions = positions @ change.linear.T + middle + change.shift
    if change.noise:
        positions = positions + generator.normal(0, change.noise, positions.shape)
    return dataclasses.replace(pose, positions=positions, confidence=confidence)


def exchange_panels(panels: Sequence[Panel], order: Sequence[int]) -> list[Panel]:
    """The panels of a picture after each animal's place was taken by another.

    Args:
        panels: Before the change.
        order: Which animal takes the place of each; empty: all keep their own.

    Raises:
        ValueError: An animal comes in that no panel follows, as in the view `ego`.
    """
    followed = {panel.animal: panel for panel in panels if panel.animal is not None}
    exchanged = []
    for panel in panels:
        if order and panel.animal is not None:
            if (source := followed.get(order[panel.animal])) is None:
                raise ValueError(f"no panel follows animal {order[panel.animal]}")
            matrices = source.matrices.copy()
            matrices[:, :, 2] += panel.middle - source.middle
            panel = dataclasses.replace(panel, matrices=matrices)
        exchanged.append(panel)
    return exchanged


def change_panel(panel: Panel, pose: Pose, change: Change) -> Panel:
    """The panel in which a changed pose lies as the view would lay it.

    A view that follows animals goes along with the change, but for its noise and its scale: body
    lengths are those of the recording. A view of the whole recording stays.

    Args:
        panel: Of the pose before the change.
        pose: Gives the size of the recording.
        change: What happens to the pose.
    """
    moved = any(change.shift) or not np.array_equal(change.linear, np.eye(2))
    if not (panel.follows and moved):
        return panel
    turn, shift = panel.matrices[:, :, :2].astype(np.float64), panel.matrices[:, :, 2]
    middle = _middle(pose)
    centres = np.linalg.solve(turn, (panel.middle - shift)[..., None])[..., 0]
    centres = (centres - middle) @ change.linear.T + middle + change.shift
    if panel.turns:
        x, y = (turn[:, 0] @ change.linear.T).T  # the heading is the row that becomes x
        size = np.hypot(x, y) / panel.scale
        turn = np.stack([x, y, -y, x], axis=-1).reshape(-1, 2, 2) / size[:, None, None]
    shift = panel.middle - (turn @ centres[..., None])[..., 0]
    matrices = np.concatenate([turn, shift[..., None]], axis=-1).astype(np.float32)
    return dataclasses.replace(panel, matrices=matrices)


def _middle(pose: Pose) -> np.ndarray:
    return np.array([pose.width - 1, pose.height - 1]) / 2
