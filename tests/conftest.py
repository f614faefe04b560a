"""Fixtures shared by all tests."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of reference vectors beside the checkout; tests that need it skip elsewhere."""
    folder = SHARED / "golden"
    if not folder.is_dir():
        pytest.skip(f"reference vectors are not here ({folder})")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings beside the checkout; tests that need it skip elsewhere."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here ({folder})")
    return folder


@pytest.fixture(scope="session")
def fill_golden_weights() -> Callable[..., dict[str, torch.Tensor]]:
    """The rule that made the weights of the reference networks, as a function.

    ``fill(shapes, aliases=None)``: `shapes` maps the *reference* state-dict names to shapes and the
    result maps the same names to tensors; `aliases` maps a name to the one its values are drawn by.
    """
    import torch

    def fill(
        shapes: Mapping[str, Sequence[int]], aliases: Mapping[str, str] | None = None
    ) -> dict[str, torch.Tensor]:
        drawn = {
            name: _golden_values((aliases or {}).get(name, name), tuple(shape))
            for name, shape in shapes.items()
        }
        return {name: torch.from_numpy(np.asarray(values)) for name, values in drawn.items()}

    return fill


def _golden_values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor of the rule: the draw depends on the name and the shape only."""
    random = np.random.RandomState(zlib.crc32(name.encode("utf-8")) & 0xFFFFFFFF)  # noqa: NPY002
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    if last == "running_var":
        values = 0.5 + random.rand(*shape)
    elif last == "running_mean":
        values = 0.1 * random.randn(*shape)
    elif last in {"center", "delta", "gamma"}:
        values = 0.5 * random.randn(*shape)
    elif len(shape) == 1:
        values = 0.05 * random.randn(*shape) if last == "bias" else 1.0 + 0.1 * random.randn(*shape)
    else:
        values = random.randn(*shape) * np.sqrt(1.6 / np.prod(shape[1:]))
    return np.asarray(values).astype(np.float32)
