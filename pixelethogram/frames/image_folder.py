"""ImageFolder: numbered pictures as a recording."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.frames.closing import ClosesItself

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
DEFAULT_FPS = 30.0


class ImageFolder(ClosesItself):
    """Pictures of one folder, in the natural order of their names (2 before 10).

    Gaps in the numbering are no frames; files whose name begins with a dot are left alone.

    Args:
        path: Folder; hidden files and those with other suffixes are left alone.
        fps: Frames per second; pictures do not state it.

    Raises:
        InputError: No picture in the folder.
    """

    def __init__(self, path: Path, fps: float = DEFAULT_FPS) -> None:
        self.path, self.fps = path, fps
        self._files = sorted(
            (entry for entry in path.iterdir() if _is_picture(entry)),
            key=lambda entry: (_natural_key(entry.name), entry.name),
        )
        if not self._files:
            raise InputError(
                "there is no picture in this folder",
                where=path,
                do=f"give a folder with {', '.join(sorted(IMAGE_SUFFIXES))} files",
            )
        self.height, self.width = _read_image(self._files[0]).shape[:2]

    @property
    def num_frames(self) -> int:
        """Number of pictures."""
        return len(self._files)

    def scan(self) -> None:
        """Read every picture once, so that a damaged or odd one is found now."""
        for _ in self.iterate():
            pass

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, H, W, 3) uint8 in the order asked for."""
        return np.stack([self._read_one(self._files[index]) for index in indices])

    def iterate(self) -> Iterator[np.ndarray]:
        """All frames in order."""
        for file in self._files:
            yield self._read_one(file)

    def close(self) -> None:
        """Nothing is held open."""

    def _read_one(self, file: Path) -> np.ndarray:
        image = _read_image(file)
        if image.shape != (self.height, self.width, 3):
            raise InputError(
                f"{file.name} is {image.shape[1]} x {image.shape[0]} pixels, "
                f"the first picture is {self.width} x {self.height}",
                where=file,
                do="keep pictures of one size in a folder",
            )
        return image


def _is_picture(entry: Path) -> bool:
    return entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")


def _read_image(file: Path) -> np.ndarray:
    content = np.fromfile(file, np.uint8)  # cv2.imread cannot open every file name
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise InputError("this picture cannot be read", where=file, do="replace or remove it")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _natural_key(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
