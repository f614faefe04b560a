"""Linear model: every frame by itself, the reference that temporal context has to beat."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from pixelethogram.sequence.models.output import build_output


class LinearConfig(BaseModel):
    """Settings of the linear model; there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    default_smoothness: ClassVar[float] = 0.0
    default_window_frames: ClassVar[int] = 180
    paper: ClassVar[str] = "logistic regression"

    name: Literal["linear"] = "linear"
    """Entry of the table of sequence models."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> Linear:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        return Linear(in_features, num_outputs, prior)


class Linear(nn.Module):
    """One linear layer on every frame."""

    def __init__(self, in_features: int, num_outputs: int, prior: Tensor | None) -> None:
        super().__init__()
        self.receptive_radius: int | None = 0
        self.output = build_output(in_features, num_outputs, prior)

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> [(B, T, O) logits]."""
        return [self.output(features.masked_fill(~mask[..., None], 0.0))]
