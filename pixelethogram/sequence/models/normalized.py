"""Wrapper of every sequence network: raw cached features in, z-scored features to the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

STD_FLOOR = 1e-3
LIMIT = 8.0  # standard deviations; a single wild feature must not drown the others


class NormalizedSequence(nn.Module):
    """Sequence network that owns the statistics of the features it was trained on.

    Args:
        network: Sequence network for z-scored features.
        mean: (D,) mean of the training features.
        std: (D,) standard deviation of the training features; raised to at least 1e-3.
        raters: Whose answers stand side by side in the network's; one or none: nobody's.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, mean: Tensor, std: Tensor, raters: Sequence[str] = ()
    ) -> None:
        super().__init__()
        if mean.shape != std.shape or mean.ndim != 1:
            raise ValueError(f"mean and std must be (D,), not {(*mean.shape,)} and {(*std.shape,)}")
        self.network = network
        self.raters = tuple(raters)
        self.receptive_radius = cast("int | None", network.receptive_radius)
        self.register_buffer("mean", mean.detach().float().clone())
        self.register_buffer("std", std.detach().float().clamp_min(STD_FLOOR))

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) raw features and (B, T) mask, True for real frames -> list of (B, T, O)."""
        normalized = ((features - self.mean) / self.std).clamp(-LIMIT, LIMIT)
        return self.network(normalized, mask)
