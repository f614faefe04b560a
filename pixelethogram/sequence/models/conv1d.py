"""Convolution, batch normalisation, ReLU, convolution: the smallest non-linear temporal model.

One of the reference networks of the CalMS21 behaviour data set (Sun et al. 2021) in its least form.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pixelethogram.sequence.models.masked_norm import MaskedBatchNorm
from pixelethogram.sequence.models.output import start_around
from pixelethogram.sequence.models.time_conv import TimeConv


class Conv1dConfig(BaseModel):
    """Settings of the two convolutions; together they see 9 frames."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    default_smoothness: ClassVar[float] = 0.0
    default_window_frames: ClassVar[int] = 180
    paper: ClassVar[str] = "Sun et al. 2021 (CalMS21)"

    name: Literal["conv1d"] = "conv1d"
    """Entry of the table of sequence models."""
    width: int = Field(default=64, ge=1)
    """Channels between the two convolutions."""
    causal: bool = False
    """See the frame and those before it only, as a live system does."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> Conv1d:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        return Conv1d(self, in_features, num_outputs, prior)


class Conv1d(nn.Module):
    """7 taps to the hidden channels, 3 taps to the logits."""

    def __init__(
        self, config: Conv1dConfig, in_features: int, num_outputs: int, prior: Tensor | None
    ) -> None:
        super().__init__()
        self.first = TimeConv(in_features, config.width, 7, causal=config.causal)
        self.norm = MaskedBatchNorm(config.width)
        self.second = TimeConv(config.width, num_outputs, 3, causal=config.causal)
        self.receptive_radius: int | None = self.first.reach + self.second.reach
        start_around(self.second.conv, prior)

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> [(B, T, O) logits]."""
        padding = ~mask[..., None]
        hidden = self.norm(self.first(features.masked_fill(padding, 0.0)), mask)
        return [self.second(torch.relu(hidden).masked_fill(padding, 0.0))]
