"""How much of each pixel a shape covers: exact distances and a soft edge.

Every function takes numpy arrays or torch tensors alike, in pixels, broadcast against each other;
coverage is in 0…1. A shape that moves by a fraction of a pixel changes its edge by that fraction,
so that the trembling of a rounded position never looks like motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

EDGE = 1.5  # pixels from nothing to all; a centroid is then off by 0.021 pixels at most
TINY = 1e-12


def cover_disc(x: Any, y: Any, centre: tuple[Any, Any], radius: Any) -> Any:
    """Disc around a point."""
    distance = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) ** 0.5
    return soften(radius - distance)


def cover_capsule(
    x: Any, y: Any, start: tuple[Any, Any], stop: tuple[Any, Any], radius: Any
) -> Any:
    """Line with round ends."""
    return soften(radius - square_distance(x, y, start, stop) ** 0.5)


def cover_polygon(x: Any, y: Any, corners: Sequence[tuple[Any, Any]]) -> Any:
    """Body with these corners, in order; where it overlaps itself, by the even-odd rule."""
    nearest: Any = None
    inside: Any = False
    for start, stop in zip(corners, [*corners[1:], corners[0]], strict=True):
        distance = square_distance(x, y, start, stop)
        nearest = distance if nearest is None else nearest.clip(max=distance)
        share = (y - start[1]) / (stop[1] - start[1] + TINY)
        before = x < start[0] + share * (stop[0] - start[0])
        inside = inside ^ (((start[1] <= y) != (stop[1] <= y)) & before)
    outside = soften(-(nearest**0.5))
    return outside + inside * (1 - 2 * outside)


def cover_border(x: Any, y: Any, width: int, height: int, scale: float) -> Any:
    """Line one pixel wide along the border of the recording.

    Args:
        x: Pixels of the recording.
        y: Pixels of the recording.
        width: Of the recording.
        height: Of the recording.
        scale: Pixels of the picture per pixel of the recording.
    """
    beyond_x = abs(x - (width - 1) / 2) - width / 2
    beyond_y = abs(y - (height - 1) / 2) - height / 2
    return (1 - abs(beyond_x.clip(min=beyond_y)) * scale).clip(0, 1)


def cover_ground(
    x: Any, y: Any, width: int, height: int, scale: float, spacing: float, radius: float
) -> Any:
    """Dots on the ground, `spacing` pixels of the recording apart; `radius` is of the picture."""
    off_x = x - (x / spacing).round().clip(0, (width - 1) // spacing) * spacing
    off_y = y - (y / spacing).round().clip(0, (height - 1) // spacing) * spacing
    return soften(radius - (off_x**2 + off_y**2) ** 0.5 * scale)


def soften(depth: Any) -> Any:
    """Coverage at this distance inside (positive) or outside of an edge: a smooth step."""
    share = (depth / EDGE + 0.5).clip(0, 1)
    return share * share * (3 - 2 * share)


def square_distance(x: Any, y: Any, start: tuple[Any, Any], stop: tuple[Any, Any]) -> Any:
    """Squared distance to the line from one point to another."""
    along_x, along_y = stop[0] - start[0], stop[1] - start[1]
    off_x, off_y = x - start[0], y - start[1]
    length = along_x * along_x + along_y * along_y + TINY
    share = ((off_x * along_x + off_y * along_y) / length).clip(0, 1)
    return (off_x - share * along_x) ** 2 + (off_y - share * along_y) ** 2
