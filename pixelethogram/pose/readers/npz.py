"""Plain arrays: `pose_xy10` int16 (frames, animals, keypoints, xy), ten times the pixels.

-32768 is missing; `likelihood` uint8 (frames, animals, keypoints) is 255 times the confidence, and
may be left out. `meta.json` beside names the `keypoints`, and where it can `individuals`,
`skeleton` (pairs of names), `fps` and `resolution` [width, height]; a list `videos` with the same
keys and an `id`, the name of the file, comes first.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts, build_pose

TIMES = 10
MISSING = -32768
META = "meta.json"


def can_read(path: Path) -> bool:
    """True for an npz with an array pose_xy10."""
    if path.suffix.lower() != ".npz":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return "pose_xy10.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """The one pose of a file, named like the file."""
    try:
        with np.load(path) as content:
            raw = content["pose_xy10"]
            likelihood = content.get("likelihood")
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"the arrays cannot be read: {error}", where=path) from error
    about = _read_meta(path)
    if raw.ndim != 4 or raw.dtype != np.int16:
        raise InputError(
            f"pose_xy10 is {raw.dtype} {raw.shape}, expected int16 (frames, animals, keypoints, 2)",
            where=path,
        )
    names = about.get("individuals") or [f"animal {number}" for number in range(raw.shape[1])]
    positions = np.where((raw == MISSING).any(axis=-1, keepdims=True), np.nan, raw / TIMES)
    width, height = about.get("resolution") or (None, None)
    keypoints = list(about["keypoints"])
    yield (
        path.stem,
        build_pose(
            path,
            positions,
            None if likelihood is None else likelihood / np.float32(255),
            keypoints=keypoints,
            individuals=names,
            facts=facts.or_else(Facts(about.get("fps"), height, width)),
            edges=_read_edges(about, keypoints),
        ),
    )


def _read_meta(path: Path) -> dict[str, Any]:
    file = path.with_name(META)
    try:
        everything = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the names of the keypoints are missing: {error}",
            where=file,
            do='write them into this file: {"keypoints": ["nose", …]}',
        ) from error
    if not isinstance(everything, Mapping):
        raise InputError(
            f"it holds a {type(everything).__name__}, expected names and values",
            where=file,
            do='begin like this: {"keypoints": ["nose", …], "fps": 30}',
        )
    own = [video for video in everything.get("videos", []) if _names(video, path)]
    about = {**everything, **(own[0] if own else {})}
    if not isinstance(about.get("keypoints"), list):
        raise InputError("there is no list `keypoints`", where=file, do="name the keypoints")
    return about


def _names(video: Any, path: Path) -> bool:
    return isinstance(video, Mapping) and video.get("id") == path.stem


def _read_edges(about: Mapping[str, Any], keypoints: list[str]) -> list[tuple[int, int]]:
    place = {_plain(name): index for index, name in enumerate(keypoints)}
    pairs = [tuple(_plain(end) for end in edge) for edge in about.get("skeleton") or []]
    return [(place[one], place[other]) for one, other in pairs if {one, other} <= place.keys()]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
