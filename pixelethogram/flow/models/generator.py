"""FlowGenerator: a flow network together with the colors it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MIN_STD = 1e-3


class FlowGenerator(nn.Module):
    """Z-scores clips and runs the flow network on them.

    Args:
        network: Any network of the flow stage.
        mean: Mean of red, green, blue over the training videos, in [0, 1].
        std: Their standard deviations; smaller ones than 0.001 count as 0.001.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).clamp(min=MIN_STD))

    def forward(self, clips: Tensor) -> list[Tensor]:
        """Flows of clips (B, 3, L, H, W) in [0, 1], finest first, each (B, 2, L-1, h, w)."""
        shape = (1, 3, 1, 1, 1)
        return self.network((clips - self.mean.view(shape)) / self.std.view(shape))
