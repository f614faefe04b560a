"""Folders of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.frames.image_folder import ImageFolder

Draw = Callable[..., np.ndarray]
NumberOf = Callable[[np.ndarray], int]


def _save(path: Path, picture: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(path.suffix, picture[..., ::-1])[1].tobytes())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_pictures_are_frames_in_natural_order_whatever_the_gaps(
    suffix: str, tmp_path: Path, draw_number: Draw, number_of: NumberOf
) -> None:
    numbers = [1, 2, 9, 10, 11, 100, 2000]
    for number in numbers:
        _save(tmp_path / f"Frame {number}é{suffix}", draw_number(number))
    (tmp_path / "notes.txt").write_text("no frame", encoding="utf-8")
    (tmp_path / f"._Frame 3{suffix}").write_bytes(b"no picture")
    with ImageFolder(tmp_path) as frames:
        assert frames.num_frames == len(numbers)
        assert (frames.height, frames.width, frames.fps) == (48, 64, 30.0)
        assert [number_of(frame) for frame in frames.iterate()] == numbers
        order = [6, 0, 3, 3, 1]
        assert [number_of(frame) for frame in frames.read(order)] == [2000, 1, 10, 10, 2]


def test_colors_are_red_green_blue_and_gray_has_three_channels(tmp_path: Path) -> None:
    picture = np.full((8, 8, 3), (200, 100, 0), np.uint8)
    _save(tmp_path / "0.png", picture)
    _save(tmp_path / "1.png", np.full((8, 8, 1), 77, np.uint8))
    frames = ImageFolder(tmp_path, fps=12.5).read([0, 1])
    np.testing.assert_array_equal(frames[0], picture)
    assert (frames[1] == 77).all()
    assert ImageFolder(tmp_path, fps=12.5).fps == 12.5


def test_scanning_names_the_picture_of_another_size(tmp_path: Path, draw_number: Draw) -> None:
    for number in range(3):
        _save(tmp_path / f"{number}.png", draw_number(number))
    _save(tmp_path / "3.png", draw_number(3, 50, 64))
    with pytest.raises(InputError, match=r"3\.png is 64 x 50 pixels, .* 64 x 48"):
        ImageFolder(tmp_path).scan()


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_picture_is_named(content: bytes, tmp_path: Path, draw_number: Draw) -> None:
    _save(tmp_path / "0.png", draw_number(0))
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(InputError, match=r"1\.png"):
        ImageFolder(tmp_path).scan()


def test_a_folder_without_pictures_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no frame", encoding="utf-8")
    with pytest.raises(InputError, match="no picture"):
        ImageFolder(tmp_path)
