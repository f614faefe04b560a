"""Animals drawn as skeletons, without stair-steps, on the CPU: one picture after the other.

Bodies are filled polygons, limbs capsules, keypoints discs, each touched only within its bounding
box. Where animals overlap, their colors are averaged: none lies on top. `batch_drawing` draws the
same pictures on a device.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pixelethogram.pose.coverage import (
    EDGE,
    cover_border,
    cover_capsule,
    cover_ground,
    cover_polygon,
)
from pixelethogram.pose.look import BACKGROUND, BODY_OPACITY, BORDER, GROUND, Look
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import Panel

POINT_SHARE, LIMB_SHARE = 0.04, 0.03  # radius, of a body length
MIN_RADIUS = 1.5
TINY = 1e-12


@dataclasses.dataclass(frozen=True)
class Scene:
    """What is the same on all frames of a recording.

    Attributes:
        skeleton: Which keypoints are joined.
        look: Colors.
        height: Of the recording, pixels.
        width: Of the recording.
        body: Body length, pixels of the recording.
    """

    skeleton: Skeleton
    look: Look
    height: int
    width: int
    body: float

    def radii(self, scale: float) -> tuple[float, float]:
        """Radius of keypoints and of limbs, pixels of the picture."""
        length = self.body * scale
        return max(MIN_RADIUS, POINT_SHARE * length), max(MIN_RADIUS, LIMB_SHARE * length)

    @functools.cached_property
    def strokes(self) -> np.ndarray:
        """(S, 2) keypoints that are joined: limbs, then every keypoint with itself, in order."""
        limbs = np.array(self.skeleton.edges, np.int64).reshape(-1, 2)
        return np.concatenate([limbs, np.array(self.look.order, np.int64)[:, None].repeat(2, 1)])

    @functools.cached_property
    def paints(self) -> np.ndarray:
        """(N, S, 4, 1, 1) colors of the strokes, and 1."""
        points = self.look.points[:, list(self.look.order)]
        return _to_paint(np.concatenate([self.look.limbs, points], axis=1))

    @functools.cached_property
    def body_paints(self) -> np.ndarray:
        """(N, 4, 1, 1) colors of the bodies, and 1."""
        return _to_paint(self.look.bodies)


def _to_paint(colors: np.ndarray) -> np.ndarray:
    one = np.ones((*colors.shape[:-1], 1), np.float32)
    return np.concatenate([colors, one], axis=-1, dtype=np.float32)[..., None, None]


def draw_frame(
    scene: Scene,
    panels: Sequence[Panel],
    frame: int,
    points: np.ndarray,
    opacity: np.ndarray,
    size: tuple[int, int],
) -> np.ndarray:
    """One picture (H, W, 3) float32 in 0…1, its colors one after the other in memory.

    Args:
        scene: The recording.
        panels: From `view_transforms`.
        frame: Which.
        points: (N, P, 2) pixels of the recording; NaN is not drawn, nor are its limbs.
        opacity: (N, P) in 0…1.
        size: H, W.
    """
    canvas = np.full((3, *size), BACKGROUND, np.float32)
    opacity = np.where(np.isnan(points[..., 0]), 0.0, opacity).astype(np.float32)
    for panel in panels:
        rows = slice(panel.top, panel.top + panel.height)
        part = canvas[:, rows, panel.left : panel.left + panel.width]
        matrix = panel.matrices[frame].copy()
        matrix[:, 2] -= (panel.left, panel.top)
        part[:] = _paint_panel(part.shape[1:], scene, panel, matrix)
        placed = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        _draw_animals(part, scene, placed, opacity, scene.radii(panel.scale))
    return canvas.transpose(1, 2, 0)


def _paint_panel(
    shape: tuple[int, ...], scene: Scene, panel: Panel, matrix: np.ndarray
) -> np.ndarray:
    """Grey (h, w): border of the recording; where the view moves, dots that stay where they are."""
    size = (*shape, scene.height, scene.width)
    if panel.follows:
        return _paint_ground(size, panel.scale, matrix, scene.body)
    return _still_ground(size, panel.scale, tuple(matrix.ravel().tolist()))


@functools.lru_cache(maxsize=8)
def _still_ground(size: tuple[int, ...], scale: float, matrix: tuple[float, ...]) -> np.ndarray:
    """The ground of a view that never moves, painted once."""
    return _paint_ground(size, scale, np.array(matrix, np.float32).reshape(2, 3), None)


def _paint_ground(
    size: tuple[int, ...], scale: float, matrix: np.ndarray, spacing: float | None
) -> np.ndarray:
    """Grey (h, w) of the empty panel; `size` is h, w of the panel, then of the recording."""
    across = np.arange(size[1], dtype=np.float32)
    x, y = invert(matrix, across, np.arange(size[0], dtype=np.float32)[:, None])
    grey = np.full(size[:2], BACKGROUND, np.float32)
    if spacing is not None:
        dots = cover_ground(x, y, size[3], size[2], scale, spacing, MIN_RADIUS)
        grey += (GROUND - BACKGROUND) * dots
    return grey + cover_border(x, y, size[3], size[2], scale) * (BORDER - grey)


def _draw_animals(
    canvas: np.ndarray,
    scene: Scene,
    points: np.ndarray,
    opacity: np.ndarray,
    radii: tuple[float, float],
) -> None:
    """All animals onto a panel (3, H, W), whose top left pixel is (0, 0)."""
    shape = canvas.shape[1:]
    marks = [
        *_cover_bodies(scene, points, opacity, shape),
        *_cover_strokes(scene, points, opacity, radii, shape),
    ]
    layers = [
        _lay([mark for mark in marks if mark.animal == animal])
        for animal in sorted({mark.animal for mark in marks})
    ]
    if not layers:
        return
    top, left, bottom, right = _enclose([box for box, _ in layers])
    total = np.zeros((4, bottom - top, right - left), np.float32)
    through = np.ones(total.shape[1:], np.float32)
    for (up, west, down, east), layer in layers:
        rows, columns = slice(up - top, down - top), slice(west - left, east - left)
        total[:, rows, columns] += layer
        through[rows, columns] *= 1 - layer[3]
    mixed = total[:3] / np.maximum(total[3], TINY)
    below = canvas[:, top:bottom, left:right]
    below += (1 - through) * (mixed - below)


Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


class Mark(NamedTuple):
    """A body, a limb or a keypoint, on the pixels that it can touch."""

    animal: int
    box: Box
    cover: np.ndarray
    """(h, w) of the box, times opacity."""
    paint: np.ndarray
    """(4, 1, 1) color, and 1."""


def _lay(marks: Sequence[Mark]) -> tuple[Box, np.ndarray]:
    """One over the other: layer (4, h, w), colors times opacity and opacity, and its place."""
    box = _enclose([mark.box for mark in marks])
    layer = np.zeros((4, box[2] - box[0], box[3] - box[1]), np.float32)
    for _, (top, left, bottom, right), cover, paint in marks:
        inner = layer[:, top - box[0] : bottom - box[0], left - box[1] : right - box[1]]
        inner += cover * (paint - inner)
    return box, layer


def _cover_bodies(
    scene: Scene, points: np.ndarray, opacity: np.ndarray, shape: tuple[int, ...]
) -> Iterator[Mark]:
    """Bodies of which three corners or more are seen; all are computed together."""
    seen = [
        (animal, corners)
        for animal in range(len(points))
        if len(corners := [each for each in scene.skeleton.outline if opacity[animal, each]]) > 2
    ]
    if not seen:
        return
    most = max(len(corners) for _, corners in seen)
    # an edge of no length changes nothing, so that all bodies have as many
    full = np.array([corners + corners[-1:] * (most - len(corners)) for _, corners in seen])
    owners = np.array([animal for animal, _ in seen])[:, None]
    share = BODY_OPACITY * opacity[owners, full].min(axis=1)
    places = points[owners, full]  # (bodies, corners, 2)
    pixels = Pixels(places, np.zeros(len(seen), np.float32), shape)
    spread = [
        (pixels.spread(each[:, 0]), pixels.spread(each[:, 1])) for each in places.swapaxes(0, 1)
    ]
    cover = cover_polygon(pixels.x, pixels.y, spread) * pixels.spread(share)
    for number, box, part in pixels.divide(cover):
        animal = seen[number][0]
        yield Mark(animal, box, part, scene.body_paints[animal])


def _cover_strokes(
    scene: Scene,
    points: np.ndarray,
    opacity: np.ndarray,
    radii: tuple[float, float],
    shape: tuple[int, ...],
) -> Iterator[Mark]:
    """Limbs and then keypoints of every animal; all are computed together."""
    share = opacity[:, scene.strokes].min(axis=2)  # (N, strokes)
    owners, strokes = np.nonzero(share)
    if not len(owners):
        return
    ends = points[owners[:, None], scene.strokes[strokes]]  # (M, 2, 2)
    is_limb = strokes < len(scene.skeleton.edges)
    radius = np.where(is_limb, np.float32(radii[1]), np.float32(radii[0]))
    pixels = Pixels(ends, radius, shape)
    start, stop = (
        (pixels.spread(each[:, 0]), pixels.spread(each[:, 1])) for each in ends.swapaxes(0, 1)
    )
    cover = cover_capsule(pixels.x, pixels.y, start, stop, pixels.spread(radius))
    cover *= pixels.spread(share[owners, strokes])
    animals, numbers = owners.tolist(), strokes.tolist()
    for number, box, part in pixels.divide(cover):
        animal = animals[number]
        yield Mark(animal, box, part, scene.paints[animal, numbers[number]])


class Pixels:
    """The pixels that some shapes can touch, those of all shapes in one row.

    Args:
        points: (M, V, 2) x and y that each shape lies between.
        radius: (M,) of the shape around them.
        shape: H, W of the panel.

    Attributes:
        x: (Q,) of every pixel of every shape, row by row.
        y: (Q,)
    """

    def __init__(self, points: np.ndarray, radius: np.ndarray, shape: tuple[int, ...]) -> None:
        reach = (radius + EDGE / 2)[:, None]
        limits = np.array(shape[::-1], np.float32)
        low = np.ceil(points.min(axis=1) - reach).clip(0, limits).astype(np.int32)
        high = (np.floor(points.max(axis=1) + reach) + 1).clip(0, limits).astype(np.int32)
        left, top = low.T
        width, height = (high - low).clip(min=0).T
        rows = np.repeat(width, height)  # length of each
        self.x = _count_up(left.repeat(height), rows)
        self.y = _count_up(top, height).repeat(rows)
        self._sizes = width * height
        self._boxes = np.concatenate([low[:, ::-1], high[:, ::-1]], axis=1)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(M,) of shapes -> (Q,) of their pixels."""
        return values.repeat(self._sizes)

    def divide(self, cover: np.ndarray) -> Iterator[tuple[int, Box, np.ndarray]]:
        """Number, place and (h, w) of every shape that has pixels, from (Q,) of all."""
        start = 0
        for number, (size, box) in enumerate(
            zip(self._sizes.tolist(), self._boxes.tolist(), strict=True)
        ):
            if size:
                width = box[3] - box[1]
                yield number, tuple(box), cover[start : start + size].reshape(-1, width)
                start += size


def _count_up(first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """float32 runs of whole numbers, each from its `first` on, one after the other."""
    stops = lengths.cumsum()
    total = int(stops[-1]) if len(stops) else 0
    return (np.arange(total) - (stops - lengths - first).repeat(lengths)).astype(np.float32)


def _enclose(boxes: Sequence[Box]) -> Box:
    """The box around all."""
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def invert(matrix: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of the picture -> of the recording; the matrix turns and scales alike everywhere."""
    (a, b, shift_x), (c, d, shift_y) = matrix
    size = a * d - b * c
    x, y = x - shift_x, y - shift_y
    return (d * x - b * y) / size, (a * y - c * x) / size
