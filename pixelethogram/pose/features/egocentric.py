"""The world as each animal sees it: own and others' points in the frame of its body, and motion.

After the winner of MABe 2021 (nebw), TREBA (Sun et al. 2021) and MARS (Segalin et al. 2021). Their
time since the start of a recording is left out: it tells when people stop filming. Lengths are in
body lengths.
"""

from __future__ import annotations

import numpy as np

import pixelethogram.pose.features.measures as measures
from pixelethogram.pose.features.columns import Columns, join, with_prefix
from pixelethogram.pose.pose import Pose

SPEED_LAGS = (1, 2, 5, 10)  # frames
WALL_SCALE = 465 / 1024  # of the longer side; from there on a wall is far away


def egocentric_features(pose: Pose) -> Columns:
    """For every animal: its body, its motion, the walls; for every ordered pair: the other one."""
    skeleton = pose.skeleton
    size = measures.body_length(pose.positions, skeleton.front, skeleton.back)
    points = pose.positions / size  # (T, N, P, 2)
    neck = points[:, :, _find_neck(pose)]
    back = points[:, :, skeleton.back]
    origin, axis = (neck + back) / 2, measures.unit(neck - back)  # (T, N, 2)
    walls = np.array([pose.width, pose.height]) / size
    parts = []
    for one, name in enumerate(pose.individuals):
        body = _points_in_frame(points[:, one], origin[:, one], axis[:, one], pose)
        motion = _motion(origin[:, one], axis[:, one])
        parts += [
            with_prefix(part, f"{name}: ")
            for part in (body, motion, _walls(origin[:, one], walls), _shape(points[:, one], pose))
        ]
        for other in range(len(pose.individuals)):
            if other != one:
                seen = [
                    _points_in_frame(points[:, other], origin[:, one], axis[:, one], pose),
                    _towards(neck[:, one], axis[:, one], points[:, other], axis[:, other], pose),
                ]
                prefix = f"{name}: {pose.individuals[other]}'s "
                parts += [with_prefix(part, prefix) for part in seen]
    return join(parts)


def _find_neck(pose: Pose) -> int:
    """The keypoint called neck, else the front."""
    names = [name.lower() for name in pose.skeleton.keypoints]
    return names.index("neck") if "neck" in names else pose.skeleton.front


def _in_frame(vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(..., 2) vectors by what they have along a body axis and to its right (on screen)."""
    return np.stack([(vectors * axis).sum(axis=-1), measures.cross(axis, vectors)], axis=-1)


def _points_in_frame(
    points: np.ndarray, origin: np.ndarray, axis: np.ndarray, pose: Pose
) -> Columns:
    turned = _in_frame(points - origin[:, None], axis[:, None])
    names = (f"{side} {name}" for name in pose.skeleton.keypoints for side in ("ahead", "aside"))
    return Columns(turned.reshape(len(turned), -1), tuple(names))


def _motion(origin: np.ndarray, axis: np.ndarray) -> Columns:
    """Forward and sideways speed and turn since the frame before, and speed over longer spans."""
    step = _in_frame(measures.change(origin, 1), axis)
    before = np.concatenate([axis[:1], axis[:-1]])
    turn = np.stack([(before * axis).sum(axis=-1), measures.cross(before, axis)], axis=1)
    speeds = [measures.length(measures.change(origin, lag)) / lag for lag in SPEED_LAGS]
    names = ("forward", "sideways", "cosine of turn", "sine of turn")
    return Columns(
        np.concatenate([step, turn, np.stack(speeds, axis=1)], axis=1),
        (*names, *(f"speed over {lag}" for lag in SPEED_LAGS)),
    )


def _walls(origin: np.ndarray, size: np.ndarray) -> Columns:
    """Closeness of the four sides of the picture, saturating far away."""
    ways = np.concatenate([origin, size - origin], axis=1) / (WALL_SCALE * size.max())
    return Columns(np.tanh(ways), ("to left", "to top", "to right", "to bottom"))


def _shape(points: np.ndarray, pose: Pose) -> Columns:
    """Log distances within the animal."""
    keypoints = pose.skeleton.keypoints
    first, second = measures.pairs(len(keypoints))
    within = np.log1p(measures.length(points[:, first] - points[:, second]))
    names = (f"{keypoints[i]} to {keypoints[j]}" for i, j in zip(first, second, strict=True))
    return Columns(within, tuple(names))


def _towards(
    neck: np.ndarray, axis: np.ndarray, other: np.ndarray, other_axis: np.ndarray, pose: Pose
) -> Columns:
    """Direction and log distance from the neck to another's neck and tail base; relative heading.

    Args:
        neck: (T, 2) of the animal that looks.
        axis: (T, 2) of its body.
        other: (T, P, 2) points of the animal looked at.
        other_axis: (T, 2) of that one's body.
        pose: For the names and places of keypoints.
    """
    values, names = [], []
    for target, index in (("neck", _find_neck(pose)), ("back", pose.skeleton.back)):
        way = other[:, index] - neck
        values += [_in_frame(measures.unit(way), axis), np.log1p(measures.length(way))[:, None]]
        names += [f"{target}: {what}" for what in ("ahead", "aside", "distance")]
    values.append(_in_frame(other_axis, axis))
    distances = np.log1p(measures.length(other - neck[:, None]))
    values.append(distances)
    names += ["heading ahead", "heading aside"]
    names += [f"{name}: distance from neck" for name in pose.skeleton.keypoints]
    return Columns(np.concatenate(values, axis=1), tuple(names))
