"""Files of any kind can be looked into; a damaged one is an InputError once it is read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.frames.pose_files import holds_pose
from pixelethogram.pose.hdf5_files import look_into, open_to_read
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import is_pose_file, write_pose
from pixelethogram.pose.readers import READERS
from pixelethogram.pose.skeleton import Skeleton


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A pose file."""
    positions = np.random.default_rng(0).uniform(0, 9, (500, 1, 2, 2))
    pose = Pose(positions, np.ones((500, 1, 2)), Skeleton(("a", "b")), ("x",), 10, 10, 30.0)
    write_pose(pose, tmp_path / "whole.h5")
    return tmp_path / "whole.h5"


def test_what_is_there_is_found(whole: Path) -> None:
    assert look_into(whole, lambda file: "positions" in file) is True
    assert look_into(whole, lambda file: "tracks" in file) is False
    with open_to_read(whole) as file:
        assert file["positions"].shape == (500, 1, 2, 2)


@pytest.mark.parametrize("size", [0, 8, 100, 700, 2000, -1])
def test_no_cut_stops_anybody_who_only_looks(whole: Path, size: int) -> None:
    cut = whole.with_name("cut.h5")
    cut.write_bytes(whole.read_bytes()[:size])
    for suffix in (".h5", ".slp"):
        path = cut.rename(cut.with_suffix(suffix)) if suffix != cut.suffix else cut
        assert look_into(path, lambda file: True) is None
        assert not is_pose_file(path)
        assert not holds_pose(path)
        assert [name for name, reader in READERS.items() if reader.can_read(path)] == []
        cut = path
    with pytest.raises(InputError, match="damaged"), open_to_read(cut):
        pass


def test_what_is_no_file_holds_nothing(tmp_path: Path) -> None:
    assert look_into(tmp_path, lambda file: True) is None
    assert look_into(tmp_path / "none.h5", lambda file: True) is None


def test_a_part_that_is_not_there_is_an_input_error(whole: Path) -> None:
    assert look_into(whole, lambda file: file["tracks"][()]) is None
    with pytest.raises(InputError, match="lacks a part"), open_to_read(whole) as file:
        file["tracks"]


def test_errors_of_others_pass_as_they_are(whole: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_to_read(whole):
        1 / 0  # noqa: B018
    with pytest.raises(InputError, match="mine"), open_to_read(whole):
        raise InputError("mine")


def test_attributes_that_are_cut_off_are_no_trouble(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tracks"] = np.zeros(4)
    assert look_into(tmp_path / "a.h5", lambda file: file["tracks"].attrs["json"]) is None
