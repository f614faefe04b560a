"""The pose of one recording on disk, whatever program it came from: `pose.h5`.

::

    attrs: schema, sha256, keypoints, individuals, edges, guessed_edges, outline, front, back,
           height, width, fps
    positions     (T, N, P, 2) float32, NaN where missing
    confidence    (T, N, P) float32
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import h5py
import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError
from pixelethogram.pose.hdf5_files import look_into
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SCHEMA = "pixelethogram pose 1"


def write_pose(pose: Pose, path: Path) -> None:
    """Write the file whole or not at all."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in ("positions", "confidence"):
            file.create_dataset(name, data=getattr(pose, name), compression="lzf", shuffle=True)
        skeleton = pose.skeleton
        file.attrs["schema"] = SCHEMA
        file.attrs["sha256"] = hash_pose(pose)
        file.attrs["keypoints"] = json.dumps(skeleton.keypoints)
        file.attrs["individuals"] = json.dumps(pose.individuals)
        file.attrs["edges"] = json.dumps(skeleton.edges)
        file.attrs["outline"] = json.dumps(skeleton.outline)
        for name in ("front", "back", "guessed_edges"):
            file.attrs[name] = getattr(skeleton, name)
        for name in ("height", "width", "fps"):
            file.attrs[name] = getattr(pose, name)
    write_bytes(path, buffer.getvalue())


def hash_pose(pose: Pose) -> str:
    """sha256 of all that a pose says; the same for files of other programs that say the same."""
    digest = hashlib.sha256(pose.positions.tobytes() + pose.confidence.tobytes())
    about = [pose.skeleton, pose.individuals, pose.height, pose.width, float(pose.fps)]
    digest.update(repr(about).encode())
    return digest.hexdigest()


def read_pose_hash(path: Path) -> str:
    """`hash_pose` of the pose in a file, without reading it all."""
    with h5py.File(path, "r") as file:
        return str(file.attrs["sha256"])


def is_pose_file(path: Path) -> bool:
    """True for a file that `write_pose` wrote."""
    return look_into(path, lambda file: str(file.attrs.get("schema", ""))) == SCHEMA


def read_pose(path: Path) -> Pose:
    """Read what `write_pose` wrote.

    Raises:
        InputError: No such file, damaged, or made by another program.
    """
    try:
        with h5py.File(path, "r") as file:
            about = dict(file.attrs)
            if about.get("schema") != SCHEMA:
                raise InputError(
                    "this is not a pose file of pixelethogram",
                    where=path,
                    do="pixelethogram add PROJECT FILE reads the files of other programs",
                )
            arrays = {name: np.asarray(file[name]) for name in ("positions", "confidence")}
    except FileNotFoundError as error:
        raise InputError("there is no pose here", where=path, do="check the path") from error
    except (OSError, KeyError) as error:
        raise InputError(
            f"the pose file is damaged: {error}", where=path, do="import the pose again"
        ) from error
    skeleton = Skeleton(
        tuple(json.loads(about["keypoints"])),
        tuple((start, stop) for start, stop in json.loads(about["edges"])),
        tuple(json.loads(about["outline"])),
        int(about["front"]),
        int(about["back"]),
        bool(about.get("guessed_edges", False)),  # older files do not say
    )
    return Pose(
        arrays["positions"],
        arrays["confidence"],
        skeleton,
        tuple(json.loads(about["individuals"])),
        int(about["height"]),
        int(about["width"]),
        float(about["fps"]),
    )
