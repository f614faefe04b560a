"""How the weights of a network lie in memory."""

from __future__ import annotations

import torch
from torch import nn

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def to_channels_last(network: nn.Module) -> None:
    """Put the channels of all kernels last, which convolutions read fastest; no value changes.

    For networks with two- and three-dimensional kernels side by side, which `Module.to` refuses.
    """
    for weight in network.parameters():
        if weight.ndim in CHANNELS_LAST:
            weight.data = weight.data.contiguous(memory_format=CHANNELS_LAST[weight.ndim])
