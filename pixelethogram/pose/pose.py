"""Pose: where every keypoint of every animal is on every frame."""

from __future__ import annotations

import dataclasses

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.pose.skeleton import Skeleton


@dataclasses.dataclass(frozen=True)
class Pose:
    """Keypoints of one recording.

    Attributes:
        positions: (T, N, P, 2) float32: frame, animal, keypoint, (x, y) in pixels of the recording,
            y down, pixel centres at whole numbers; NaN in both where missing.
        confidence: (T, N, P) float32 in 0…1; 0 where missing, 1 where the tracker gave none.
        skeleton: Names of the P keypoints and how they hang together.
        individuals: Names of the N animals; the first is the resident, where there is one.
        height: Of the recording, pixels.
        width: Of the recording, pixels.
        fps: Frames per second.

    Raises:
        InputError: Shapes that do not fit together; says which shape was expected.
    """

    positions: np.ndarray
    confidence: np.ndarray
    skeleton: Skeleton
    individuals: tuple[str, ...]
    height: int
    width: int
    fps: float

    def __post_init__(self) -> None:
        animals, points = len(self.individuals), len(self.skeleton.keypoints)
        frames = self.positions.shape[0] if self.positions.ndim else 0
        expected = (frames, animals, points, 2)
        if self.positions.shape != expected:
            raise InputError(
                f"positions have shape {self.positions.shape}, expected (frames, animals, "
                f"keypoints, 2) = {expected}",
                why="the axes are in another order, or keypoints or animals are missing",
                do="put them in this order; nothing is turned round by guess",
            )
        if self.confidence.shape != expected[:3]:
            raise InputError(
                f"confidence has shape {self.confidence.shape}, expected {expected[:3]}",
                do="give one value per frame, animal and keypoint",
            )
        missing = np.isnan(self.positions).any(axis=-1)
        positions = np.where(missing[..., None], np.nan, self.positions).astype(np.float32)
        confidence = np.where(missing, 0.0, self.confidence).astype(np.float32)
        if not ((confidence >= 0) & (confidence <= 1)).all():
            raise InputError("confidence lies outside 0 to 1", do="scale it to 0 to 1")
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "confidence", confidence)

    @property
    def num_frames(self) -> int:
        """T."""
        return self.positions.shape[0]

    @property
    def missing(self) -> np.ndarray:
        """(T, N, P) bool."""
        return np.isnan(self.positions[..., 0])
