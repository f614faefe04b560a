"""Pose flow: how the drawn animals move from one frame to the next, known from their keypoints.

Takes the place of a flow network where frames are drawn (R3 of the specification). It is exact on
keypoints and linear along limbs; within a body, keypoints count by the inverse square of their
distance. Animals are mixed by how much of a pixel each of them covers. Elsewhere nothing moves.

Convention:
    flow[0] is x, flow[1] is y, in pixels of its own level, which is half as high and wide as the
    picture, rounded up; pixel i of it stands in the middle of pixels 2 i and 2 i + 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelethogram.pose.coverage import cover_capsule, cover_disc, cover_polygon
from pixelethogram.pose.drawing import Scene
from pixelethogram.pose.views import Panel

MAX_JUMP = 1.0  # body lengths per frame; a tracker that jumps farther has swapped points or animals
TINY = 1e-6
LEVEL = 2  # pixels of the picture per pixel of the flow
Box = tuple[slice, slice]


def pose_flow(
    scene: Scene, panels: Sequence[Panel], positions: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Flow between each frame and the next.

    Args:
        scene: The recording.
        panels: From `view_transforms`; where a view follows an animal, its own motion counts.
        positions: (T, N, P, 2) pixels of the recording; NaN where missing, and then no motion.
        size: Height and width of the picture.

    Returns:
        (T - 1, 2, h, w) float32.
    """
    height, width = (-(-side // LEVEL) for side in size)
    flow = np.zeros((max(0, len(positions) - 1), 2, height, width), np.float32)
    jumps = np.linalg.norm(np.diff(positions, axis=0), axis=-1) > MAX_JUMP * scene.body
    for panel in panels:
        placed = panel.place(positions)
        steps = np.where(jumps[..., None], 0, np.diff(placed, axis=0)) / LEVEL
        points = (placed[:-1] + 0.5) / LEVEL - 0.5
        box = np.s_[
            panel.top // LEVEL : -(-(panel.top + panel.height) // LEVEL),
            panel.left // LEVEL : -(-(panel.left + panel.width) // LEVEL),
        ]
        radii = tuple(radius / LEVEL for radius in scene.radii(panel.scale))
        for frame in range(len(flow)):
            _add_animals(flow[frame], box, scene, points[frame], steps[frame], radii)
    return flow


def _add_animals(
    flow: np.ndarray,
    box: Box,
    scene: Scene,
    points: np.ndarray,
    steps: np.ndarray,
    radii: tuple[float, ...],
) -> None:
    """Write the motion of all animals of one panel into a flow (2, h, w)."""
    total = np.zeros((3, *flow[0][box].shape), np.float32)
    y, x = np.mgrid[box].astype(np.float32)
    for animal in range(len(points)):
        known = ~np.isnan(points[animal]).any(axis=-1) & ~np.isnan(steps[animal]).any(axis=-1)
        if known.any():
            layer, cover = _move_animal(x, y, scene, points[animal], steps[animal], known, radii)
            total[:2] += layer * cover
            total[2] += cover
    moving = total[2] > TINY
    flow[(slice(None), *box)][:, moving] = total[:2, moving] / total[2, moving]


def _move_animal(
    x: np.ndarray,
    y: np.ndarray,
    scene: Scene,
    points: np.ndarray,
    steps: np.ndarray,
    known: np.ndarray,
    radii: tuple[float, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Motion (2, h, w) of one animal, and how much of each pixel it covers (h, w).

    Of the parts that cover a pixel, keypoints go before limbs and limbs before the body, as drawn.
    """
    places = [tuple(point) for point in points]
    motion, cover = _move_body(x, y, scene, points, steps, known)
    for start, stop in scene.skeleton.edges:
        if known[start] and known[stop]:
            part = cover_capsule(x, y, places[start], places[stop], radii[1])
            share = _share_along(x, y, points[start], points[stop])
            step = steps[start][:, None, None] * (1 - share) + steps[stop][:, None, None] * share
            motion, cover = _lay(motion, cover, step, part)
    for point in np.flatnonzero(known).tolist():
        part = cover_disc(x, y, places[point], radii[0])
        motion, cover = _lay(motion, cover, steps[point][:, None, None], part)
    return motion, cover


def _move_body(
    x: np.ndarray,
    y: np.ndarray,
    scene: Scene,
    points: np.ndarray,
    steps: np.ndarray,
    known: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Motion within the outline, and its coverage; nothing where fewer than three corners show."""
    corners = [corner for corner in scene.skeleton.outline if known[corner]]
    if len(corners) < 3:
        return np.zeros((2, *x.shape), np.float32), np.zeros(x.shape, np.float32)
    cover = cover_polygon(x, y, [tuple(points[corner]) for corner in corners])
    off = points[known][:, :, None, None] - np.stack([x, y])
    weights = 1 / ((off**2).sum(axis=1) + TINY)  # (known points, h, w)
    motion = np.einsum("khw,kc->chw", weights / weights.sum(axis=0), steps[known])
    return motion.astype(np.float32), cover.astype(np.float32)


def _lay(
    motion: np.ndarray, cover: np.ndarray, step: np.ndarray, part: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a part over what is below; both cover what either does."""
    below = cover * (1 - part)
    both = part + below
    mixed = (step * part + motion * below) / np.maximum(both, TINY)
    return np.where(both > TINY, mixed, motion).astype(np.float32), both.astype(np.float32)


def _share_along(x: np.ndarray, y: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """How far along a limb each pixel lies, 0 at its start, 1 at its end."""
    way = stop - start
    along = (x - start[0]) * way[0] + (y - start[1]) * way[1]
    return (along / (way @ way + TINY)).clip(0, 1)
