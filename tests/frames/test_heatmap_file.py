"""Heat-maps on disk: the frames that were asked for, named channels, nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from torch import Tensor

from pixelethogram.config import DrawingConfig
from pixelethogram.errors import InputError, UsageError
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.frames.heatmap_file import SCHEMA, write_heatmaps
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import write_pose
from pixelethogram.pose.skeleton import Skeleton

SKELETON = Skeleton(("nez", "neck", "tail"), ((0, 1), (1, 2)), (), 0, 2)


def build_walk() -> Pose:
    """One animal that walks down, a pixel per frame."""
    shape = np.array([[30.0, 5], [20, 5], [10, 5]])
    points = shape + np.stack([np.zeros(20), np.arange(20.0)], axis=-1)[:, None]
    return Pose(points[:, None], np.ones((20, 1, 3)), SKELETON, ("a",), 32, 48, 25.0)


def draw_walk() -> DrawnPose:
    """The walk at the size of the recording."""
    return DrawnPose(build_walk(), DrawingConfig(view="arena"), 32, 48)


@pytest.fixture
def drawn() -> DrawnPose:
    return draw_walk()


@pytest.mark.parametrize(
    ("limbs", "channels", "column"),
    [(False, ["nez", "neck", "tail"], 30), (True, ["nez - neck", "neck - tail"], 25)],
)
def test_every_channel_has_its_peak_where_the_animal_is(
    limbs: bool, channels: list[str], column: int, drawn: DrawnPose, tmp_path: Path
) -> None:
    write_heatmaps(drawn, range(3, 15), tmp_path / "cartes é.h5", limbs=limbs, device="cpu")
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


def test_a_file_that_was_broken_off_leaves_nothing(drawn: DrawnPose, tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        write_heatmaps(drawn, [0, 99], tmp_path / "maps.h5", limbs=False, device="cpu")
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, sys
from pathlib import Path

from pixelethogram.errors import explain_shortage
from pixelethogram.frames.heatmap_file import write_heatmaps
from tests.frames.test_heatmap_file import draw_walk

drawn, path = draw_walk(), Path(sys.argv[1])
for limit in (1000, 5000, 9000, 13000, 16000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_heatmaps(drawn, range(20), path, limbs=False, device="cpu")
    except (OSError, RuntimeError) as error:
        print(explain_shortage(error).what)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of files is one of Linux")
def test_a_full_disk_is_told_and_crashes_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "maps.h5")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["the file is larger than this disk allows"] * 5
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_replaced_only_if_it_is_such_a_file(
    drawn: DrawnPose, tmp_path: Path
) -> None:
    path = tmp_path / "maps.h5"
    for frames in ([1, 2, 3], [4]):
        write_heatmaps(drawn, frames, path, limbs=False, device="cpu")
    with h5py.File(path) as file:
        assert file["frames"][:].tolist() == [4]


@pytest.mark.parametrize("kind", ["pose", "tracks", "text", "cut off"])
def test_a_file_of_another_kind_stays_as_it_is(kind: str, drawn: DrawnPose, tmp_path: Path) -> None:
    path = tmp_path / "mouse 1.h5"
    if kind == "pose":
        write_pose(build_walk(), path)
    elif kind == "text":
        path.write_text("no HDF5")
    else:
        with h5py.File(path, "w") as file:
            file["tracks"] = np.zeros((100, 4))
        if kind == "cut off":
            path.write_bytes(path.read_bytes()[:1000])
    before = path.read_bytes()
    with pytest.raises(InputError, match="another file already"):
        write_heatmaps(drawn, [0], path, limbs=False, device="cpu")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_pose_without_limbs_has_no_maps_of_them(tmp_path: Path) -> None:
    skeleton = Skeleton(("nose",), (), (), 0, 0)
    pose = Pose(np.full((3, 1, 1, 2), 9.0), np.ones((3, 1, 1)), skeleton, ("a",), 32, 48, 25.0)
    drawn = DrawnPose(pose, DrawingConfig(view="arena", body_pixels=10.0), 32, 48)
    with pytest.raises(UsageError, match="(?s)no limbs.*--heatmaps keypoints"):
        write_heatmaps(drawn, [0], tmp_path / "maps.h5", limbs=True, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_maps_are_drawn_on_the_device_that_was_asked_for(
    drawn: DrawnPose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, devices = DrawnPose.read_heatmaps, []

    def note(self: DrawnPose, indices: Sequence[int], *, limbs: bool, device: str) -> Tensor:
        devices.append(device)
        assert read(self, indices, limbs=limbs, device=device).device.type == device
        return read(self, indices, limbs=limbs)

    monkeypatch.setattr(DrawnPose, "read_heatmaps", note)
    for limbs in (False, True):  # "meta" computes nothing, and refuses to mix devices
        write_heatmaps(drawn, [0], tmp_path / "maps.h5", limbs=limbs, device="meta")
    assert devices == ["meta", "meta"]
