"""MARS JSON: `keypoints[frame][mouse][xy][part]` and `scores[frame][mouse][part]`, top view."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts, build_pose

KEYPOINTS = (
    *("nose", "left ear", "right ear", "neck"),
    *("left hip", "right hip", "tail base"),
)
EDGES = ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6))
INDIVIDUALS = ("resident", "intruder")
PEEK = 4096  # bytes
STARTS = re.compile(rb'\s*\{\s*"[^"]*"\s*:\s*[^{\s]')
"""An object whose first value is no object, as CalMS21's are."""
LISTS = (re.compile(rb'"keypoints"\s*:\s*\['), re.compile(rb'"scores"\s*:\s*\['))


def can_read(path: Path) -> bool:
    """True for a JSON object with lists under keypoints and scores; searched, not parsed."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        if not STARTS.match(file.read(PEEK)):
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(each.search(content) for each in LISTS)


def read(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """The one pose of a file, named like the file; mouse 0 is the resident."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        keypoints = np.array(content["keypoints"], dtype=np.float32)
        scores = np.array(content["scores"], dtype=np.float32)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"keypoints or scores are damaged: {error}",
            where=path,
            why="the file was cut off, or its lists are not numbers of equal lengths",
            do="copy it again, or export it again",
        ) from error
    frames = len(keypoints)
    animals = keypoints.shape[1] if keypoints.ndim > 1 else 0
    expected = (frames, animals, 2, len(KEYPOINTS))
    if keypoints.shape != expected:
        raise InputError(
            f"keypoints have shape {keypoints.shape}, expected (frames, mice, xy, parts) = "
            f"{expected}",
            where=path,
            why="the axes are in another order, or it is not MARS' top view with seven parts",
            do="export it again; nothing is turned round by guess",
        )
    if scores.shape != (frames, animals, len(KEYPOINTS)):
        raise InputError(
            f"scores have shape {scores.shape}, expected {(frames, animals, len(KEYPOINTS))}",
            where=path,
        )
    more = [f"mouse {number}" for number in range(2, animals)]
    yield (
        path.stem,
        build_pose(
            path,
            keypoints.transpose(0, 1, 3, 2),
            scores,
            keypoints=KEYPOINTS,
            individuals=[*INDIVIDUALS[:animals], *more],
            facts=facts,
            edges=EDGES,
        ),
    )
