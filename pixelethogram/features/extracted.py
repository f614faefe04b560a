"""What became of a recording whose features were asked for, from pixels or from keypoints."""

from __future__ import annotations

import dataclasses

from pixelethogram.errors import InputError, UsageError


@dataclasses.dataclass(frozen=True)
class Extracted:
    """An order that was carried out, or could not be."""

    name: str
    """What it was called in the order."""
    num_frames: int
    fps: float
    error: InputError | UsageError | None
    """Why there is no file."""
