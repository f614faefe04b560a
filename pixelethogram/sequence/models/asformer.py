"""ASFormer: attention whose window doubles from layer to layer, as an encoder and decoders.

Yi et al., "ASFormer: Transformer for Action Segmentation", 2021. A layer is a dilated convolution
followed by attention to about as many frames as the convolution spans. The encoder gives a first
answer. Each decoder refines the one before: it decides by that answer and by the encoder's channels
where to look (queries and keys), and takes from the answer what it finds there (values). Attention
is weighed by e^(−3 s) in decoder s, so that late decoders change less.

The attention gets channels that are normalised over the whole window, so a video is predicted in
one pass. What that holds in memory grows linearly with the number of frames T, never with T x T:
the widest layer compares each frame with 2 ** num_layers frames. With 10 layers that is 22 kB per
frame on a CPU, 1.2 GB for 54,000 frames, beside the features.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pixelethogram.sequence.models.local_attention import attend_locally
from pixelethogram.sequence.models.masked_norm import normalize_over_time
from pixelethogram.sequence.models.output import build_output, to_answer
from pixelethogram.sequence.models.time_conv import TimeConv


class ASFormerConfig(BaseModel):
    """Settings of ASFormer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    default_smoothness: ClassVar[float] = 0.15
    default_window_frames: ClassVar[int] = 1024
    paper: ClassVar[str] = "Yi et al. 2021"

    name: Literal["asformer"] = "asformer"
    """Entry of the table of sequence models."""
    hidden: int = Field(default=64, ge=2)
    """Channels of every layer; queries and keys have half of them."""
    num_layers: int = Field(default=10, ge=1)
    """Layers of the encoder and of each decoder; the last one attends to 2 ** (this − 1) frames."""
    num_decoders: int = Field(default=3, ge=0)
    """Refinements after the encoder's answer."""
    channel_dropout: float = Field(default=0.3, ge=0, lt=1)
    """Chance that a feature dimension is dropped for a whole window."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Chance that a channel of a frame is dropped in a layer."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> ASFormer:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        return ASFormer(self, in_features, num_outputs, prior, exclusive)


class ASFormer(nn.Module):
    """An encoder that answers, and decoders that refine the answer."""

    def __init__(
        self,
        config: ASFormerConfig,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None,
        exclusive: bool,
    ) -> None:
        super().__init__()
        self.receptive_radius: int | None = None
        self.exclusive = exclusive
        self.channel_dropout = nn.Dropout(config.channel_dropout)
        self.encoder = AttentiveStack(config, in_features, num_outputs, prior)
        self.decoders = nn.ModuleList(
            AttentiveStack(config, num_outputs, num_outputs, prior, decoder=decoder)
            for decoder in range(config.num_decoders)
        )

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> (B, T, O) of each answer."""
        features = features.masked_fill(~mask[..., None], 0.0)
        features = features * self.channel_dropout(torch.ones_like(features[:, :1]))
        logits, encoded = self.encoder(features, mask, None)
        answers = [logits]
        for decoder in self.decoders:
            logits, _ = decoder(to_answer(answers[-1], self.exclusive), mask, encoded)
            answers.append(logits)
        return answers


class AttentiveStack(nn.Module):
    """Linear layer to the hidden channels, attentive layers, linear layer to the logits.

    Args:
        config: Settings.
        in_channels: Channels per frame that come in.
        num_outputs: Logits per frame.
        prior: (num_outputs,) what the logits start around.
        decoder: Number of the decoder, from 0; None is the encoder.
    """

    def __init__(
        self,
        config: ASFormerConfig,
        in_channels: int,
        num_outputs: int,
        prior: Tensor | None,
        *,
        decoder: int | None = None,
    ) -> None:
        super().__init__()
        strength = 1.0 if decoder is None else math.exp(-3 * decoder)
        context = 0 if decoder is None else config.hidden
        self.input = nn.Linear(in_channels, config.hidden)
        self.layers = nn.ModuleList(
            AttentiveLayer(config.hidden, context, 2**layer, strength, config.dropout)
            for layer in range(config.num_layers)
        )
        self.output = build_output(config.hidden, num_outputs, prior)

    def forward(
        self, frames: Tensor, mask: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(B, T, in_channels) -> (B, T, O) logits and the (B, T, C) channels behind them."""
        padding = ~mask[..., None]
        hidden = self.input(frames).masked_fill(padding, 0.0)
        for layer in self.layers:
            hidden = layer(hidden, mask, context).masked_fill(padding, 0.0)
        return self.output(hidden), hidden


class AttentiveLayer(nn.Module):
    """Dilated convolution, attention within as many frames as that spans, both added.

    Args:
        hidden: Channels C.
        context: Channels of the context that queries and keys are also made of; 0: there is none.
        dilation: Frames between the taps of the convolution, and about the width of the attention.
        strength: Weight of the attention.
        dropout: Chance that a channel of a frame is dropped.
    """

    def __init__(
        self, hidden: int, context: int, dilation: int, strength: float, dropout: float
    ) -> None:
        super().__init__()
        self.conv = TimeConv(hidden, hidden, 3, dilation=dilation)
        self.query = nn.Linear(hidden + context, hidden // 2)
        self.key = nn.Linear(hidden + context, hidden // 2)
        self.value = nn.Linear(hidden, hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.strength = strength
        self.radius = max(1, dilation // 2)  # a window of one frame would have nothing to choose

    def forward(self, frames: Tensor, mask: Tensor, context: Tensor | None) -> Tensor:
        """(B, T, C), mask (B, T) and context (B, T, ·) -> (B, T, C)."""
        local = torch.relu(self.conv(frames))
        normal = normalize_over_time(local, mask)
        source = normal if context is None else torch.cat([normal, context.to(normal.dtype)], dim=2)
        attended = attend_locally(
            self.query(source)[:, :, None],
            self.key(source)[:, :, None],
            self.value(normal)[:, :, None],
            mask,
            radius=self.radius,
        )
        mixed = self.mix(local + self.strength * attended[:, :, 0])
        return frames + self.dropout(mixed)
