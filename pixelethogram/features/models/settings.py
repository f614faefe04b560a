"""What all networks of two streams can set."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class TwoStreamSettings(BaseModel):
    """Dropout, and how the logits of both streams are added."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    needs_flow: ClassVar[bool] = True

    name: str
    """Network of both streams."""
    dropout: float = Field(0.25, ge=0, lt=1)
    """Share of the features that is dropped in training."""
    flow_weight: float = Field(1.0, ge=0)
    """Weight of the flow stream's logits against 1 for the spatial stream's."""
