"""pose.h5: all comes back; damaged and foreign files are refused."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import (
    hash_pose,
    is_pose_file,
    read_pose,
    read_pose_hash,
    write_pose,
)
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


def test_guessed_edges_stay_guesses(pose: Pose, tmp_path: Path) -> None:
    skeleton = dataclasses.replace(pose.skeleton, guessed_edges=True)
    write_pose(dataclasses.replace(pose, skeleton=skeleton), tmp_path / "pose.h5")
    assert read_pose(tmp_path / "pose.h5").skeleton == skeleton


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


def test_the_hash_sees_every_part_of_a_pose(pose: Pose, tmp_path: Path) -> None:
    write_pose(pose, tmp_path / "pose.h5")
    assert read_pose_hash(tmp_path / "pose.h5") == hash_pose(pose)
    assert hash_pose(read_pose(tmp_path / "pose.h5")) == hash_pose(pose)
    others = [
        dataclasses.replace(pose, positions=pose.positions + 1),
        dataclasses.replace(pose, confidence=pose.confidence / 2),
        dataclasses.replace(pose, skeleton=dataclasses.replace(pose.skeleton, edges=())),
        dataclasses.replace(pose, skeleton=dataclasses.replace(pose.skeleton, guessed_edges=True)),
        dataclasses.replace(pose, individuals=("a", "b")),
        dataclasses.replace(pose, fps=30.0),
    ]
    assert len({hash_pose(each) for each in [pose, *others]}) == 7
