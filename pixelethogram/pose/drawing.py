"""Animals drawn as skeletons, without stair-steps, on the CPU: one picture after the other.

Bodies are filled polygons, limbs capsules, keypoints discs, each touched only within its bounding
box. Where animals overlap, their colors are averaged: none lies on top. `batch_drawing` draws the
same pictures on a device.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from pixelethogram.pose.coverage import (
    EDGE,
    cover_border,
    cover_capsule,
    cover_disc,
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


def draw_frame(
    scene: Scene,
    panels: Sequence[Panel],
    frame: int,
    points: np.ndarray,
    opacity: np.ndarray,
    size: tuple[int, int],
) -> np.ndarray:
    """One picture (H, W, 3) float32 in 0…1.

    Args:
        scene: The recording.
        panels: From `view_transforms`.
        frame: Which.
        points: (N, P, 2) pixels of the recording; NaN is not drawn, nor are its limbs.
        opacity: (N, P) in 0…1.
        size: H, W.
    """
    canvas = np.full((*size, 3), BACKGROUND, np.float32)
    for panel in panels:
        part = canvas[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width]
        matrix = panel.matrices[frame].copy()
        matrix[:, 2] -= (panel.left, panel.top)
        _draw_ground(part, scene, panel, matrix)
        placed = points @ matrix[:, :2].T + matrix[:, 2]
        _draw_animals(part, scene, placed.astype(np.float32), opacity, scene.radii(panel.scale))
    return canvas


def _draw_ground(canvas: np.ndarray, scene: Scene, panel: Panel, matrix: np.ndarray) -> None:
    """Border of the recording and, where the view moves, dots that stay where they are."""
    size = (*canvas.shape[:2], scene.height, scene.width)
    if panel.follows:
        canvas[:] = _paint_ground(size, panel.scale, matrix, scene.body)[..., None]
    else:
        canvas[:] = _still_ground(size, panel.scale, tuple(matrix.ravel().tolist()))[..., None]


@functools.lru_cache(maxsize=8)
def _still_ground(size: tuple[int, ...], scale: float, matrix: tuple[float, ...]) -> np.ndarray:
    """The ground of a view that never moves, painted once."""
    return _paint_ground(size, scale, np.array(matrix, np.float32).reshape(2, 3), None)


def _paint_ground(
    size: tuple[int, ...], scale: float, matrix: np.ndarray, spacing: float | None
) -> np.ndarray:
    """Grey (h, w) of the empty panel; `size` is h, w of the panel, then of the recording."""
    x, y = invert(matrix, *np.meshgrid(*_axes(0, 0, *size[:2])))
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
    """All animals onto a panel (H, W, 3), whose top left pixel is (0, 0)."""
    opacity = np.where(np.isnan(points[..., 0]), 0.0, opacity).astype(np.float32)
    drawn = [
        _draw_animal(canvas.shape, scene, animal, points[animal], opacity[animal], radii)
        for animal in np.flatnonzero((opacity > 0).any(axis=1)).tolist()
    ]
    layers = [layer for layer in drawn if layer is not None]
    if not layers:
        return
    top, left = (min(box[axis] for box, _ in layers) for axis in (0, 1))
    bottom, right = (max(box[axis] for box, _ in layers) for axis in (2, 3))
    total = np.zeros((bottom - top, right - left, 4), np.float32)
    through = np.ones(total.shape[:2], np.float32)
    for (up, west, down, east), layer in layers:
        part = np.s_[up - top : down - top, west - left : east - left]
        total[part] += layer
        through[part] *= 1 - layer[..., 3]
    mixed = total[..., :3] / np.maximum(total[..., 3:], TINY)
    below = canvas[top:bottom, left:right]
    below += (1 - through)[..., None] * (mixed - below)


Place = tuple[float, float]
"""x, y."""
Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


def _draw_animal(
    shape: tuple[int, ...],
    scene: Scene,
    animal: int,
    points: np.ndarray,
    opacity: np.ndarray,
    radii: tuple[float, float],
) -> tuple[Box, np.ndarray] | None:
    """Layer (h, w, 4) of one animal, colors times opacity, and its place; None: out of sight."""
    look, skeleton = scene.look, scene.skeleton
    visible = opacity > 0
    box = _bound(points[visible].tolist(), max(radii), shape)
    if box is None:
        return None
    layer = np.zeros((box[2] - box[0], box[3] - box[1], 4), np.float32)
    places: list[Place] = (points - (box[1], box[0])).tolist()
    outline = [corner for corner in skeleton.outline if visible[corner]]
    if len(outline) > 2:
        x, y = _axes(0, 0, *layer.shape[:2])
        cover = cover_polygon(x, y, [places[corner] for corner in outline])
        share = BODY_OPACITY * opacity[outline].min()
        _lay(layer, cover * share, look.bodies[animal])
    for edge, (start, stop) in enumerate(skeleton.edges):
        share = min(opacity[start], opacity[stop])
        one, other = places[start], places[stop]
        part = _bound([one, other], radii[1], layer.shape) if share else None
        if part is not None:
            cover = cover_capsule(*_axes(*part), one, other, radii[1])
            inner = layer[part[0] : part[2], part[1] : part[3]]
            _lay(inner, cover * share, look.limbs[animal, edge])
    for point in look.order:
        part = _bound([places[point]], radii[0], layer.shape) if visible[point] else None
        if part is not None:
            cover = cover_disc(*_axes(*part), places[point], radii[0])
            inner = layer[part[0] : part[2], part[1] : part[3]]
            _lay(inner, cover * opacity[point], look.points[animal, point])
    return box, layer


def _lay(layer: np.ndarray, cover: np.ndarray, color: np.ndarray) -> None:
    """Lay a color over (h, w, 4), where `cover` (h, w) says how much."""
    paint = np.ones(4, np.float32)
    paint[:3] = color
    layer += cover[..., None] * (paint - layer)


def _axes(top: int, left: int, bottom: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """x (1, w) and y (h, 1) of the pixels of a box."""
    x = np.arange(left, right, dtype=np.float32)
    return x[None], np.arange(top, bottom, dtype=np.float32)[:, None]


def _bound(points: Sequence[Place], radius: float, shape: tuple[int, ...]) -> Box | None:
    """Pixels that discs around points can touch; None where there are none."""
    reach = radius + EDGE / 2
    columns, rows = zip(*points, strict=True)
    top = max(0, math.ceil(min(rows) - reach))
    left = max(0, math.ceil(min(columns) - reach))
    bottom = min(shape[0], math.floor(max(rows) + reach) + 1)
    right = min(shape[1], math.floor(max(columns) + reach) + 1)
    return (top, left, bottom, right) if bottom > top and right > left else None


def invert(matrix: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of the picture -> of the recording; the matrix turns and scales alike everywhere."""
    (a, b, shift_x), (c, d, shift_y) = matrix
    size = a * d - b * c
    x, y = x - shift_x, y - shift_y
    return (d * x - b * y) / size, (a * y - c * x) / size
