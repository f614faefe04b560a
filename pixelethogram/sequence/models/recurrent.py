"""Recurrent models: LSTM or GRU cells that run forward, or both ways, over a window.

Hochreiter & Schmidhuber 1997 (LSTM); Cho et al. 2014 (GRU). The two differ in the cell only.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pixelethogram.sequence.models.output import build_output


class RecurrentSettings(BaseModel):
    """Settings of both; the networks are named below."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    default_smoothness: ClassVar[float] = 0.0
    default_window_frames: ClassVar[int] = 180
    cells: ClassVar[type[nn.LSTM] | type[nn.GRU]]

    name: Literal["lstm", "gru"]
    """Entry of the table of sequence models."""
    hidden: int = Field(default=64, ge=1)
    """Units per direction."""
    bidirectional: bool = True
    """Also run from the last frame to the first, so that a frame sees what follows it."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> Recurrent:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        return Recurrent(self, in_features, num_outputs, prior)


class LSTMConfig(RecurrentSettings):
    """Settings of the long short-term memory."""

    paper: ClassVar[str] = "Hochreiter & Schmidhuber 1997"
    cells: ClassVar[type[nn.LSTM] | type[nn.GRU]] = nn.LSTM

    name: Literal["lstm"] = "lstm"
    """Entry of the table of sequence models."""


class GRUConfig(RecurrentSettings):
    """Settings of the gated recurrent units: three quarters of the weights of an LSTM."""

    paper: ClassVar[str] = "Cho et al. 2014"
    cells: ClassVar[type[nn.LSTM] | type[nn.GRU]] = nn.GRU

    name: Literal["gru"] = "gru"
    """Entry of the table of sequence models."""


class Recurrent(nn.Module):
    """One layer per direction and a linear output; padding has to be at the end of a window."""

    def __init__(
        self,
        config: RecurrentSettings,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None,
    ) -> None:
        super().__init__()
        self.receptive_radius: int | None = None
        self.ahead = config.cells(in_features, config.hidden, batch_first=True)
        self.back: nn.LSTM | nn.GRU | None = None
        if config.bidirectional:
            self.back = config.cells(in_features, config.hidden, batch_first=True)
        num_directions = 2 if config.bidirectional else 1
        self.output = build_output(num_directions * config.hidden, num_outputs, prior)

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
