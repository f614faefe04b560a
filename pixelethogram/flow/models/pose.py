"""Flow of drawn poses, computed from their keypoints (`pose.flow`): no network, nothing learned."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from pixelethogram.pose.flow import PoseFlow, PoseLayout


class PoseFlowConfig(BaseModel):
    """Exact flow of drawn poses; no flow stage is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    paper: ClassVar[str] = "velocities of keypoints"

    name: Literal["pose"] = "pose"
    """Computed from keypoints; recordings must be poses, or `frames.pose.instead_of_pixels` set."""
    clip_length: int = Field(11, ge=2)
    """Frames per clip, centred on the frame to be classified."""

    def build(self, layout: PoseLayout) -> PoseFlow:
        """Flow of poses of this kind."""
        return PoseFlow(layout)
