"""Animals drawn as skeletons, without stair-steps, on the CPU: one picture after the other.

Bodies are filled polygons, limbs capsules, keypoints discs, each touched only within its bounding
box. The pixels of all boxes of a picture stand in one row, so that their coverage is computed in a
few calls however many shapes there are; then shapes are laid one over the other. Where animals
overlap, their colors are averaged: none lies on top. `batch_drawing` draws the same pictures on a
device.
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
    figures = _place(scene, panels, frame, points, opacity)
    marks: list[list[Mark]] = [[] for _ in figures.animals]
    for mark in (*_cover_bodies(scene, figures), *_cover_strokes(scene, figures)):
        marks[mark.figure].append(mark)
    for number, panel in enumerate(panels):
        rows = slice(panel.top, panel.top + panel.height)
        part = canvas[:, rows, panel.left : panel.left + panel.width]
        part[:] = _paint_panel(scene, panel, frame)
        own = marks[number * len(points) : (number + 1) * len(points)]
        _mix(canvas, [_lay(each) for each in own if each])
    return canvas.transpose(1, 2, 0)


def _paint_panel(scene: Scene, panel: Panel, frame: int) -> np.ndarray:
    """Grey (h, w): border of the recording; where the view moves, dots that stay where they are."""
    size = (panel.height, panel.width, scene.height, scene.width)
    matrix = panel.matrices[frame].copy()
    matrix[:, 2] -= (panel.left, panel.top)
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


Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


class Figures(NamedTuple):
    """Every animal in every panel, panel after panel, so that all are computed together."""

    points: np.ndarray
    """(F, P, 2) float32, pixels of the picture."""
    opacity: np.ndarray
    """(F, P) float32; 0: missing."""
    radii: np.ndarray
    """(F, 2) float32 of keypoints and limbs."""
    bounds: np.ndarray
    """(F, 2, 2) x and y at which the panel begins and ends."""
    animals: list[int]


class Mark(NamedTuple):
    """A body, a limb or a keypoint, on the pixels that it can touch."""

    figure: int
    box: Box
    cover: np.ndarray
    """(h, w) of the box, times opacity."""
    paint: np.ndarray
    """(4, 1, 1) color, and 1."""


def _place(
    scene: Scene, panels: Sequence[Panel], frame: int, points: np.ndarray, opacity: np.ndarray
) -> Figures:
    opacity = np.where(np.isnan(points[..., 0]), 0.0, opacity).astype(np.float32)
    matrices = np.stack([panel.matrices[frame] for panel in panels])[:, None]
    placed = points @ matrices[..., :2].swapaxes(-1, -2) + matrices[..., None, :, 2]
    radii = np.array([scene.radii(panel.scale) for panel in panels], np.float32)
    begins = np.array([(panel.left, panel.top) for panel in panels])
    sizes = np.array([(panel.width, panel.height) for panel in panels])
    number = len(points)
    return Figures(
        placed.astype(np.float32).reshape(-1, *points.shape[1:]),
        np.tile(opacity, (len(panels), 1)),
        radii.repeat(number, axis=0),
        np.stack([begins, begins + sizes], axis=1).repeat(number, axis=0),
        [*range(number)] * len(panels),
    )


def _mix(canvas: np.ndarray, layers: Sequence[tuple[Box, np.ndarray]]) -> None:
    """Animals onto a picture (3, H, W), none on top."""
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


def _lay(marks: Sequence[Mark]) -> tuple[Box, np.ndarray]:
    """One over the other: layer (4, h, w), colors times opacity and opacity, and its place."""
    box = _enclose([mark.box for mark in marks])
    layer = np.zeros((4, box[2] - box[0], box[3] - box[1]), np.float32)
    for _, (top, left, bottom, right), cover, paint in marks:
        inner = layer[:, top - box[0] : bottom - box[0], left - box[1] : right - box[1]]
        inner += cover * (paint - inner)
    return box, layer


def _cover_bodies(scene: Scene, figures: Figures) -> Iterator[Mark]:
    """Bodies of which three corners or more are seen."""
    corners = [
        [corner for corner in scene.skeleton.outline if seen[corner]]
        for seen in (figures.opacity > 0).tolist()
    ]
    whole = [figure for figure, each in enumerate(corners) if len(each) > 2]
    if not whole:
        return
    most = max(len(corners[figure]) for figure in whole)
    # an edge of no length changes nothing, so that all bodies have as many
    full = np.array([(corners[each] + corners[each][-1:] * most)[:most] for each in whole])
    owners = np.array(whole)
    places = figures.points[owners[:, None], full]  # (bodies, corners, 2)
    pixels = Pixels(places, np.zeros(len(whole), np.float32), figures.bounds[owners])
    share = BODY_OPACITY * figures.opacity[owners[:, None], full].min(axis=1)
    cover = cover_polygon(pixels.x, pixels.y, pixels.spread_points(places)) * pixels.spread(share)
    for number, box, part in pixels.divide(cover):
        figure = whole[number]
        yield Mark(figure, box, part, scene.body_paints[figures.animals[figure]])


def _cover_strokes(scene: Scene, figures: Figures) -> Iterator[Mark]:
    """Limbs and then keypoints of every figure."""
    share = figures.opacity[:, scene.strokes].min(axis=2)  # (F, S)
    owners, strokes = np.nonzero(share)
    if not len(owners):
        return
    ends = figures.points[owners[:, None], scene.strokes[strokes]]  # (M, 2, 2)
    is_limb = (strokes < len(scene.skeleton.edges)).astype(np.int64)
    radius = figures.radii[owners, is_limb]
    pixels = Pixels(ends, radius, figures.bounds[owners])
    start, stop = pixels.spread_points(ends)
    cover = cover_capsule(pixels.x, pixels.y, start, stop, pixels.spread(radius))
    cover *= pixels.spread(share[owners, strokes])
    whose, which = owners.tolist(), strokes.tolist()
    for number, box, part in pixels.divide(cover):
        figure = whose[number]
        yield Mark(figure, box, part, scene.paints[figures.animals[figure], which[number]])


class Pixels:
    """The pixels that shapes can touch, those of all shapes in one row.

    Args:
        points: (M, V, 2) x and y that each shape lies between.
        radius: (M,) of the shape around them.
        bounds: (M, 2, 2) x and y at which the panel of each begins and ends.

    Attributes:
        x: (Q,) of every pixel of every shape, row by row.
        y: (Q,)
    """

    def __init__(self, points: np.ndarray, radius: np.ndarray, bounds: np.ndarray) -> None:
        reach = (radius + EDGE / 2)[:, None]
        begin, end = bounds[:, 0], bounds[:, 1]
        low = np.ceil(points.min(axis=1) - reach).clip(begin, end).astype(np.int64)
        high = (np.floor(points.max(axis=1) + reach) + 1).clip(low, end).astype(np.int64)
        (left, top), (width, height) = low.T, (high - low).T
        self.x = _count_up(left.repeat(height), width.repeat(height))
        self.y = _count_up(top, height).repeat(width.repeat(height))
        self._sizes = width * height
        self._boxes = np.concatenate([low[:, ::-1], high[:, ::-1]], axis=1)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(M,) of shapes -> (Q,) of their pixels."""
        return values.repeat(self._sizes)

    def spread_points(self, points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """(M, V, 2) of shapes -> of each of their V points, x and y for their pixels."""
        return [(self.spread(x), self.spread(y)) for x, y in points.transpose(1, 2, 0)]

    def divide(self, cover: np.ndarray) -> Iterator[tuple[int, Box, np.ndarray]]:
        """Number, place and (h, w) of every shape that has pixels, from (Q,) of all."""
        start = 0
        sizes, boxes = self._sizes.tolist(), self._boxes.tolist()
        for number, (size, (top, left, bottom, right)) in enumerate(zip(sizes, boxes, strict=True)):
            if size:
                part = cover[start : start + size].reshape(bottom - top, right - left)
                yield number, (top, left, bottom, right), part
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
