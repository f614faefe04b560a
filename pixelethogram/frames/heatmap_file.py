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

from pixelethogram.frames.drawn_pose import DrawnPose

SCHEMA = "pixelethogram heatmaps 1"
FRAMES_AT_A_TIME = 8


def write_heatmaps(drawn: DrawnPose, frames: Sequence[int], path: Path, *, limbs: bool) -> None:
    """Write the file whole or not at all; memory does not grow with the number of frames."""
    names = drawn.skeleton.keypoints
    joined = [f"{names[start]} - {names[stop]}" for start, stop in drawn.skeleton.edges]
    channels = joined if limbs else list(names)
    shape = (len(channels), drawn.height, drawn.width)
    unfinished = path.with_name(f".{path.name}.partial")
    with h5py.File(unfinished, "w") as file:
        file.attrs.update(schema=SCHEMA, channels=json.dumps(channels), fps=drawn.fps)
        file["frames"] = np.array(frames, np.int64)
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
            maps[start : start + len(some)] = drawn.read_heatmaps(some, limbs=limbs).numpy()
    unfinished.replace(path)
