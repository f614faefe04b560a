"""Where each animal is and which way it faces, from whichever of its keypoints are seen.

The animal's usual shape is laid over the points that are seen (least squares without scaling:
Kabsch 1976, in the plane), so that a missing nose turns nothing round.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pixelethogram.pose.pose import Pose

SMOOTH_FRAMES = 2  # on each side
BODIES_ACROSS = 8  # of a recording in which nothing tells how long a body is


@dataclasses.dataclass(frozen=True)
class Location:
    """Path of every animal; between sightings it goes straight, before and after it stays.

    Attributes:
        centres: (T, N, 2) middle of the body, pixels of the recording.
        headings: (T, N) radians from +x towards +y, in which y points down.
        seen: (N,) bool, whether the animal occurs at all.
        body: Pixels from back to front, median over the recording.
    """

    centres: np.ndarray
    headings: np.ndarray
    seen: np.ndarray
    body: float


def locate_animals(pose: Pose) -> Location:
    """Smoothed path of every animal; the middle of the picture for one that is never seen."""
    shape = usual_shape(pose)  # (P, 2)
    fits = ~pose.missing & ~np.isnan(shape[:, 0])
    weight = fits / np.maximum(fits.sum(axis=2, keepdims=True), 1)  # (T, N, P)
    points = np.where(fits[..., None], pose.positions, 0.0)
    model = np.where(np.isnan(shape), 0.0, shape)
    middle = np.einsum("tnp,tnpd->tnd", weight, points)
    model_middle = weight @ model
    point, part = points - middle[:, :, None], model - model_middle[:, :, None]
    along = (weight[..., None] * part * point).sum(axis=(2, 3))
    across = part[..., 0] * point[..., 1] - part[..., 1] * point[..., 0]
    across = (weight * across).sum(axis=2)
    turned = (fits.sum(axis=2) >= 2) & (np.hypot(along, across) > 0)
    headings = _fill(np.arctan2(across, along), turned, 0.0, turns=True)
    cos, sin = np.cos(headings), np.sin(headings)
    x, y = model_middle[..., 0], model_middle[..., 1]
    centres = middle - np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    known = fits.any(axis=2)
    for axis, size in enumerate((pose.width, pose.height)):
        centres[..., axis] = _fill(centres[..., axis], known, (size - 1) / 2)
    cos, sin = _smooth(cos), _smooth(sin)
    return Location(_smooth(centres), np.arctan2(sin, cos), known.any(axis=0), measure_body(pose))


def measure_body(pose: Pose) -> float:
    """Median distance in pixels between back and front; a share of the picture where unknown."""
    ends = pose.positions[:, :, [pose.skeleton.front, pose.skeleton.back]]
    lengths = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)
    lengths = lengths[lengths > 0]
    if len(lengths):
        return float(np.median(lengths))
    return min(pose.height, pose.width) / BODIES_ACROSS


def usual_shape(pose: Pose) -> np.ndarray:
    """Median place of each keypoint around the body's middle, heading to +x.

    Returns:
        (P, 2) pixels; NaN for a keypoint that is never seen together with front and back. All
        zeros where front and back are never seen together: then a body has no direction.
    """
    count = len(pose.skeleton.keypoints)
    front, back = pose.skeleton.front, pose.skeleton.back
    points = pose.positions.reshape(-1, count, 2)
    axis = points[:, front] - points[:, back]
    length = np.hypot(axis[:, 0], axis[:, 1])
    usable = length > 0
    if not usable.any():
        return np.zeros((count, 2))
    points, axis = points[usable], axis[usable] / length[usable, None]
    points = points - (points[:, [front]] + points[:, [back]]) / 2
    along = (points * axis[:, None]).sum(axis=-1)
    across = axis[:, None, 0] * points[..., 1] - axis[:, None, 1] * points[..., 0]
    placed = np.stack([along, across], axis=-1)
    shape = np.full((count, 2), np.nan)
    often = ~np.isnan(placed[..., 0]).all(axis=0)
    shape[often] = np.nanmedian(placed[:, often], axis=0)
    return shape


def _fill(values: np.ndarray, known: np.ndarray, default: float, turns: bool = False) -> np.ndarray:
    """(T, N) with straight lines over what is not known; `turns`: angles, the short way round."""
    filled = np.full(values.shape, default)
    frames = np.arange(len(values))
    for animal in range(values.shape[1]):
        at = np.flatnonzero(known[:, animal])
        if len(at):
            told = values[at, animal]
            filled[:, animal] = np.interp(frames, at, np.unwrap(told) if turns else told)
    return filled


def _smooth(values: np.ndarray) -> np.ndarray:
    """Running mean over time; the ends repeat."""
    edges = [(SMOOTH_FRAMES, SMOOTH_FRAMES)] + [(0, 0)] * (values.ndim - 1)
    wide = np.pad(values, edges, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, 2 * SMOOTH_FRAMES + 1, axis=0)
    return windows.mean(axis=-1)
