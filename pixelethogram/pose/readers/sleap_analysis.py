"""SLEAP's analysis file: `tracks` (track, xy, node, frame), `node_names`, `track_names`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.pose.hdf5_files import look_into, open_to_read
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts, build_pose


def can_read(path: Path) -> bool:
    """True for an HDF5 file with tracks and the names of nodes."""
    return bool(look_into(path, lambda file: "tracks" in file and "node_names" in file))


def read(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """The one pose of a file, named like the file."""
    with open_to_read(path) as file:
        tracks = np.asarray(file["tracks"], dtype=np.float32)
        nodes = _read_names(file["node_names"])
        named = _read_names(file["track_names"]) if "track_names" in file else []
        scores = np.asarray(file["point_scores"]) if "point_scores" in file else None
        edges = np.asarray(file["edge_inds"]) if "edge_inds" in file else np.empty((0, 2))
    count = tracks.shape[0] if tracks.ndim else 0
    names = named or [f"track {number}" for number in range(count)]
    frames = tracks.shape[-1] if tracks.ndim else 0
    expected = (len(names), 2, len(nodes), frames)
    if tracks.shape != expected:
        raise InputError(
            f"tracks have shape {tracks.shape}, expected (tracks, 2, nodes, frames) = {expected}",
            where=path,
            why="another program wrote them in another order",
            do="export it again from SLEAP; nothing is turned round by guess",
        )
    confidence = None
    if scores is not None and scores.shape == (len(names), len(nodes), frames):
        confidence = scores.transpose(2, 0, 1)
    yield (
        path.stem,
        build_pose(
            path,
            tracks.transpose(3, 0, 2, 1),
            confidence,
            keypoints=nodes,
            individuals=names,
            facts=facts,
            edges=[(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)],
        ),
    )


def _read_names(data: h5py.Dataset) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in data[()]]
