"""Self-attention to the frames nearby: a small transformer whose cost is linear in time.

Vaswani et al. 2017, with a window of its own for every frame and, in place of absolute positions,
one learned number per head and distance that is added to the score (as in T5, Raffel et al. 2020):
what a frame is does not depend on where in the video it is.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from pixelethogram.sequence.models.local_attention import attend_locally
from pixelethogram.sequence.models.output import build_output


class AttentionConfig(BaseModel):
    """Settings of the self-attention model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    default_smoothness: ClassVar[float] = 0.0
    default_window_frames: ClassVar[int] = 180
    paper: ClassVar[str] = "Vaswani et al. 2017; Raffel et al. 2020"

    name: Literal["attention"] = "attention"
    """Entry of the table of sequence models."""
    hidden: int = Field(default=64, ge=1)
    """Channels between the layers; a multiple of num_heads."""
    num_heads: int = Field(default=4, ge=1)
    """Comparisons that each layer makes side by side."""
    num_layers: int = Field(default=3, ge=1)
    """Layers; together they see num_layers · radius_frames frames on each side."""
    radius_frames: int = Field(default=30, ge=1)
    """Frames on each side that one layer attends to."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Chance that a channel of a frame is dropped before it is added."""

    @model_validator(mode="after")
    def _refuse_uneven_heads(self) -> AttentionConfig:
        if self.hidden % self.num_heads:
            raise ValueError(
                f"hidden must be a multiple of num_heads, not {self.hidden} and {self.num_heads}"
            )
        return self

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> LocalTransformer:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        return LocalTransformer(self, in_features, num_outputs, prior)


class LocalTransformer(nn.Module):
    """Linear layer to the hidden channels, attention layers, linear layer to the logits."""

    def __init__(
        self, config: AttentionConfig, in_features: int, num_outputs: int, prior: Tensor | None
    ) -> None:
        super().__init__()
        self.receptive_radius: int | None = config.num_layers * config.radius_frames
        self.input = nn.Linear(in_features, config.hidden)
        self.layers = nn.ModuleList(AttentionLayer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.output = build_output(config.hidden, num_outputs, prior)

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> [(B, T, O) logits]."""
        hidden = self.input(features.masked_fill(~mask[..., None], 0.0))
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return [self.output(self.norm(hidden))]


class AttentionLayer(nn.Module):
    """Attention and a hidden layer per frame, each after normalisation and added to its input."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__()
        self.num_heads, self.radius = config.num_heads, config.radius_frames
        self.norm = nn.LayerNorm(config.hidden)
        self.query_key_value = nn.Linear(config.hidden, 3 * config.hidden)
        self.distance = nn.Parameter(torch.zeros(config.num_heads, 2 * config.radius_frames + 1))
        self.mix = nn.Linear(config.hidden, config.hidden)
        self.frame_norm = nn.LayerNorm(config.hidden)
        self.widen = nn.Linear(config.hidden, 2 * config.hidden)
        self.narrow = nn.Linear(2 * config.hidden, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C) with mask (B, T) -> (B, T, C)."""
        heads = self.query_key_value(self.norm(frames)).unflatten(2, (3, self.num_heads, -1))
        query, key, value = heads.unbind(dim=2)
        attended = attend_locally(
            query, key, value, mask, radius=self.radius, bias=self.distance.to(query.dtype)
        )
        frames = frames + self.dropout(self.mix(attended.flatten(2)))
        widened = F.gelu(self.widen(self.frame_norm(frames)))
        return frames + self.dropout(self.narrow(widened))
