"""A pose in, everything a network is told about it out: sets, what is missing, context."""

from __future__ import annotations

from collections.abc import Sequence

from pixelethogram.pose.features import FEATURE_SETS
from pixelethogram.pose.features.columns import Columns, join, with_prefix
from pixelethogram.pose.features.context import add_context, stack_frames
from pixelethogram.pose.gaps import drop_unsure, fill_gaps
from pixelethogram.pose.pose import Pose


def describe_pose(
    pose: Pose,
    sets: Sequence[str],
    *,
    min_confidence: float = 0.0,
    max_gap_frames: int = 0,
    context_radii: Sequence[int] = (),
    stack_radius: int = 0,
) -> Columns:
    """Columns of all sets, and of what was missing.

    Args:
        pose: Of one recording.
        sets: Names in `FEATURE_SETS`.
        min_confidence: Points below it count as missing.
        max_gap_frames: Gaps of up to so many frames are bridged by straight lines.
        context_radii: For each, mean and spread of every column over ± so many frames.
        stack_radius: The columns of ± so many frames, side by side; 0: of the frame alone.
    """
    sure = drop_unsure(pose, min_confidence)
    whole = fill_gaps(sure, max_gap_frames)
    parts = [with_prefix(FEATURE_SETS[name](whole), f"{name}: ") for name in sets]
    if set(sets) != {"symmetric"}:  # which says how much is seen, whoever it is
        parts.append(missing_points(sure))
    return stack_frames(add_context(join(parts), context_radii), stack_radius)


def missing_points(pose: Pose) -> Columns:
    """1 where a point is missing, else 0: (T, N P)."""
    names = [
        f"{animal}: no {keypoint}"
        for animal in pose.individuals
        for keypoint in pose.skeleton.keypoints
    ]
    return Columns(pose.missing.reshape(pose.num_frames, -1), tuple(names))
