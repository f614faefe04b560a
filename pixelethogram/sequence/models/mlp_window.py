"""Multilayer perceptron on the frames around each frame (Sturman et al. 2020)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pixelethogram.sequence.models.output import build_output
from pixelethogram.sequence.models.time_conv import TimeConv


class MLPWindowConfig(BaseModel):
    """Settings of the perceptron on a sliding window."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    default_smoothness: ClassVar[float] = 0.0
    default_window_frames: ClassVar[int] = 180
    paper: ClassVar[str] = "Sturman et al. 2020"

    name: Literal["mlp_window"] = "mlp_window"
    """Entry of the table of sequence models."""
    radius_frames: int = Field(default=15, ge=0)
    """Frames on each side that are seen."""
    hidden: tuple[int, int] = (256, 128)
    """Units of the two hidden layers."""
    dropout: float = Field(default=0.35, ge=0, lt=1)
    """Chance that a hidden unit is dropped."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> MLPWindow:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        return MLPWindow(self, in_features, num_outputs, prior)


class MLPWindow(nn.Module):
    """Two hidden layers; 382,981 parameters for 44 features and 5 outputs.

    The first layer on the frames of a window, laid end to end, is a convolution: it is run as one.
    """

    def __init__(
        self, config: MLPWindowConfig, in_features: int, num_outputs: int, prior: Tensor | None
    ) -> None:
        super().__init__()
        self.receptive_radius: int | None = config.radius_frames
        first, second = config.hidden
        self.window = TimeConv(in_features, first, 2 * config.radius_frames + 1)
        self.hidden = nn.Linear(first, second)
        self.dropout = nn.Dropout(config.dropout)
        self.output = build_output(second, num_outputs, prior)

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> [(B, T, O) logits]."""
        features = features.masked_fill(~mask[..., None], 0.0)
        hidden = self.dropout(torch.relu(self.window(features)))
        return [self.output(self.dropout(torch.relu(self.hidden(hidden))))]
