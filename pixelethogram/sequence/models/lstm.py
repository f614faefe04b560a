"""Recurrent model: a long short-term memory that runs forward, or both ways, over a window."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class LSTMConfig(BaseModel):
    """Settings of the recurrent model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Literal["lstm"] = "lstm"
    """Entry of the table of sequence models."""
    hidden: int = Field(default=64, ge=1)
    """Units per direction."""
    bidirectional: bool = True
    """Also run from the last frame to the first, so that a frame sees what follows it."""

    def build(self, in_features: int, num_outputs: int, prior: Tensor | None = None) -> LSTM:
        """Network with fresh weights.

        Args:
            in_features: Feature size D.
            num_outputs: Logits per frame.
            prior: (num_outputs,) log-odds that the logits start around; None: torch's start.
        """
        return LSTM(self, in_features, num_outputs, prior)


class LSTM(nn.Module):
    """One layer per direction and a linear output; padding has to be at the end of a window."""

    def __init__(
        self, config: LSTMConfig, in_features: int, num_outputs: int, prior: Tensor | None
    ) -> None:
        super().__init__()
        self.receptive_radius: int | None = None
        self.ahead = nn.LSTM(in_features, config.hidden, batch_first=True)
        self.back: nn.LSTM | None = None
        if config.bidirectional:
            self.back = nn.LSTM(in_features, config.hidden, batch_first=True)
        num_directions = 2 if config.bidirectional else 1
        self.output = nn.Linear(num_directions * config.hidden, num_outputs)
        if prior is not None:
            with torch.no_grad():
                self.output.bias.copy_(prior)

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> [(B, T, O) logits]."""
        features = features.masked_fill(~mask[..., None], 0.0)
        hidden, _ = self.ahead(features)
        if self.back is not None:
            # two networks instead of torch's bidirectional one, which would start in the padding
            hidden_back, _ = self.back(_reverse(features, mask))
            hidden = torch.cat([hidden, _reverse(hidden_back, mask)], dim=2)
        return [self.output(hidden)]


def _reverse(frames: Tensor, mask: Tensor) -> Tensor:
    """Turn the real frames of each window (B, T, ·) around; the padding stays behind them."""
    frame = torch.arange(mask.shape[1], device=mask.device)
    turned = torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - frame, frame)
    return torch.gather(frames, 1, turned[..., None].expand_as(frames))
