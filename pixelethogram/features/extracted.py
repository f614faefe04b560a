"""What became of a recording whose features were asked for, from pixels or from keypoints."""

from __future__ import annotations

import dataclasses

from pixelethogram.errors import InputError, UsageError


@dataclasses.dataclass(frozen=True)
class Format:
    """Size in pixels and rate of a recording, as it came."""

    height: int
    width: int
    fps: float


NOTHING = Format(0, 0, 0.0)  # of a recording that could not be read


@dataclasses.dataclass(frozen=True)
class Extracted:
    """An order that was carried out, or could not be."""

    name: str
    """What it was called in the order."""
    num_frames: int
    format: Format
    error: InputError | UsageError | None
    """Why there is no file."""

    def check(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error
