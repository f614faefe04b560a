"""Pose flow: how the drawn animals move from one frame to the next, known from their keypoints.

Takes the place of a flow network where frames are drawn (R3 of the specification). It is exact on
keypoints and linear along limbs; within a body, keypoints count by the inverse square of their
distance. Animals are mixed by how much of a pixel each of them covers. Elsewhere nothing moves.

A whole clip is laid by the pose of the frame in its middle, so that in a view which follows an
animal its own motion stays in the flow; that frame is drawn in the same place.

Convention:
    flow[0] is x, flow[1] is y, in pixels of its own level, which is half as high and wide as the
    picture, rounded up; pixel i of it stands in the middle of pixels 2 i and 2 i + 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pixelethogram.errors import InputError
from pixelethogram.pose.batch_drawing import FAR, corner_of, cover_body
from pixelethogram.pose.coverage import cover_capsule, cover_disc
from pixelethogram.pose.drawing import LIMB_SHARE, MIN_RADIUS, POINT_SHARE
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.progress import format_count

MAX_JUMP = 1.0  # body lengths per frame; a tracker that jumps farther has swapped points or animals
TINY = 1e-6
LEVEL = 2  # pixels of the picture per pixel of the flow
Grid = tuple[Tensor, Tensor]
"""x (1, w) and y (h, 1) of pixels."""


@dataclasses.dataclass(frozen=True)
class PoseLayout:
    """What a row of numbers says about a frame; the same for all recordings of a network.

    A row holds the keypoints in pixels of the recording (animal, keypoint, xy), then the matrix of
    each panel, then the body length in pixels of the recording.

    Attributes:
        skeleton: Of every animal.
        num_animals: N.
        boxes: Top, left, height, width of every panel.
        size: Height and width of the picture.
    """

    skeleton: Skeleton
    num_animals: int
    boxes: tuple[tuple[int, int, int, int], ...]
    size: tuple[int, int]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of keypoints, matrices and body length of a frame."""
        points = (self.num_animals, len(self.skeleton.keypoints), 2)
        return points, (len(self.boxes), 2, 3), (1,)

    @property
    def num_columns(self) -> int:
        """D, numbers in a row."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def to_rows(self, positions: np.ndarray, matrices: np.ndarray, body: float) -> np.ndarray:
        """Rows (T, D) float32.

        Args:
            positions: (T, N, P, 2) pixels of the recording; NaN where missing.
            matrices: (T, panels, 2, 3), recording -> picture.
            body: Pixels of the recording.
        """
        count = len(positions)
        parts = [positions.reshape(count, -1), matrices.reshape(count, -1)]
        return np.concatenate([*parts, np.full((count, 1), body)], axis=1, dtype=np.float32)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions (B, L, N, P, 2), matrices (B, L, panels, 2, 3), body (B, L) of (B, L, D)."""
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = rows.split(sizes, dim=2)
        positions, matrices, body = (
            part.unflatten(2, shape) for part, shape in zip(parts, self.shapes, strict=True)
        )
        return positions, matrices, body[..., 0]

    def check(self, other: PoseLayout) -> None:
        """Refuse a pose with other animals or keypoints; edges may be guessed and are not compared.

        Raises:
            InputError: Says which there are, and which there should be.
        """
        one, another = self.skeleton, other.skeleton
        same_ends = (one.front, one.back) == (another.front, another.back)
        if (
            one.keypoints == another.keypoints
            and same_ends
            and self.num_animals == other.num_animals
        ):
            return
        raise InputError(
            f"the pose has {_describe(other)}",
            why=f"the flow of this network is made of {_describe(self)}",
            do="give poses of as many animals and the same skeleton; or flow.model.name="
            "tiny_motionnet, which learns its flow from the drawn frames",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "keypoints": list(self.skeleton.keypoints),
            "edges": [list(edge) for edge in self.skeleton.edges],
            "outline": list(self.skeleton.outline),
            "front": self.skeleton.front,
            "back": self.skeleton.back,
            "num_animals": self.num_animals,
            "boxes": [list(box) for box in self.boxes],
            "size": list(self.size),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> PoseLayout:
        """What `to_dict` gave."""
        edges = tuple((int(start), int(stop)) for start, stop in plain["edges"])
        names, outline = tuple(plain["keypoints"]), tuple(plain["outline"])
        skeleton = Skeleton(names, edges, outline, plain["front"], plain["back"])
        boxes = tuple((box[0], box[1], box[2], box[3]) for box in plain["boxes"])
        height, width = plain["size"]
        return cls(skeleton, plain["num_animals"], boxes, (height, width))


class PoseFlow(nn.Module):
    """Rows of a clip in, flow between its frames out; nothing in it is learned.

    Args:
        layout: What the rows say.
    """

    def __init__(self, layout: PoseLayout) -> None:
        super().__init__()
        self.layout = layout

    def forward(self, rows: Tensor) -> list[Tensor]:
        """One flow (B, 2, L-1, h, w) of rows (B, L, D), as a list like that of flow networks."""
        positions, matrices, body = self.layout.split(rows.float())
        batch, length = rows.shape[:2]
        jumps = positions.diff(dim=1).square().sum(dim=-1).sqrt()
        jumps = jumps > MAX_JUMP * body[:, :-1, None, None]
        height, width = (-(-side // LEVEL) for side in self.layout.size)
        flow = body.new_zeros(batch * (length - 1), 2, height, width)
        for number, (top, left, high, wide) in enumerate(self.layout.boxes):
            part = flow[
                :,
                :,
                top // LEVEL : -(-(top + high) // LEVEL),
                left // LEVEL : -(-(left + wide) // LEVEL),
            ]
            y = torch.arange(part.shape[2], device=rows.device)[:, None] + top // LEVEL
            x = torch.arange(part.shape[3], device=rows.device)[None] + left // LEVEL
            matrix = matrices[:, length // 2, number]  # (B, 2, 3)
            placed = _place(matrix, positions)
            steps = placed.diff(dim=1).masked_fill(jumps[..., None], 0.0) / LEVEL
            points = (placed[:, :-1] + 0.5) / LEVEL - 0.5
            radii = _find_radii(matrix, body[:, 0], length - 1)
            moved, moves = self._move(points.flatten(0, 1), steps.flatten(0, 1), radii, (x, y))
            part.copy_(torch.where(moves[:, None], moved, part))
        return [flow.unflatten(0, (batch, length - 1)).transpose(1, 2)]

    def _move(
        self, points: Tensor, steps: Tensor, radii: tuple[Tensor, Tensor], grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """Motion (M, 2, h, w) of all animals of a panel, and where there is any (M, h, w)."""
        known = ~(points.isnan() | steps.isnan()).any(dim=-1)  # (M, N, P)
        points = points.masked_fill(~known[..., None], FAR)
        steps = steps.masked_fill(~known[..., None], 0.0)
        shape = (len(points), grid[1].shape[0], grid[0].shape[1])
        total, covers = points.new_zeros(shape[0], 2, *shape[1:]), points.new_zeros(shape)
        for animal in range(points.shape[1]):
            motion, cover = self._move_animal(
                points[:, animal], steps[:, animal], known[:, animal], radii, grid
            )
            total += motion * cover[:, None]
            covers += cover
        return total / covers.clamp(min=TINY)[:, None], covers > TINY

    def _move_animal(
        self,
        points: Tensor,
        steps: Tensor,
        known: Tensor,
        radii: tuple[Tensor, Tensor],
        grid: Grid,
    ) -> tuple[Tensor, Tensor]:
        """Motion (M, 2, h, w) of one animal, and how much of each pixel it covers (M, h, w).

        Of the parts that cover a pixel, keypoints go before limbs and limbs before the body, as
        drawn.
        """
        motion, cover = self._move_body(points, steps, known, grid)
        for start, stop in self.layout.skeleton.edges:
            one, other = corner_of(points, start), corner_of(points, stop)
            both = (known[:, start] & known[:, stop])[:, None, None]
            part = cover_capsule(*grid, one, other, radii[1]) * both
            share = _share_along(*grid, one, other)[:, None]
            step = _spread(steps[:, start]) * (1 - share) + _spread(steps[:, stop]) * share
            motion, cover = _lay(motion, cover, step, part)
        for point in range(points.shape[1]):
            part = cover_disc(*grid, corner_of(points, point), radii[0])
            motion, cover = _lay(motion, cover, _spread(steps[:, point]), part)
        return motion, cover

    def _move_body(
        self, points: Tensor, steps: Tensor, known: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """Motion within the outline, and its coverage; nothing where fewer than three corners."""
        shape = (len(points), grid[1].shape[0], grid[0].shape[1])
        motion = points.new_zeros(shape[0], 2, *shape[1:])
        outline = list(self.layout.skeleton.outline)
        if len(outline) < 3:
            return motion, points.new_zeros(shape)
        cover, enough = cover_body(points[:, outline], known[:, outline].float(), grid)
        weights = points.new_zeros(shape)
        for point in range(points.shape[1]):
            x, y = corner_of(points, point)
            weight = known[:, point, None, None] / ((grid[0] - x) ** 2 + (grid[1] - y) ** 2 + TINY)
            motion = motion + weight[:, None] * _spread(steps[:, point])
            weights = weights + weight
        return motion / weights.clamp(min=TINY**2)[:, None], cover * enough[:, None, None]


def _place(matrix: Tensor, positions: Tensor) -> Tensor:
    """Positions (B, L, N, P, 2) in the picture, by the matrix (B, 2, 3) of each clip.

    Sums in place of a matrix product, which a GPU may round to fewer digits.
    """
    matrix = matrix[:, None, None, None]
    return (matrix[..., :2] * positions[..., None, :]).sum(dim=-1) + matrix[..., 2]


def _find_radii(matrix: Tensor, body: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
    """Radii (B pairs, 1, 1) of keypoints and limbs, in pixels of the flow."""
    size = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]
    length = (body * size.abs().sqrt()).repeat_interleave(pairs)[:, None, None]
    point, limb = (
        (share * length).clamp(min=MIN_RADIUS) / LEVEL for share in (POINT_SHARE, LIMB_SHARE)
    )
    return point, limb


def _spread(step: Tensor) -> Tensor:
    """(M, 2) -> (M, 2, 1, 1)."""
    return step[..., None, None]


def _lay(motion: Tensor, cover: Tensor, step: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """Lay a part over what is below; both cover what either does."""
    below = cover * (1 - part)
    both = part + below
    mixed = (step * part[:, None] + motion * below[:, None]) / both.clamp(min=TINY)[:, None]
    return torch.where((both > TINY)[:, None], mixed, motion), both


def _share_along(
    x: Tensor, y: Tensor, start: tuple[Tensor, Tensor], stop: tuple[Tensor, Tensor]
) -> Tensor:
    """How far along a limb each pixel lies, 0 at its start, 1 at its end."""
    way_x, way_y = stop[0] - start[0], stop[1] - start[1]
    along = (x - start[0]) * way_x + (y - start[1]) * way_y
    return (along / (way_x**2 + way_y**2 + TINY)).clamp(0, 1)


def _describe(layout: PoseLayout) -> str:
    points = ", ".join(layout.skeleton.keypoints)
    return f"{format_count(layout.num_animals, 'animal')} with the keypoints {points}"
