"""Columns: numbers that describe every frame, each with a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Columns:
    """One row per frame.

    Attributes:
        values: (T, D) float32; NaN where a point that it takes is missing.
        names: D texts, all different.
    """

    values: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise ValueError(f"{len(self.names)} names for values of shape {self.values.shape}")
        if len(set(self.names)) != len(self.names):
            raise ValueError("two columns have the same name")
        object.__setattr__(self, "values", self.values.astype(np.float32, copy=False))


def join(parts: Sequence[Columns]) -> Columns:
    """All columns side by side, in order."""
    return Columns(
        np.concatenate([part.values for part in parts], axis=1),
        tuple(name for part in parts for name in part.names),
    )


def with_prefix(columns: Columns, prefix: str) -> Columns:
    """The same values under longer names."""
    return Columns(columns.values, tuple(f"{prefix}{name}" for name in columns.names))
