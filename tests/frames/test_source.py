"""One door to every kind of recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.frames.source import (
    find_recordings,
    hash_recording,
    is_recording,
    open_frames,
)
from pixelethogram.frames.video import VideoFile

NUM_FRAMES = 6


@pytest.fixture(params=["video", "images", "movie"])
def recording(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    write_video: Callable[..., Path],
    draw_number: Callable[..., np.ndarray],
) -> Path:
    """The same six frames in every form."""
    pictures = np.stack([draw_number(number) for number in range(NUM_FRAMES)])
    if request.param == "video":
        return write_video(tmp_path / "a.mp4", list(pictures))
    if request.param == "images":
        (tmp_path / "a").mkdir()
        for number, picture in enumerate(pictures):
            cv2.imwrite(str(tmp_path / "a" / f"{number}.png"), picture)
        return tmp_path / "a"
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["movie"] = pictures
    return tmp_path / "a.h5"


def test_every_kind_keeps_the_contract(
    recording: Path, number_of: Callable[[np.ndarray], int]
) -> None:
    assert is_recording(recording)
    with open_frames(recording) as frames:
        table = frames.scan()
        assert table is None or table.num_frames == NUM_FRAMES
        assert frames.num_frames == NUM_FRAMES
        assert (frames.height, frames.width, frames.fps) == (48, 64, 30.0)
        order = [4, 0, 5, 4]
        chosen = frames.read(order)
        assert chosen.shape == (4, 48, 64, 3)
        assert chosen.dtype == np.uint8
        assert [number_of(frame) for frame in chosen] == order
        assert [number_of(frame) for frame in frames.iterate()] == list(range(NUM_FRAMES))
        assert [number_of(frame) for frame in frames.iterate()] == list(range(NUM_FRAMES))
    frames.close()


def test_a_table_reaches_the_video(numbered_video: Path) -> None:
    table = VideoFile(numbered_video).scan()
    with open_frames(numbered_video, table) as frames:
        assert frames.num_frames == table.num_frames


@pytest.mark.parametrize("name", ["missing.mp4", "empty.mp4", "empty folder", "labels.csv"])
def test_what_holds_no_frames_is_an_input_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "empty folder":
        path.mkdir()
    elif name != "missing.mp4":
        path.write_bytes(b"frame,groom\n0,1\n" if name == "labels.csv" else b"")
    with pytest.raises(InputError) as caught:
        open_frames(path)
    assert name in str(caught.value)
    assert caught.value.do


def test_odd_file_names_open(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    folder = tmp_path / "día 1 %03d"
    folder.mkdir()
    path = write_video(folder / "plain.mp4").rename(folder / "mouse: 1 [a] #2.mp4")
    with open_frames(path) as frames:
        assert frames.num_frames == 40


def test_recordings_are_found_in_folders(
    tmp_path: Path, write_video: Callable[..., Path], draw_number: Callable[..., np.ndarray]
) -> None:
    (tmp_path / "day 2").mkdir()
    (tmp_path / ".hidden").mkdir()
    video = [draw_number(0)]
    inner = write_video(tmp_path / "day 2" / "b.avi", video, codec="mpeg4")
    outer = write_video(tmp_path / "a.mp4", video)
    write_video(tmp_path / ".hidden" / "c.mp4", video)
    (tmp_path / "notes.txt").write_text("no video", encoding="utf-8")
    assert find_recordings([tmp_path]) == [(outer, Path()), (inner, Path("day 2"))]
    assert find_recordings([inner]) == [(inner, Path())]


@pytest.mark.parametrize("name", ["missing", "."])
def test_finding_nothing_is_an_input_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        find_recordings([tmp_path / name])


def test_the_fingerprint_of_a_folder_is_that_of_its_pictures(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"x" * number)
    before = hash_recording(tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"from a Mac")
    (tmp_path / "notes.txt").write_text("fine mouse")
    assert hash_recording(tmp_path) == before
    (tmp_path / "3.png").write_bytes(b"x")
    assert hash_recording(tmp_path) != before


@pytest.mark.parametrize("position", [0, 1 << 20, (3 << 20) - 1])
def test_the_fingerprint_of_a_file_sees_its_size_and_both_ends(
    tmp_path: Path, position: int
) -> None:
    content = bytearray(3 << 20)
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    before = hash_recording(path)
    content[position] = 1
    path.write_bytes(content)
    assert (hash_recording(path) != before) == (position != 1 << 20)
    path.write_bytes(bytes(3 << 20) + b"\0")
    assert hash_recording(path) != before
