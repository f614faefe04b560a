"""What all flow networks can set."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class FlowNetworkSettings(BaseModel):
    """Clip, width, and the loss that a network was published with."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    smoothness_factor: ClassVar[float] = 1.0
    sparsity: ClassVar[float] = 0.0

    name: str
    """Name of the network."""
    clip_length: int = Field(11, ge=2)
    """Frames per clip, centred on the frame to be classified."""
    width: float = Field(1.0, gt=0)
    """Factor on the number of channels; 1 is the published network."""
