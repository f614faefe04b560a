"""pose.h5: all comes back; damaged and foreign files are refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import is_pose_file, read_pose, write_pose
from pixelethogram.pose.skeleton import Skeleton


@pytest.fixture
def pose() -> Pose:
    random = np.random.default_rng(0)
    positions = random.uniform(0, 100, (7, 2, 3, 2))
    positions[2, 1, 0] = np.nan
    skeleton = Skeleton(("naïve nose", "neck", "tail"), ((0, 1), (1, 2)), (0, 1, 2), 0, 2)
    names = ("résident", "intruder")
    return Pose(positions, random.uniform(0, 1, (7, 2, 3)), skeleton, names, 100, 120, 29.97)


def test_all_comes_back(pose: Pose, tmp_path: Path) -> None:
    write_pose(pose, tmp_path / "pose.h5")
    back = read_pose(tmp_path / "pose.h5")
    np.testing.assert_array_equal(back.positions, pose.positions)
    np.testing.assert_array_equal(back.confidence, pose.confidence)
    for name in ("skeleton", "individuals", "height", "width", "fps"):
        assert getattr(back, name) == getattr(pose, name)
    assert is_pose_file(tmp_path / "pose.h5")


def test_what_is_not_a_pose_is_refused(pose: Pose, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["positions"] = np.zeros(3)
    (tmp_path / "text.h5").write_text("not HDF5")
    write_pose(pose, tmp_path / "cut.h5")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "cut.h5").read_bytes()[:900])
    for name, message in (
        ("other.h5", "not a pose file"),
        ("text.h5", "damaged"),
        ("cut.h5", "damaged"),
        ("none.h5", "no pose here"),
    ):
        with pytest.raises(InputError, match=message):
            read_pose(tmp_path / name)
        assert not (name in ("other.h5", "text.h5", "none.h5") and is_pose_file(tmp_path / name))
