"""MS-TCN++: a first answer that sees near and far in every layer, then refinements as in MS-TCN.

Li et al., "MS-TCN++: Multi-Stage Temporal Convolutional Network for Action Segmentation", 2020.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pixelethogram.sequence.models.mstcn import (
    DilatedStack,
    Refining,
    RefiningSettings,
    build_refinements,
)
from pixelethogram.sequence.models.time_conv import TimeConv


class FirstAnswerSettings(RefiningSettings):
    """What the networks of this first answer have in common."""

    default_window_frames: ClassVar[int] = 2048

    num_first_layers: int = Field(default=11, ge=1)
    """Layers of the first answer; each has taps both near and up to 2 ** (this − 1) frames off."""


class MSTCN2Config(FirstAnswerSettings):
    """Settings of MS-TCN++; 925,972 parameters for 1024 features and 5 outputs."""

    paper: ClassVar[str] = "Li et al. 2020"

    name: Literal["mstcn2"] = "mstcn2"
    """Entry of the table of sequence models."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> Refining:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        first = build_first_answer(self, in_features, num_outputs, prior)
        return Refining(first, build_refinements(self, num_outputs, prior), exclusive)


def build_first_answer(
    settings: FirstAnswerSettings, in_features: int, num_outputs: int, prior: Tensor | None
) -> DilatedStack:
    """Stack from features to logits, near and far in every layer."""
    farthest = settings.num_first_layers - 1
    layers = [
        DualDilatedResidual(
            settings.hidden, (2**layer, 2 ** (farthest - layer)), settings.dropout, settings.causal
        )
        for layer in range(settings.num_first_layers)
    ]
    return DilatedStack(settings.hidden, in_features, layers, num_outputs, prior)


class DualDilatedResidual(nn.Module):
    """Two dilated convolutions side by side, linear layer, ReLU, dropout, added to the input."""

    def __init__(
        self, hidden: int, dilations: tuple[int, int], dropout: float, causal: bool
    ) -> None:
        super().__init__()
        convs = [
            TimeConv(hidden, hidden, 3, dilation=dilation, causal=causal) for dilation in dilations
        ]
        self.convs = nn.ModuleList(convs)
        self.mix = nn.Linear(2 * hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.reach = max(conv.reach for conv in convs)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        both = torch.cat([conv(frames) for conv in self.convs], dim=2)
        return frames + self.dropout(torch.relu(self.mix(both)))
