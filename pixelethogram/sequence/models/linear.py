"""Linear model: every frame by itself, the reference that temporal context has to beat."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn


class LinearConfig(BaseModel):
    """Settings of the linear model; there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Literal["linear"] = "linear"
    """Entry of the table of sequence models."""

    def build(self, in_features: int, num_outputs: int, prior: Tensor | None = None) -> Linear:
        """Network with fresh weights.

        Args:
            in_features: Feature size D.
            num_outputs: Logits per frame.
            prior: (num_outputs,) log-odds that the logits start around; None: torch's start.
        """
        return Linear(in_features, num_outputs, prior)


class Linear(nn.Module):
    """One linear layer on every frame."""

    def __init__(self, in_features: int, num_outputs: int, prior: Tensor | None) -> None:
        super().__init__()
        self.receptive_radius: int | None = 0
        self.output = nn.Linear(in_features, num_outputs)
        if prior is not None:
            with torch.no_grad():
                self.output.bias.copy_(prior)

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> [(B, T, O) logits]."""
        return [self.output(features.masked_fill(~mask[..., None], 0.0))]
