"""PairwiseMotionNet: TinyMotionNet for two frames, applied to each neighbouring pair of a clip.

A pair of frames has the same flow in every clip it occurs in. Nothing uses that yet: extraction
gives whole clips, and computes the 10 pairs of each of them anew, 105.9 GMAC per clip of 11 frames
of 256 x 256 pixels. Source of the network: see `tiny_motionnet`; the use by pairs is our own.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from pixelethogram.flow.models.blocks import check_clips
from pixelethogram.flow.models.settings import FlowNetworkSettings
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNet


class PairwiseMotionNetConfig(FlowNetworkSettings):
    """1.77 M parameters for clips of any length, 10.6 GMAC per pair of frames of 256 x 256."""

    paper: ClassVar[str] = "Zhu et al. 2017, frames taken by pairs"

    name: Literal["pairwise_motionnet"] = "pairwise_motionnet"
    """Name of the network."""
    width: float = Field(1.0, gt=0)
    """Factor on the number of channels; 1 has those of tiny_motionnet."""

    def build(self) -> PairwiseMotionNet:
        """A network with fresh weights."""
        return PairwiseMotionNet(self.clip_length, self.width)


class PairwiseMotionNet(nn.Module):
    """One small network for all pairs; its weights fit clips of any length.

    Args:
        clip_length: Frames per clip, L.
        width: Factor on the number of channels.
    """

    def __init__(self, clip_length: int = 11, width: float = 1.0) -> None:
        super().__init__()
        self.clip_length = clip_length
        self.pair = TinyMotionNet(clip_length=2, width=width)

    def forward(self, clips: Tensor) -> list[Tensor]:
        """Flow between neighbouring frames.

        Args:
            clips: (B, 3, L, H, W) z-scored, any H and W of at least 8.

        Returns:
            Three flows (B, 2, L-1, h, w), h = H/2, H/4, H/8 rounded up, in pixels of their level.

        Raises:
            ValueError: The clips have another number of channels or frames.
        """
        check_clips(clips, self.clip_length)
        pairs = clips.unfold(2, 2, 1).permute(0, 2, 1, 5, 3, 4)  # (B, L-1, 3, 2, H, W)
        flows = self.pair(pairs.flatten(0, 1))
        return [flow.squeeze(2).unflatten(0, pairs.shape[:2]).transpose(1, 2) for flow in flows]
