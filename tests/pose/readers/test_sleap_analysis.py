"""SLEAP's analysis files, and the same arrays in a wrong order."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.readers import sleap_analysis
from pixelethogram.pose.readers.assembly import Facts

PARTS = ("nose", "left_ear", "right_ear", "tail_base")


def write(path: Path, tracks: np.ndarray, scores: np.ndarray | None = None) -> Path:
    with h5py.File(path, "w") as file:
        file["tracks"] = tracks
        file["node_names"] = [name.encode() for name in PARTS]
        file["track_names"] = [b"one", b"two"]
        file["edge_inds"] = np.array([[0, 1], [0, 2], [0, 3]])
        if scores is not None:
            file["point_scores"] = scores
    return path


def test_all_comes_back(
    points: np.ndarray, likelihood: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.h5", points.transpose(1, 3, 2, 0), likelihood.transpose(1, 2, 0))
    assert sleap_analysis.can_read(path)
    ((name, pose),) = sleap_analysis.read(path, facts)
    assert (name, pose.individuals, pose.skeleton.keypoints) == ("a", ("one", "two"), PARTS)
    assert pose.skeleton.edges == ((0, 1), (0, 2), (0, 3))
    np.testing.assert_allclose(pose.positions, points, rtol=1e-5)
    np.testing.assert_allclose(pose.confidence, likelihood, atol=1e-6)


def test_another_order_of_axes_is_refused_with_the_expected_one(
    points: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.h5", points)
    with pytest.raises(InputError, match=r"expected \(tracks, 2, nodes, frames\)"):
        list(sleap_analysis.read(path, facts))


def test_other_hdf5_files_are_left_alone(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "movie.h5", "w") as file:
        file["movie"] = np.zeros((3, 8, 8), np.uint8)
    assert not sleap_analysis.can_read(tmp_path / "movie.h5")
    assert not sleap_analysis.can_read(tmp_path)
