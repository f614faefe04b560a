"""Convolution along time for time-major tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class TimeConv(nn.Module):
    """Convolution that gives as many frames as it gets; frames outside count as zero.

    Args:
        in_channels: Channels per frame that come in.
        out_channels: Channels per frame that go out.
        kernel: Taps, an odd number.
        dilation: Frames between two taps.
        causal: The last tap lies on the frame itself, not the middle one.

    Attributes:
        reach: Frames that the farthest tap is away.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        dilation: int = 1,
        causal: bool = False,
    ) -> None:
        super().__init__()
        span = dilation * (kernel - 1)
        self.padding = (span, 0) if causal else (span // 2, span // 2)
        self.reach = self.padding[0]
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, dilation=dilation)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, in_channels) -> (B, T, out_channels)."""
        return self.conv(F.pad(frames.transpose(1, 2), self.padding)).transpose(1, 2)
