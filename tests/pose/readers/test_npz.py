"""Plain arrays with their meta.json; the real ones too, where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.readers import npz
from pixelethogram.pose.readers.assembly import Facts

PARTS = ["nose", "left_ear", "right_ear", "tail_base"]


def write(path: Path, points: np.ndarray, meta: dict[str, Any] | None, **more: Any) -> Path:
    raw = np.where(np.isnan(points), npz.MISSING, np.round(np.nan_to_num(points) * 10))
    np.savez(path, pose_xy10=raw.astype(np.int16), **more)
    if meta is not None:
        (path.parent / "meta.json").write_text(json.dumps(meta))
    return path


def test_all_comes_back(points: np.ndarray, likelihood: np.ndarray, tmp_path: Path) -> None:
    meta = {"keypoints": PARTS, "fps": 25, "resolution": [300, 200], "individuals": ["r", "i"]}
    meta["skeleton"] = [["Nose", "tail base"]]
    stored = np.round(likelihood * 255).astype(np.uint8)
    path = write(tmp_path / "a.npz", points, meta, likelihood=stored)
    assert npz.can_read(path)
    ((name, pose),) = npz.read(path, Facts())
    assert (name, pose.individuals, pose.skeleton.edges) == ("a", ("r", "i"), ((0, 3),))
    assert (pose.fps, pose.height, pose.width) == (25.0, 200, 300)
    np.testing.assert_allclose(pose.positions, points, atol=0.051)
    np.testing.assert_allclose(pose.confidence, likelihood, atol=0.002)


def test_what_meta_says_of_one_video_counts_for_it(points: np.ndarray, tmp_path: Path) -> None:
    meta = {"fps": 25, "resolution": [300, 200], "videos": [{"id": "a", "keypoints": PARTS}]}
    ((_, pose),) = npz.read(write(tmp_path / "a.npz", points, meta), Facts(fps=50.0))
    assert (pose.fps, pose.individuals) == (50.0, ("animal 0", "animal 1"))


def test_without_names_or_with_other_arrays_it_is_refused(
    points: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.npz", points, None)
    with pytest.raises(InputError, match="names of the keypoints"):
        list(npz.read(path, facts))
    for text in ("[]", '"nose"', "3"):
        (tmp_path / "meta.json").write_text(text)
        with pytest.raises(InputError, match="expected names and values"):
            list(npz.read(path, facts))
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(InputError, match="no list `keypoints`"):
        list(npz.read(path, facts))
    (tmp_path / "meta.json").write_text(json.dumps({"keypoints": PARTS}))
    np.savez(tmp_path / "b.npz", pose_xy10=np.zeros((3, 2, 4, 2)))
    with pytest.raises(InputError, match="expected int16"):
        list(npz.read(tmp_path / "b.npz", facts))
    with pytest.raises(InputError, match=r"expected \(frames, animals"):
        list(npz.read(write(tmp_path / "c.npz", points.transpose(0, 2, 1, 3), None), facts))
    np.savez(tmp_path / "d.npz", labels=np.zeros(3))
    (tmp_path / "e.npz").write_text("nothing")
    assert not npz.can_read(tmp_path / "d.npz")
    assert not npz.can_read(tmp_path / "e.npz")


def test_real_arrays_are_read(real_data: Path) -> None:
    ((name, pose),) = npz.read(real_data / "rat_ri" / "rat_01.npz", Facts(30.0, 1060, 1600))
    assert (name, pose.positions.shape[1:]) == ("rat_01", (2, 5, 2))
    assert 0.2 < pose.missing.mean() < 0.6
    assert pose.skeleton.edges == ((0, 1), (1, 2), (2, 3), (3, 4))
    assert pose.skeleton.keypoints[pose.skeleton.back] == "tail"
