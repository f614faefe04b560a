"""Views: how a recording lies in a picture. Drawing and pose flow share this geometry.

Convention:
    coordinates (x, y) in pixels, y down, pixel centres at whole numbers, in recording and picture.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from pixelethogram.pose.location import Location, locate_animals
from pixelethogram.pose.pose import Pose

View = Literal["arena", "dyad", "ego", "composite"]

EGO_BODIES = 4.0  # body lengths from side to side
DYAD_BODIES = 8.0
ARENA_SHARE = 0.5625  # of the height, in the composite view


@dataclasses.dataclass(frozen=True)
class Panel:
    """A rectangle of the picture, and where the recording lies in it.

    Attributes:
        top: First row in the picture.
        left: First column.
        height: Rows.
        width: Columns.
        scale: Pixels of the picture per pixel of the recording, the same on every frame.
        matrices: (T, 2, 3) float32, (x, y, 1) of the recording -> (x, y) of the picture.
        follows: True where the view goes along with animals, so that the ground moves.
        turns: True where it also turns with one.
        animal: Number of the one that it follows; None where it follows all or none.
    """

    top: int
    left: int
    height: int
    width: int
    scale: float
    matrices: np.ndarray
    follows: bool
    turns: bool = False
    animal: int | None = None

    @property
    def middle(self) -> np.ndarray:
        """(2,) x and y in the picture."""
        return np.array([self.left + (self.width - 1) / 2, self.top + (self.height - 1) / 2])

    def place(self, positions: np.ndarray) -> np.ndarray:
        """(T, ..., 2) of the recording -> the same points in the picture; NaN stays NaN."""
        shape = (len(self.matrices),) + (1,) * (positions.ndim - 2) + (2, 2)
        turn, shift = self.matrices[:, :, :2].reshape(shape), self.matrices[:, :, 2]
        return (turn @ positions[..., None])[..., 0] + shift.reshape(shape[:-1])


def view_transforms(
    pose: Pose, view: View, height: int, width: int, body: float | None = None
) -> list[Panel]:
    """Panels of a picture; they never overlap.

    `arena`: the whole recording. `dyad`: the middle between all animals stays in the middle.
    `ego`: the first animal stays in the middle and faces right. `composite`: arena above, one ego
    panel per animal below. In the last three a body length is always the same number of pixels.
    Each frame is laid by its own location, smoothed over two frames on each side.

    Args:
        pose: Keypoints of the recording, gaps bridged or not.
        view: Which.
        height: Of the picture.
        width: Of the picture.
        body: Body length in pixels of the recording; None: measured.
    """
    if view == "arena":
        return [_arena_panel(pose, height, width)]
    location = locate_animals(pose)
    if body is not None:
        location = dataclasses.replace(location, body=body)
    if view == "dyad":
        present = location.seen if location.seen.any() else ~location.seen
        middle = location.centres[:, present].mean(axis=1)
        level = np.zeros(pose.num_frames)
        return [_follow(middle, level, location.body * DYAD_BODIES, (0, 0, height, width))]
    if view == "ego":
        return [_ego_panel(location, 0, (0, 0, height, width))]
    top = round(height * ARENA_SHARE)
    share = width // len(pose.individuals)
    side = min(height - top, share)
    arena = _arena_panel(pose, top, width)
    below = [
        (top + (height - top - side) // 2, animal * share + (share - side) // 2, side, side)
        for animal in range(len(pose.individuals))
    ]
    return [arena, *(_ego_panel(location, animal, box) for animal, box in enumerate(below))]


def _arena_panel(pose: Pose, height: int, width: int) -> Panel:
    scale = min(height / pose.height, width / pose.width)
    shift_x = (width - scale * pose.width + scale - 1) / 2
    shift_y = (height - scale * pose.height + scale - 1) / 2
    matrix = np.array([[scale, 0, shift_x], [0, scale, shift_y]], np.float32)
    matrices = np.broadcast_to(matrix, (pose.num_frames, 2, 3))
    return Panel(0, 0, height, width, scale, matrices, follows=False)


def _ego_panel(location: Location, animal: int, box: tuple[int, int, int, int]) -> Panel:
    across = location.body * EGO_BODIES
    panel = _follow(location.centres[:, animal], location.headings[:, animal], across, box)
    return dataclasses.replace(panel, turns=True, animal=animal)


def _follow(
    centres: np.ndarray, headings: np.ndarray, across: float, box: tuple[int, int, int, int]
) -> Panel:
    """Panel in which the points (T, 2) lie in the middle and the headings (T,) point right.

    Args:
        centres: Pixels of the recording.
        headings: Radians.
        across: Pixels of the recording from side to side.
        box: Top, left, height, width in the picture.
    """
    top, left, height, width = box
    scale = min(height, width) / across
    cos, sin = scale * np.cos(headings), scale * np.sin(headings)
    turn = np.stack([cos, sin, -sin, cos], axis=-1).reshape(-1, 2, 2)
    middle = np.array([left + (width - 1) / 2, top + (height - 1) / 2])
    shift = middle - (turn @ centres[..., None])[..., 0]
    matrices = np.concatenate([turn, shift[..., None]], axis=-1).astype(np.float32)
    return Panel(top, left, height, width, scale, matrices, follows=True)
