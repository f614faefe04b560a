"""Short gaps of a track are bridged; long ones stay gaps, never guessed."""

from __future__ import annotations

import dataclasses

import numpy as np

from pixelethogram.pose.pose import Pose


def fill_gaps(pose: Pose, max_frames: int) -> Pose:
    """Positions and confidence interpolated linearly over gaps of up to `max_frames` frames.

    Gaps at either end of the recording stay, as there is nothing to interpolate between.
    """
    if pose.num_frames == 0 or max_frames == 0:
        return pose
    tracks = pose.positions.reshape(pose.num_frames, -1, 2)
    confidence = pose.confidence.reshape(pose.num_frames, -1)
    before, after = nearest_known(~np.isnan(tracks[..., 0]))  # (T, N P)
    gap = (before >= 0) & (after < pose.num_frames) & (after > before)
    gap &= after - before - 1 <= max_frames
    frame, track = np.nonzero(gap)
    left, right = before[frame, track], after[frame, track]
    share = ((frame - left) / (right - left)).astype(np.float32)
    tracks, confidence = tracks.copy(), confidence.copy()
    tracks[frame, track] = (
        tracks[left, track] * (1 - share[:, None]) + tracks[right, track] * share[:, None]
    )
    confidence[frame, track] = confidence[left, track] * (1 - share) + confidence[right, track] * (
        share
    )
    return dataclasses.replace(
        pose,
        positions=tracks.reshape(pose.positions.shape),
        confidence=confidence.reshape(pose.confidence.shape),
    )


def drop_unsure(pose: Pose, min_confidence: float) -> Pose:
    """The pose without the points whose confidence is lower."""
    unsure = pose.confidence < min_confidence
    positions = np.where(unsure[..., None], np.nan, pose.positions)
    return dataclasses.replace(pose, positions=positions)


def nearest_known(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every frame the last known one up to it and the first known one from it on.

    Args:
        known: (T, tracks) bool.

    Returns:
        Two (T, tracks) int arrays; -1 and T where there is none. A known frame names itself.
    """
    frames = np.arange(len(known))[:, None]
    before = np.maximum.accumulate(np.where(known, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(known, frames, len(known))[::-1], axis=0)[::-1]
    return before, after
