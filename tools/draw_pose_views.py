"""The pictures of docs/pose.md: two simulated mice in every view, whole and with points missing.

python tools/draw_pose_views.py docs/pictures
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from pixelethogram.config import DrawingConfig
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import View

SKELETON = Skeleton(
    ("nose", "left ear", "right ear", "neck", "left hip", "right hip", "tail base"),
    ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6)),
    (0, 1, 4, 6, 5, 2),
    0,
    6,
)
SHAPE = np.array([[42, 0], [24, -13], [24, 13], [16, 0], [-22, -17], [-22, 17], [-44, 0]])
HEIGHT, WIDTH = 570, 1024
FRAMES, SHOWN = 90, 60
SIZE = 256
PATHS = ((470, 300, 170, 0.030, 0.4), (430, 380, 80, -0.035, 5.24), (300, 250, 90, 0.04, 4.0))


def simulate(num_animals: int) -> Pose:
    """Mice that run in circles, bend, and tremble by half a pixel."""
    random = np.random.default_rng(0)
    frames = np.arange(FRAMES)
    animals = []
    for x, y, radius, speed, start in PATHS[:num_animals]:
        angle = speed * frames + start
        middle = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=-1)
        along, across = SHAPE.T
        bend = angle[:, None] + np.sign(speed) * np.pi / 2 + speed * 6 * along / 40
        ahead = np.stack([np.cos(bend), np.sin(bend)], axis=-1)
        aside = np.stack([-np.sin(bend), np.cos(bend)], axis=-1)
        animals.append(middle[:, None] + along[:, None] * ahead + across[:, None] * aside)
    points = np.stack(animals, axis=1) + random.normal(0, 0.5, (FRAMES, num_animals, 7, 2))
    names = ("resident", "intruder", "third")[:num_animals]
    return Pose(points, np.ones(points.shape[:3]), SKELETON, names, HEIGHT, WIDTH, 30.0)


def spoil(pose: Pose) -> Pose:
    """The second animal loses its nose and a hip for long; the first is unsure at its back."""
    positions, confidence = pose.positions.copy(), pose.confidence.copy()
    positions[SHOWN - 20 :, 1, [0, 5]] = np.nan
    positions[SHOWN - 2 : SHOWN + 3, 0, 1] = np.nan  # a short gap: bridged
    confidence[:, 0, [4, 5, 6]] = [0.7, 0.55, 0.45]
    return dataclasses.replace(pose, positions=positions, confidence=confidence)


def draw(pose: Pose, view: View) -> np.ndarray:
    """(H, W, 3) uint8."""
    drawn = DrawnPose(pose, DrawingConfig(view=view), SIZE, SIZE)
    return drawn.read([SHOWN])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    two = simulate(2)
    gap = np.full((SIZE, 8, 3), 255, np.uint8)
    for view in get_args(View):
        pictures = [draw(two, view), gap, draw(spoil(two), view)]
        save(folder / f"pose_{view}.png", np.hstack(pictures))
    three = [draw(simulate(3), "dyad"), gap, draw(simulate(3), "composite")]
    save(folder / "pose_three.png", np.hstack(three))


def save(path: Path, picture: np.ndarray) -> None:
    """Write a PNG, whatever letters are in its path."""
    twice = cv2.resize(picture, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    cv2.imencode(".png", twice[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tofile(path)


if __name__ == "__main__":
    main()
