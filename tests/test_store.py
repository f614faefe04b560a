"""Arrays on disk: whole or not there, of the right length, as they were written."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.store import ArrayReader, ArrayWriter, array_file


def write(path: Path, num_frames: int = 5, value: float = 1.0) -> None:
    with ArrayWriter(path, {"run": "abc"}) as writer:
        writer.append(features=np.full((num_frames, 3), value, np.float16))
        writer.finish()


@pytest.mark.parametrize("seed", range(10))
def test_appended_blocks_come_back_as_one_array(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(0, 400, size=generator.integers(1, 6))
    features = generator.random((sizes.sum(), 7)).astype(np.float16)
    logits = generator.random((sizes.sum(), 2)).astype(np.float32)
    path = tmp_path / "new" / "folder" / "run.h5"
    with ArrayWriter(path, {}) as writer:
        for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
            writer.append(features=features[stop - size : stop], logits=logits[stop - size : stop])
        writer.finish()
    start, stop = sorted(generator.integers(0, sizes.sum() + 1, 2).tolist())
    with ArrayReader(path, num_frames=int(sizes.sum())) as arrays:
        assert arrays.num_frames == sizes.sum()
        np.testing.assert_array_equal(arrays.read("features"), features, strict=True)
        np.testing.assert_array_equal(arrays.read("logits", start, stop), logits[start:stop])


def test_attributes_come_back(tmp_path: Path) -> None:
    about = {"run": "Küche", "frames": 12, "fps": 29.97, "behaviors": ["groom", "rear"]}
    with ArrayWriter(tmp_path / "a.h5", about) as writer:
        writer.append(features=np.zeros((1, 1), np.float16))
        writer.finish()
    with ArrayReader(tmp_path / "a.h5") as arrays:
        assert arrays.attribute("run") == "Küche"
        assert arrays.attribute("frames") == 12
        assert arrays.attribute("fps") == 29.97
        assert arrays.attribute("precision") is None
        assert json.loads(arrays.attribute("behaviors")) == ["groom", "rear"]


def test_there_is_no_file_before_finish(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "a.h5", {}) as writer:
        writer.append(features=np.zeros((1, 1), np.float16))
        assert not (tmp_path / "a.h5").exists()
        writer.finish()
        assert (tmp_path / "a.h5").exists()


def test_nothing_is_left_when_closing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: h5py.File) -> None:
        really_close(file)
        raise OSError(errno.ENOSPC, "No space left on device")

    really_close = h5py.File.close
    with pytest.raises(OSError, match="No space"), ArrayWriter(tmp_path / "a.h5", {}) as writer:
        writer.append(features=np.zeros((1, 1), np.float16))
        monkeypatch.setattr(h5py.File, "close", refuse)
        writer.finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), ArrayWriter(tmp_path / "a.h5", {}) as writer:
        writer.append(features=np.zeros((300, 4), np.float16))
        raise error
    assert list(tmp_path.iterdir()) == []


def test_attributes_that_cannot_be_kept_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        ArrayWriter(tmp_path / "a.h5", {"run": object()})
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_finished_file_of_before(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", value=1)
    with pytest.raises(ValueError, match="later"), ArrayWriter(tmp_path / "a.h5", {}) as writer:
        writer.append(features=np.zeros((2, 3), np.float16))
        raise ValueError("later")
    with ArrayReader(tmp_path / "a.h5", num_frames=5) as arrays:
        assert (arrays.read("features") == 1).all()


def test_what_a_kill_leaves_is_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", num_frames=600, value=1)
    left = (tmp_path / "a.h5").rename(tmp_path / ".a.h5.partial")
    left.write_bytes(left.read_bytes()[:-100])
    write(tmp_path / "a.h5", num_frames=4, value=2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    with ArrayReader(tmp_path / "a.h5", num_frames=4) as arrays:
        np.testing.assert_array_equal(arrays.read("features"), np.full((4, 3), 2, np.float16))


@pytest.mark.parametrize("num_frames", [4, 6])
def test_another_number_of_frames_than_the_video_is_refused(
    tmp_path: Path, num_frames: int
) -> None:
    write(tmp_path / "a.h5", num_frames=5)
    with pytest.raises(InputError, match=f"features has 5 frames, the video has {num_frames}"):
        ArrayReader(tmp_path / "a.h5", num_frames=num_frames)


def test_arrays_of_unequal_length_are_refused(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "a.h5", {}) as writer:
        writer.append(features=np.zeros((5, 3)), logits=np.zeros((4, 3)))
        writer.finish()
    with pytest.raises(InputError, match="logits has 4 frames, the video has 5"):
        ArrayReader(tmp_path / "a.h5", num_frames=5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_damaged_file_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.h5"
    write(path, num_frames=1000)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"a\.h5 is damaged") as caught:
        ArrayReader(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.h5 is not there"):
        ArrayReader(tmp_path / "a.h5")


def test_a_file_that_was_not_finished_is_refused_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((5, 3))
    with pytest.raises(InputError, match="not complete") as caught:
        ArrayReader(path)
    with h5py.File(path, "a") as file:  # would fail were the file still open for reading
        file.attrs["complete"] = True
    assert caught.value.where == path
    with ArrayReader(path, num_frames=5) as arrays:
        assert arrays.num_frames == 5


def test_each_run_of_a_stage_has_its_own_file(tmp_path: Path) -> None:
    assert array_file(tmp_path, "features", "a") == tmp_path / "features" / "a.h5"
