"""What a pose file leaves open about a body, from names and from how far points lie apart.

Front and back are found by name alone, so that they are the same in all recordings of a skeleton.
Edges and outline are guessed from distances, each recording's own: they are for drawing only.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from pixelethogram.pose.location import usual_shape
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

FRONTS = ("nose", "snout", "beak", "mouth", "head")
BACKS = (r"tail[ _.-]?base", r"base[ _.-]?(of[ _.-]?)?tail", r"tail[ _.-]?(root|start)", r"tail$")
MIRRORED = 0.75  # share of frames from which on sides look swapped


def complete_skeleton(pose: Pose) -> Pose:
    """The pose with front, back, edges and outline, where its file tells none.

    Front and back go by name (nose, tail base …); else the first keypoint is the front, and the
    last one that is neither left nor right the back. Edges are the shortest tree over the median
    distances, marked as guessed; the outline is the convex hull of the usual shape, without the
    tail.
    """
    names = pose.skeleton.keypoints
    front = _find_name(names, FRONTS, 0)
    back = _find_name(names, BACKS, _last_between_sides(pose.skeleton, front))
    whole = dataclasses.replace(pose.skeleton, front=front, back=back)
    if not whole.edges:
        guessed = shortest_tree(median_distances(pose))
        whole = dataclasses.replace(whole, edges=guessed, guessed_edges=True)
    if not whole.outline:
        shape = usual_shape(dataclasses.replace(pose, skeleton=whole))
        tails = [i for i, name in enumerate(names) if "tail" in name.lower() and i != back]
        shape[tails] = np.nan
        whole = dataclasses.replace(whole, outline=convex_hull(shape))
    return dataclasses.replace(pose, skeleton=whole)


def measure_mirrored(pose: Pose) -> float:
    """Share of frames on which left and right lie as in a mirror, seen from above; NaN if untold.

    With y down, left of a body that heads to +x has the smaller y: heading x (left - right) < 0.
    """
    skeleton, points = pose.skeleton, pose.positions
    ahead = points[:, :, skeleton.front] - points[:, :, skeleton.back]
    found = []
    for left, right in enumerate(skeleton.mirror):
        if skeleton.sides[left] == 1 and left != right:
            across = points[:, :, left] - points[:, :, right]
            found.append(ahead[..., 0] * across[..., 1] - ahead[..., 1] * across[..., 0])
    turns = np.array(found)
    told = turns[~np.isnan(turns) & (turns != 0)]
    return float((told > 0).mean()) if len(told) else float("nan")


def median_distances(pose: Pose) -> np.ndarray:
    """(P, P) median over frames and animals; infinite for points that are never seen together."""
    count = len(pose.skeleton.keypoints)
    points = pose.positions.reshape(-1, count, 2)
    distances = np.full((count, count), np.inf)
    for one in range(count):
        apart = np.linalg.norm(points - points[:, [one]], axis=-1)
        often = ~np.isnan(apart).all(axis=0)
        distances[one, often] = np.nanmedian(apart[:, often], axis=0)
    return distances


def shortest_tree(distances: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Edges of the shortest tree (Prim 1957) over (P, P) distances; infinite ones join nothing."""
    inside, edges = {0}, []
    while len(inside) < len(distances):
        outside = [point for point in range(len(distances)) if point not in inside]
        reach = distances[np.ix_(sorted(inside), outside)]
        one, other = np.unravel_index(reach.argmin(), reach.shape)
        start, stop = sorted(inside)[int(one)], outside[int(other)]
        inside.add(stop)
        if np.isfinite(reach.min()):
            edges.append((min(start, stop), max(start, stop)))
    return tuple(sorted(edges))


def convex_hull(points: np.ndarray) -> tuple[int, ...]:
    """Indices round the hull of (P, 2), NaN left out; empty where it has no area (Andrew 1979)."""
    known = [index for index in np.lexsort(points.T[::-1]) if not np.isnan(points[index, 0])]
    halves = [_half_hull(points, order) for order in (known, known[::-1])]
    hull = tuple(int(index) for half in halves for index in half[:-1])
    return hull if len(hull) > 2 else ()


def _half_hull(points: np.ndarray, order: Sequence[int]) -> list[int]:
    half: list[int] = []
    for index in order:
        while len(half) > 1 and _turn(points[half[-2]], points[half[-1]], points[index]) <= 0:
            half.pop()
        half.append(index)
    return half


def _turn(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> float:
    one, other = second - first, third - second
    return float(one[0] * other[1] - one[1] * other[0])


def _last_between_sides(skeleton: Skeleton, front: int) -> int:
    """The last keypoint that is neither left nor right, nor the front; else the last one."""
    others = [index for index in range(len(skeleton.keypoints)) if index != front]
    middle = [index for index in others if skeleton.sides[index] == 0]
    return (middle or others or [front])[-1]


def _find_name(names: Sequence[str], patterns: Sequence[str], default: int) -> int:
    for pattern in patterns:
        for index, name in enumerate(names):
            if re.search(pattern, name.lower()):
                return index
    return default
