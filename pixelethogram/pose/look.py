"""Look: the colors of animals. The first is warm, the second cool; the eye of no one confuses them.

Colors of further animals follow Okabe and Ito's palette for color-blind readers. The front is the
brightest point, left is a tenth lighter than right, so that a picture without color still tells
heading and handedness.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pixelethogram.pose.skeleton import Skeleton

BACKGROUND, BORDER, GROUND = 0.45, 0.62, 0.56
BODY_OPACITY = 0.4
SIDE_LIGHT = 0.1
LIMB_WHITE, POINT_WHITE = 0.15, 0.35  # share of white
BODIES = np.array(
    [
        [0.85, 0.35, 0.15],  # warm: resident
        [0.15, 0.45, 0.85],  # cool: intruder
        [0.00, 0.62, 0.45],
        [0.80, 0.47, 0.65],
        [0.90, 0.62, 0.00],
        [0.34, 0.71, 0.91],
    ],
    np.float32,
)
FRONTS = np.array(
    [[1, 1, 0.2], [0.2, 1, 1], [0.7, 1, 0.7], [1, 0.85, 1], [1, 0.95, 0.6], [0.85, 1, 1]],
    np.float32,
)


@dataclasses.dataclass(frozen=True)
class Look:
    """Colors, red green blue in 0…1, and the order of drawing.

    Attributes:
        bodies: (N, 3) of the bodies.
        limbs: (N, E, 3) of the edges.
        points: (N, P, 3) of the keypoints.
        order: Keypoints as they are drawn; the front comes last, on top.
    """

    bodies: np.ndarray
    limbs: np.ndarray
    points: np.ndarray
    order: tuple[int, ...]


def build_look(skeleton: Skeleton, num_animals: int) -> Look:
    """Colors of so many animals; from the seventh on they repeat."""
    palette = np.arange(num_animals) % len(BODIES)
    bodies = BODIES[palette]
    light = 1 + SIDE_LIGHT * np.array(skeleton.sides, np.float32)  # (P,)
    points = _whiten(bodies, POINT_WHITE)[:, None] * light[:, None]
    points[:, skeleton.front] = FRONTS[palette]
    ends = np.array(skeleton.edges, np.int64).reshape(-1, 2)
    limbs = _whiten(bodies, LIMB_WHITE)[:, None] * light[ends].mean(axis=1)[:, None]
    order = [point for point in range(len(skeleton.keypoints)) if point != skeleton.front]
    return Look(bodies, limbs.clip(0, 1), points.clip(0, 1), (*order, skeleton.front))


def _whiten(colors: np.ndarray, share: float) -> np.ndarray:
    return colors * (1 - share) + share
