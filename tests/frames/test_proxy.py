"""Proxies hold the very pixels that prediction sees, and survive being killed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.frames import proxy
from pixelethogram.frames.proxy import ProxyFile, build_proxy, proxy_path
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.statistics import measure_colors
from pixelethogram.frames.video import VideoFile
from pixelethogram.progress import SilentProgress

SIZE = (24, 32)


class Recording:
    """Frames in memory; may break off at a frame."""

    def __init__(self, frames: np.ndarray, broken_at: int | None = None) -> None:
        self.frames, self.broken_at = frames, broken_at
        self.num_frames = len(frames)

    def iterate(self) -> Iterator[np.ndarray]:
        for number, frame in enumerate(self.frames):
            if number == self.broken_at:
                raise KeyboardInterrupt
            yield frame


@pytest.fixture(autouse=True, params=["raw", "magicyuv"])
def encoding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything holds for short recordings, kept as they are, and for long ones, encoded."""
    if request.param == "magicyuv":
        monkeypatch.setattr("pixelethogram.frames.proxy.RAW_LIMIT_BYTES", 0)
    return request.param


@pytest.fixture
def noise() -> np.ndarray:
    """57 frames that no encoding can guess."""
    return np.random.default_rng(0).integers(0, 256, (57, 30, 44, 3), np.uint8)


def _build(source: Any, path: Path, size: tuple[int, int] = SIZE) -> None:
    build_proxy(source, path, *size, "stretch", SilentProgress())


def _expected(frames: np.ndarray, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.stack([resize_frame(frame, *size, "stretch") for frame in frames])


@pytest.mark.parametrize("size", [SIZE, (1, 1), (17, 33), (30, 44), (64, 48)])
def test_frames_come_back_bit_by_bit(
    size: tuple[int, int], tmp_path: Path, noise: np.ndarray
) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path, size)
    proxy = ProxyFile(path)
    expected = _expected(noise, size)
    order = np.random.default_rng(1).integers(0, len(noise), 80).tolist()
    assert (proxy.num_frames, proxy.height, proxy.width) == (len(noise), *size)
    np.testing.assert_array_equal(proxy.read(range(len(noise))), expected)
    np.testing.assert_array_equal(proxy.read(order), expected[order])
    np.testing.assert_array_equal(proxy.read([0, 0, 0, 1]), expected[[0, 0, 0, 1]])


def test_training_pixels_equal_prediction_pixels(numbered_video: Path, tmp_path: Path) -> None:
    with VideoFile(numbered_video) as frames:
        _build(frames, tmp_path / "a.npz")
        seen = [resize_frame(frame, *SIZE, "stretch") for frame in frames.iterate()]
    np.testing.assert_array_equal(ProxyFile(tmp_path / "a.npz").read(range(40)), np.stack(seen))


def test_statistics_are_those_of_every_tenth_frame(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    expected = measure_colors(_expected(noise[::10]))
    found = ProxyFile(path).statistics
    assert found.num_frames == expected.num_frames == 6
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
    np.testing.assert_allclose(found.std, expected.std, atol=1e-12)


def test_progress_counts_frames(tmp_path: Path, noise: np.ndarray) -> None:
    class Counter(SilentProgress):
        total = 0

        def advance(self, units: int = 1, note: str = "") -> None:
            self.total += units

    counter = Counter()
    build_proxy(Recording(noise), tmp_path / "a.npz", *SIZE, "pad", counter)  # type: ignore[arg-type]
    assert counter.total == len(noise)


# ---- broken off ---------------------------------------------------------------------------------


@pytest.mark.parametrize("broken_at", [0, 1, 10, 33])
def test_an_unfinished_proxy_does_not_exist_and_is_finished_later(
    broken_at: int, tmp_path: Path, noise: np.ndarray
) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(KeyboardInterrupt):
        _build(Recording(noise, broken_at), path)
    assert not path.exists()
    with pytest.raises(InputError):
        ProxyFile(path)
    _build(Recording(noise), path)
    _check_finished(path, noise)


@pytest.mark.parametrize("kept", [0, 5, 80, 81, 500, 2000, 9999])
def test_a_half_written_frame_is_written_anew(kept: int, tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    path.unlink()
    data = path.with_suffix(".frames")
    data.write_bytes(data.read_bytes()[:kept])
    _build(Recording(noise), path)
    _check_finished(path, noise)


def test_garbage_behind_a_power_cut_is_written_anew(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    path.unlink()
    data = path.with_suffix(".frames")
    content = bytearray(data.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 700] = bytes(700)
    data.write_bytes(content)
    _build(Recording(noise), path)
    _check_finished(path, noise)


def test_whole_frames_are_not_made_twice(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(KeyboardInterrupt):
        _build(Recording(noise, 50), path)
    added = []
    original = proxy._append
    monkeypatch.setattr(
        proxy, "_append", lambda file, data: added.append(1) or original(file, data)
    )
    _build(Recording(noise), path)
    assert len(added) == 7
    _check_finished(path, noise)


def test_a_part_made_in_another_way_is_begun_anew(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(KeyboardInterrupt):
        _build(Recording(noise, 20), path, (16, 16))
    _build(Recording(noise), path)
    _check_finished(path, noise)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill like that")
def test_a_killed_process_leaves_something_to_go_on_from(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    np.save(tmp_path / "noise.npy", noise)
    program = """
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        from pixelethogram.frames import proxy
        from pixelethogram.progress import SilentProgress

        class Recording:
            num_frames = 57

            def iterate(self):
                for number, frame in enumerate(np.load(sys.argv[1])):
                    if number == 41:
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield frame

        proxy.RAW_LIMIT_BYTES = int(sys.argv[3])
        proxy.build_proxy(Recording(), Path(sys.argv[2]), 24, 32, "stretch", SilentProgress())
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "noise.npy")]
    limit = str(proxy.RAW_LIMIT_BYTES)
    done = subprocess.run([*command, str(path), limit], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert path.with_suffix(".frames").stat().st_size > 0
    _build(Recording(noise), path)
    _check_finished(path, noise)


def test_a_full_disk_leaves_no_proxy(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, encoded: bytes) -> tuple[int, int]:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.npz"
    monkeypatch.setattr(proxy, "_append", refuse)
    with pytest.raises(OSError, match="No space left"):
        _build(Recording(noise), path)
    assert not path.exists()
    monkeypatch.undo()
    _build(Recording(noise), path)
    _check_finished(path, noise)


def _check_finished(path: Path, frames: np.ndarray) -> None:
    proxy = ProxyFile(path)
    np.testing.assert_array_equal(proxy.read(range(len(frames))), _expected(frames))
    expected = measure_colors(_expected(frames[::10]))
    np.testing.assert_allclose(proxy.statistics.std, expected.std, atol=1e-12)
    assert sorted(entry.suffix for entry in path.parent.glob("a.*")) == [".frames", ".npz"]


# ---- reading ------------------------------------------------------------------------------------


def test_indices_outside_are_refused(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    for index in (len(noise), -1):
        with pytest.raises(IndexError, match="57 frames"):
            ProxyFile(path).read([index])


def test_missing_frames_are_an_input_error(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    data = path.with_suffix(".frames")
    data.write_bytes(data.read_bytes()[:-10])
    with pytest.raises(InputError, match="delete its folder"):
        ProxyFile(path)


def test_a_damaged_frame_is_an_input_error(
    tmp_path: Path, noise: np.ndarray, encoding: str
) -> None:
    if encoding == "raw":
        pytest.skip("any bytes are a picture")
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    data = path.with_suffix(".frames")
    content = bytearray(data.read_bytes())
    content[-3000:] = bytes(3000)
    data.write_bytes(content)
    with pytest.raises(InputError, match="frame 56 cannot be decoded"):
        ProxyFile(path).read([56])


def test_a_pickled_proxy_reads_on(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    proxy = ProxyFile(path)
    proxy.read([3])
    content = pickle.dumps(proxy)
    assert len(content) < 1000
    np.testing.assert_array_equal(pickle.loads(content).read([9, 4]), _expected(noise)[[9, 4]])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_reads_too(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    _build(Recording(noise), path)
    proxy = ProxyFile(path)
    proxy.read([3])
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = bool((proxy.read([9, 4]) == _expected(noise)[[9, 4]]).all())
        finally:
            os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(proxy.read([10]), _expected(noise)[[10]])


def test_each_size_and_fit_has_its_own_file(tmp_path: Path) -> None:
    paths = {
        proxy_path(tmp_path, height, 32, fit) for height in (24, 32) for fit in ("pad", "stretch")
    }
    assert len(paths) == 4


def test_a_still_recording_is_stored_small(
    tmp_path: Path, draw_number: Callable[..., np.ndarray], encoding: str
) -> None:
    if encoding == "raw":
        pytest.skip("short recordings are kept as they are")
    frames = np.stack([draw_number(7, 128, 128)] * 4)
    path = tmp_path / "a.npz"
    _build(Recording(frames), path, (128, 128))
    assert path.with_suffix(".frames").stat().st_size < frames.nbytes / 5
