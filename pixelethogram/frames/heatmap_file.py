"""Heat-maps of a drawn pose on disk, for networks of other programs.

::

    attrs: schema, channels (JSON list of keypoints, or of limbs as "nose - tail"), fps
    frames      (T,) int64, which frames of the recording
    heatmaps    (T, C, H, W) float16 in 0…1
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from pixelethogram.errors import InputError, UsageError
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.progress import format_count
from pixelethogram.store import create_hdf5, give_name, unfinished_path

SCHEMA = "pixelethogram heatmaps 1"
FRAMES_AT_A_TIME = 8


def write_heatmaps(
    drawn: DrawnPose, frames: Sequence[int], path: Path, *, limbs: bool, device: str
) -> None:
    """Write the file whole or not at all; memory does not grow with the number of frames.

    Args:
        drawn: The recording.
        frames: Which, in the order of the file.
        path: Replaced only if it is such a file already.
        limbs: A channel per limb; else one per keypoint.
        device: Where they are drawn.

    Raises:
        UsageError: The skeleton has no limbs.
        InputError: There is another file.
    """
    names = drawn.skeleton.keypoints
    joined = [f"{names[start]} - {names[stop]}" for start, stop in drawn.skeleton.edges]
    channels = joined if limbs else list(names)
    if not channels:
        raise UsageError(
            "this pose has no limbs",
            why=f"no keypoints are joined; it has {format_count(len(names), 'keypoint')}",
            do="use --heatmaps keypoints",
        )
    _refuse_other_file(path)
    unfinished = unfinished_path(path)
    try:
        with create_hdf5(unfinished) as file:
            file.attrs.update(schema=SCHEMA, channels=json.dumps(channels), fps=drawn.fps)
            file.create_dataset("frames", data=np.array(frames, np.int64), chunks=True)
            _draw_into(file, drawn, frames, len(channels), limbs=limbs, device=device)
        give_name(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _draw_into(
    file: h5py.File,
    drawn: DrawnPose,
    frames: Sequence[int],
    num_channels: int,
    *,
    limbs: bool,
    device: str,
) -> None:
    shape = (num_channels, drawn.height, drawn.width)
    maps = file.create_dataset(
        "heatmaps",
        (len(frames), *shape),
        np.float16,
        chunks=(1, *shape),
        compression="lzf",
        shuffle=True,
    )
    for start in range(0, len(frames), FRAMES_AT_A_TIME):
        some = frames[start : start + FRAMES_AT_A_TIME]
        drawn_maps = drawn.read_heatmaps(some, limbs=limbs, device=device)
        maps[start : start + len(some)] = drawn_maps.cpu().numpy()


def _refuse_other_file(path: Path) -> None:
    """Stop before anything is replaced that is no file of heat-maps."""
    if path.exists() and not _holds_heatmaps(path):
        raise InputError(
            "there is another file already, and no heat-maps in it",
            where=path,
            why="poses, features and recordings are .h5 files, too; none is replaced",
            do="choose another name for -o",
        )


def _holds_heatmaps(path: Path) -> bool:
    try:
        with h5py.File(path) as file:
            schema = file.attrs.get("schema")
    except OSError:  # no HDF5, or cut off, which `write_heatmaps` never leaves
        return False
    return isinstance(schema, str) and schema == SCHEMA
