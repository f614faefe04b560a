"""Multi-stage temporal convolutional network (MS-TCN): one answer, then refinements of it.

Farha & Gall, "MS-TCN: Multi-Stage Temporal Convolutional Network for Action Segmentation", 2019.
Every answer comes from residual layers whose dilation doubles, so that ten of them see 2,047
frames; a refinement gets nothing but the probabilities of the answer before it. All answers are
supervised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pixelethogram.sequence.models.output import build_output, to_answer
from pixelethogram.sequence.models.time_conv import TimeConv


class RefiningSettings(BaseModel):
    """What all networks of answers and refinements have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    default_smoothness: ClassVar[float] = 0.15

    name: str
    """Entry of the table of sequence models."""
    hidden: int = Field(default=64, ge=1)
    """Channels of every layer."""
    num_layers: int = Field(default=10, ge=1)
    """Layers per refinement; the last one has taps 2 ** (num_layers − 1) frames apart."""
    num_refinements: int = Field(default=3, ge=0)
    """Answers after the first one."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Chance that a channel of a frame is dropped in a residual layer."""
    causal: bool = False
    """See the frame and those before it only, as a live system does."""


class MSTCNConfig(RefiningSettings):
    """Settings of MS-TCN; 728,532 parameters for 1024 features and 5 outputs."""

    default_window_frames: ClassVar[int] = 1024
    paper: ClassVar[str] = "Farha & Gall 2019"

    name: Literal["mstcn"] = "mstcn"
    """Entry of the table of sequence models."""
    num_layers: int = Field(default=10, ge=1)
    """Layers per answer; the last one has taps 2 ** (num_layers − 1) frames apart."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> Refining:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        refinements = build_refinements(self, num_outputs, prior)
        first = DilatedStack(self.hidden, in_features, build_layers(self), num_outputs, prior)
        return Refining(first, refinements, exclusive)


def build_refinements(
    settings: RefiningSettings, num_outputs: int, prior: Tensor | None
) -> list[DilatedStack]:
    """Stacks from the probabilities of one answer to the logits of the next."""
    return [
        DilatedStack(settings.hidden, num_outputs, build_layers(settings), num_outputs, prior)
        for _ in range(settings.num_refinements)
    ]


def build_layers(settings: RefiningSettings) -> list[nn.Module]:
    """Residual layers whose dilation doubles."""
    return [
        DilatedResidual(settings.hidden, 2**layer, settings.dropout, settings.causal)
        for layer in range(settings.num_layers)
    ]


class DilatedResidual(nn.Module):
    """Dilated convolution of 3 taps, ReLU, linear layer, dropout, added to what came in."""

    def __init__(self, hidden: int, dilation: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.conv = TimeConv(hidden, hidden, 3, dilation=dilation, causal=causal)
        self.mix = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.reach = self.conv.reach

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        return frames + self.dropout(self.mix(torch.relu(self.conv(frames))))


class DilatedStack(nn.Module):
    """Linear layer to the hidden channels, residual layers, linear layer to the logits.

    Args:
        hidden: Channels C of the layers.
        in_channels: Channels per frame that come in.
        layers: Modules (B, T, C) -> (B, T, C) with `reach`, the frames that each looks away.
        num_outputs: Logits per frame.
        prior: (num_outputs,) what the logits start around.
    """

    def __init__(
        self,
        hidden: int,
        in_channels: int,
        layers: Sequence[nn.Module],
        num_outputs: int,
        prior: Tensor | None,
    ) -> None:
        super().__init__()
        self.input = nn.Linear(in_channels, hidden)
        self.layers = nn.ModuleList(layers)
        self.output = build_output(hidden, num_outputs, prior)
        self.reach = sum(cast("int", layer.reach) for layer in layers)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(B, T, in_channels) with mask (B, T) -> (B, T, O) logits."""
        padding = ~mask[..., None]
        hidden = self.input(frames).masked_fill(padding, 0.0)
        for layer in self.layers:
            hidden = layer(hidden).masked_fill(padding, 0.0)
        return self.output(hidden)


class Refining(nn.Module):
    """A first answer and refinements of it.

    Args:
        first: Features to logits.
        refinements: Probabilities to logits, in turn.
        exclusive: The probabilities of a frame are a softmax; else a sigmoid each.
    """

    def __init__(
        self, first: DilatedStack, refinements: Sequence[DilatedStack], exclusive: bool
    ) -> None:
        super().__init__()
        self.first = first
        self.refinements = nn.ModuleList(refinements)
        self.exclusive = exclusive
        self.receptive_radius: int | None = sum(each.reach for each in [first, *refinements])

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> (B, T, O) of each answer."""
        answers = [self.first(features.masked_fill(~mask[..., None], 0.0), mask)]
        for refinement in self.refinements:
            answers.append(refinement(to_answer(answers[-1], self.exclusive), mask))
        return answers
