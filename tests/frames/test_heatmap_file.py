"""Heat-maps on disk: the frames that were asked for, named channels, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.config import DrawingConfig
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.frames.heatmap_file import SCHEMA, write_heatmaps
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton

SKELETON = Skeleton(("nez", "neck", "tail"), ((0, 1), (1, 2)), (), 0, 2)


@pytest.fixture
def drawn() -> DrawnPose:
    """One animal that walks down, a pixel per frame, drawn at the size of the recording."""
    shape = np.array([[30.0, 5], [20, 5], [10, 5]])
    points = shape + np.stack([np.zeros(20), np.arange(20.0)], axis=-1)[:, None]
    pose = Pose(points[:, None], np.ones((20, 1, 3)), SKELETON, ("a",), 32, 48, 25.0)
    return DrawnPose(pose, DrawingConfig(view="arena"), 32, 48)


@pytest.mark.parametrize(
    ("limbs", "channels", "column"),
    [(False, ["nez", "neck", "tail"], 30), (True, ["nez - neck", "neck - tail"], 25)],
)
def test_every_channel_has_its_peak_where_the_animal_is(
    limbs: bool, channels: list[str], column: int, drawn: DrawnPose, tmp_path: Path
) -> None:
    write_heatmaps(drawn, range(3, 15), tmp_path / "cartes é.h5", limbs=limbs)
    assert [path.name for path in tmp_path.iterdir()] == ["cartes é.h5"]
    with h5py.File(tmp_path / "cartes é.h5") as file:
        assert file.attrs["schema"] == SCHEMA
        assert (json.loads(file.attrs["channels"]), file.attrs["fps"]) == (channels, 25.0)
        assert file["frames"][:].tolist() == list(range(3, 15))
        maps = file["heatmaps"][:]
    assert (maps.shape, maps.dtype) == ((12, len(channels), 32, 48), np.float16)
    for frame, first in zip(range(3, 15), maps[:, 0], strict=True):
        assert first[5 + frame, column] == 1.0
        assert np.flatnonzero((first == 1).any(axis=1)).tolist() == [5 + frame]


def test_a_file_that_was_broken_off_does_not_get_its_name(drawn: DrawnPose, tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        write_heatmaps(drawn, [0, 99], tmp_path / "maps.h5", limbs=False)
    assert not (tmp_path / "maps.h5").exists()
