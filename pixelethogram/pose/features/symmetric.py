"""Features that stay the same when animals change names: for trackers that swap identities.

What belongs to one animal, or to one animal towards another, is given as the smallest and the
largest value over all animals (or pairs of them). Lengths are in body lengths. Motion is the way
from a point to the nearest point of the same kind some frames before, on whichever animal.
"""

from __future__ import annotations

import numpy as np

import pixelethogram.pose.features.measures as measures
from pixelethogram.pose.features.columns import Columns, join
from pixelethogram.pose.pose import Pose

LAGS = (1, 5, 15)  # frames; a step, a movement, half a second


def symmetric_features(pose: Pose) -> Columns:
    """Bodies, distances and directions between animals, motion, place, and how much is seen."""
    skeleton = pose.skeleton
    size = measures.body_length(pose.positions, skeleton.front, skeleton.back)
    points = pose.positions / size  # (T, N, P, 2)
    parts = [_seen(pose), _bodies(points, pose), _motion(points, pose)]
    parts.append(_place(points, np.array([pose.width, pose.height]) / size))
    if len(pose.individuals) > 1:
        parts.append(_between(points, pose))
    return join(parts)


def _extremes(values: np.ndarray, names: list[str]) -> Columns:
    """Smallest and largest over axis 1 of (T, N, C) values; one of them where N is 1."""
    if values.shape[1] == 1:
        return Columns(values[:, 0], tuple(names))
    low, high = measures.lowest(values, axis=1), measures.highest(values, axis=1)
    every = (*(f"least {name}" for name in names), *(f"most {name}" for name in names))
    return Columns(np.concatenate([low, high], axis=1), every)


def _seen(pose: Pose) -> Columns:
    """How many points are there, and how sure the tracker is of them."""
    seen = ~pose.missing  # (T, N, P)
    keypoints = pose.skeleton.keypoints
    animals = seen.any(axis=2).mean(axis=1, keepdims=True)
    return join(
        [
            Columns(animals, ("share of animals seen",)),
            Columns(seen.mean(axis=1), tuple(f"share of {name} seen" for name in keypoints)),
            _extremes(seen.mean(axis=2, keepdims=True), ["points seen"]),
            _extremes(pose.confidence, [f"confidence of {name}" for name in keypoints]),
        ]
    )


def _bodies(points: np.ndarray, pose: Pose) -> Columns:
    """Distances within each animal, its extension, area, and how it bends."""
    skeleton, keypoints = pose.skeleton, pose.skeleton.keypoints
    first, second = measures.pairs(len(keypoints))
    within = measures.length(points[:, :, first] - points[:, :, second])
    names = [f"{keypoints[i]} to {keypoints[j]}" for i, j in zip(first, second, strict=True)]
    centre = measures.mean_known(points, axis=2)
    extension = measures.mean_known(measures.length(points - centre[:, :, None]), axis=2)
    boxes = measures.bounding_boxes(points)
    area = np.prod(boxes[:, :, 1] - boxes[:, :, 0], axis=-1)
    bends, bend_names = _bends(points, skeleton.stated_edges, keypoints)
    values = [within, extension[..., None], area[..., None], bends]
    return _extremes(
        np.concatenate(values, axis=2), [*names, "extension", "area of the box", *bend_names]
    )


def _bends(
    points: np.ndarray, edges: tuple[tuple[int, int], ...], keypoints: tuple[str, ...]
) -> tuple[np.ndarray, list[str]]:
    """(T, N, C) cosine at every keypoint where exactly two limbs meet; -1 is straight.

    None where the file states no edges: guessed ones differ between recordings.
    """
    others = {
        index: [end for edge in edges for end in edge if index in edge and end != index]
        for index in range(len(keypoints))
    }
    found = {index: ends for index, ends in others.items() if len(ends) == 2}
    if not found:
        return np.empty((*points.shape[:2], 0)), []
    middle, ends = list(found), np.array(list(found.values()))
    arms = [measures.unit(points[:, :, ends[:, side]] - points[:, :, middle]) for side in (0, 1)]
    return (arms[0] * arms[1]).sum(axis=-1), [f"bend at {keypoints[index]}" for index in middle]


def _between(points: np.ndarray, pose: Pose) -> Columns:
    """Distances, directions and overlap of every animal towards every other."""
    skeleton, keypoints = pose.skeleton, pose.skeleton.keypoints
    one, other = np.nonzero(~np.eye(points.shape[1], dtype=bool))  # ordered pairs
    between = measures.length(points[:, one, :, None] - points[:, other, None])  # (T, M, P, P)
    first, second = np.triu_indices(len(keypoints))
    names = [
        f"{keypoints[i]} to other's {keypoints[j]}" for i, j in zip(first, second, strict=True)
    ]
    centre = measures.mean_known(points, axis=2)
    apart = centre[:, other] - centre[:, one]
    heading = measures.unit(points[:, :, skeleton.front] - points[:, :, skeleton.back])
    boxes = measures.bounding_boxes(points)
    nearest = measures.lowest(between.reshape(*between.shape[:2], -1), axis=2)
    distance = measures.length(apart)
    more = {
        "distance": distance,
        "nearest points": nearest,
        "headings": (heading[:, one] * heading[:, other]).sum(axis=-1),
        "facing": (heading[:, one] * measures.unit(apart)).sum(axis=-1),
        "overlap": measures.overlap_area(boxes[:, one], boxes[:, other]),
        "shared box": measures.overlap_area(boxes[:, one], boxes[:, other])
        / np.prod(boxes[:, one, 1] - boxes[:, one, 0] + 1e-3, axis=-1),
    }
    closest = measures.lowest(distance, axis=1)
    approach = np.stack([measures.change(closest, lag) for lag in LAGS], axis=1)
    values = [between[:, :, first, second], *(value[..., None] for value in more.values())]
    return join(
        [
            _extremes(np.concatenate(values, axis=2), [*names, *more]),
            Columns(approach, tuple(f"approach over {lag}" for lag in LAGS)),
        ]
    )


def _motion(points: np.ndarray, pose: Pose) -> Columns:
    """Way to the nearest point of the same kind `lag` frames before."""
    parts = []
    for lag in LAGS:
        moved = points[..., 0] - points[..., 0]  # 0, NaN where missing
        if lag < len(points):
            ways = measures.length(points[lag:, :, None] - points[:-lag, None])  # (T, N, N, P)
            moved[lag:] = measures.lowest(ways, axis=2)
        overall = moved.reshape(len(moved), -1)
        names = [f"motion of {name} over {lag}" for name in pose.skeleton.keypoints]
        parts.append(_extremes(moved, names))
        both = [measures.mean_known(overall, axis=1), measures.highest(overall, axis=1)]
        parts.append(
            Columns(np.stack(both, axis=1), (f"mean motion over {lag}", f"top motion over {lag}"))
        )
    return join(parts)


def _place(points: np.ndarray, size: np.ndarray) -> Columns:
    """Distance of each animal to the nearest side of the picture and to its middle."""
    centre = measures.mean_known(points, axis=2)  # (T, N, 2)
    to_side = np.minimum(centre, size - centre)
    values = [to_side.min(axis=-1), to_side.max(axis=-1), measures.length(centre - size / 2)]
    return _extremes(
        np.stack(values, axis=2), ["way to nearest side", "way to other side", "way to middle"]
    )
