"""What every reader does at its end: arrays and names in, a checked Pose out."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelethogram.errors import InputError, UsageError
from pixelethogram.pose.anatomy import MIRRORED, complete_skeleton, measure_mirrored
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

logger = logging.getLogger(__name__)

SHARE_OUTSIDE = 0.1  # of the points; more, and the size cannot be right


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a pose file may not say about its recording; None: not known."""

    fps: float | None = None
    """Frames per second."""
    height: int | None = None
    """Pixels."""
    width: int | None = None
    """Pixels."""

    def or_else(self, other: Facts) -> Facts:
        """These facts, and those of `other` where these say nothing."""
        own = {name: value for name, value in vars(self).items() if value is not None}
        return dataclasses.replace(other, **own)


def read_size(text: str) -> tuple[int, int]:
    """Width and height from a text like 1024x570.

    Raises:
        UsageError: It is none.
    """
    parts = text.lower().split("x")
    if len(parts) == 2 and all(part.isdecimal() and int(part) for part in parts):
        return int(parts[0]), int(parts[1])
    raise UsageError(f'--size "{text}" is no size', do="give width x height: --size 1024x570")


def build_pose(
    path: Path,
    positions: np.ndarray,
    confidence: np.ndarray | None,
    *,
    keypoints: Sequence[str],
    individuals: Sequence[str],
    facts: Facts,
    edges: Sequence[tuple[int, int]] = (),
) -> Pose:
    """Pose with a whole skeleton; warns when left and right look swapped.

    Args:
        path: Where it was read, for messages.
        positions: (T, N, P, 2) pixels, NaN where missing.
        confidence: (T, N, P) in 0…1; None: 1 for every point there is.
        keypoints: Names of the P keypoints.
        individuals: Names of the N animals.
        facts: Size and rate of the recording, all of them known.
        edges: Joined keypoints; none: the nearest ones are joined.

    Raises:
        InputError: Shapes that do not fit, repeated names, or points outside of the picture.
        UsageError: Size or rate are not known.
    """
    if facts.fps is None or facts.height is None or facts.width is None:
        raise UsageError(
            f"{path.name} does not say how large its pictures are, or how many come per second",
            where=path,
            do="put the video beside it (NAME.mp4 for NAME.csv or NAMEDLC….csv), or add --fps 30 "
            "--size 1024x570 (width x height)",
        )
    confidence = np.ones(positions.shape[:3], np.float32) if confidence is None else confidence
    try:
        skeleton = Skeleton(tuple(keypoints), tuple(edges))
        pose = Pose(
            positions,
            np.nan_to_num(confidence, nan=0.0).clip(0, 1),
            skeleton,
            tuple(individuals),
            int(facts.height),
            int(facts.width),
            float(facts.fps),
        )
    except InputError as error:
        raise InputError(error.what, where=path, why=error.why, do=error.do) from error
    except ValueError as error:
        raise InputError(f"the keypoints are odd: {error}", where=path) from error
    _refuse_wrong_size(pose, path)
    pose = complete_skeleton(pose)
    if (share := measure_mirrored(pose)) > MIRRORED:
        logger.warning(
            "%s: on %.0f %% of the frames left and right lie as in a mirror; if the camera looks "
            "from above, the names of left and right are swapped",
            path.name,
            100 * share,
        )
    return pose


def _refuse_wrong_size(pose: Pose, path: Path) -> None:
    known = pose.positions[~pose.missing]
    outside = ((known < -0.5) | (known > (pose.width - 0.5, pose.height - 0.5))).any(axis=-1)
    if len(known) and outside.mean() > SHARE_OUTSIDE:
        largest = known.max(axis=0)
        raise InputError(
            f"{outside.mean():.0%} of the points lie outside {pose.width} x {pose.height} pixels",
            where=path,
            why=f"x reaches {largest[0]:.0f}, y {largest[1]:.0f}: the size is another one, or "
            "x and y have changed places",
            do="give the size of the recording that was tracked: --size WIDTHxHEIGHT",
        )
