"""HDF5 movies."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.frames import movie
from pixelethogram.frames.movie import Hdf5Movie


@pytest.fixture
def frames() -> np.ndarray:
    """23 frames of noise."""
    return np.random.default_rng(0).integers(0, 256, (23, 6, 9, 3), np.uint8)


def _write(path: Path, **datasets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return path


@pytest.mark.parametrize("block_bytes", [1, 500, 1 << 24])
@pytest.mark.parametrize("chunks", [None, True, (5, 6, 9, 3)])
def test_frames_are_found_in_any_order(
    block_bytes: int,
    chunks: object,
    tmp_path: Path,
    frames: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(movie, "BLOCK_BYTES", block_bytes)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("deep/movie", data=frames, chunks=chunks)
        file["times"] = np.arange(23)
    with Hdf5Movie(tmp_path / "a.h5") as source:
        assert (source.num_frames, source.height, source.width) == (23, 6, 9)
        np.testing.assert_array_equal(np.stack(list(source.iterate())), frames)
        order = [5, 22, 0, 5, 4]
        np.testing.assert_array_equal(source.read(order), frames[order])


@pytest.mark.parametrize("axes", [3, 4])
def test_gray_movies_become_rgb(axes: int, tmp_path: Path, frames: np.ndarray) -> None:
    gray = frames[..., 0] if axes == 3 else frames[..., :1]
    with Hdf5Movie(_write(tmp_path / "a.h5", movie=gray)) as source:
        shown = source.read([3, 1])
        assert shown.shape == (2, 6, 9, 3)
        np.testing.assert_array_equal(shown, np.repeat(frames[[3, 1]][..., :1], 3, axis=3))
        np.testing.assert_array_equal(next(source.iterate()), shown[0] * 0 + frames[0][..., :1])


def test_the_rate_is_an_attribute_or_thirty(tmp_path: Path, frames: np.ndarray) -> None:
    path = _write(tmp_path / "a.h5", movie=frames)
    for stated, expected in ((None, 30.0), (120.0, 120.0), (float("nan"), 30.0), (0.0, 30.0)):
        with h5py.File(path, "a") as file:
            if stated is not None:
                file["movie"].attrs["fps"] = stated
        with Hdf5Movie(path) as source:
            assert source.fps == expected


def test_two_movies_are_listed(tmp_path: Path, frames: np.ndarray) -> None:
    path = _write(tmp_path / "a.h5", left=frames, right__inner=frames)
    with pytest.raises(InputError, match="/left, /right/inner"):
        Hdf5Movie(path)


def test_no_movie_is_an_input_error(tmp_path: Path, frames: np.ndarray) -> None:
    path = _write(tmp_path / "a.h5", floats=frames.astype(float), flat=frames[0, 0])
    with pytest.raises(InputError, match="found none"):
        Hdf5Movie(path)


def test_what_is_no_hdf5_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"a\.h5"):
        Hdf5Movie(tmp_path / "a.h5")
