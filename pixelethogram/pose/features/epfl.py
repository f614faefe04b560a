"""The EPFL set: places, distances, speeds, overlap; 140 columns for two mice of seven keypoints.

EPFL report on the MABe challenge (mouse action segmentation), preprocessing steps 1 and 3 to 7.
Step 2, resampling in time, changes what a speed means and is left out; step 8, scaling, is done
by whoever takes the columns, on the frames learned from.
"""

from __future__ import annotations

import numpy as np

import pixelethogram.pose.features.measures as measures
from pixelethogram.pose.features.columns import Columns, join, with_prefix
from pixelethogram.pose.pose import Pose


def epfl_features(pose: Pose) -> Columns:
    """Coordinates, distances within and between animals, speeds, boxes, centres, extensions.

    In pixels of the recording, and pixels per second. The origin is the middle of the picture.
    """
    middle = np.array([pose.width, pose.height], dtype=np.float32) / 2
    points = pose.positions - middle
    parts = [_one_animal(points[:, number], pose) for number in range(points.shape[1])]
    named = [
        with_prefix(part, f"{name}: ") for part, name in zip(parts, pose.individuals, strict=True)
    ]
    first, second = measures.pairs(points.shape[1])
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        both = f"{pose.individuals[one]} and {pose.individuals[other]}: "
        named.append(with_prefix(_two_animals(points[:, one], points[:, other], pose), both))
    return join(named)


def _one_animal(points: np.ndarray, pose: Pose) -> Columns:
    """Columns of an animal from its points (T, P, 2)."""
    keypoints = pose.skeleton.keypoints
    first, second = measures.pairs(len(keypoints))
    within = measures.length(points[:, first] - points[:, second])
    speed = pose.fps * measures.length(measures.change(points, 1))
    centre = measures.mean_known(points, axis=1)
    extension = measures.mean_known(measures.length(points - centre[:, None]), axis=1)
    names = [f"{axis} of {name}" for name in keypoints for axis in "xy"]
    names += [f"{keypoints[i]} to {keypoints[j]}" for i, j in zip(first, second, strict=True)]
    names += [f"speed of {name}" for name in keypoints]
    names += ["x of centre", "y of centre", "extension"]
    values = [points.reshape(len(points), -1), within, speed, centre, extension[:, None]]
    return Columns(np.concatenate(values, axis=1), tuple(names))


def _two_animals(one: np.ndarray, other: np.ndarray, pose: Pose) -> Columns:
    """Distances (P P) between the points (T, P, 2) of two animals, and how much they overlap."""
    keypoints = pose.skeleton.keypoints
    between = measures.length(one[:, :, None] - other[:, None])
    boxes = measures.bounding_boxes(np.stack([one, other], axis=1))
    overlap = measures.overlap_area(boxes[:, 0], boxes[:, 1])
    names = [f"{here} to {there}" for here in keypoints for there in keypoints]
    values = [between.reshape(len(between), -1), overlap[:, None]]
    return Columns(np.concatenate(values, axis=1), (*names, "overlap"))
