"""TinyMotionNet: clips in, optic flow at half, quarter and eighth size out.

Source: Zhu et al. 2017, "Hidden two-stream convolutional networks for action recognition";
Bohnslav et al. 2021 (DeepEthogram), Methods: Flow generators.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from pixelethogram.flow.models.blocks import (
    check_clips,
    convolution,
    double,
    flow_head,
    initialise,
    join,
    merge,
    scale_channels,
    stack_frames,
    unstack_pairs,
    upsample,
)
from pixelethogram.flow.models.settings import FlowNetworkSettings


class TinyMotionNetConfig(FlowNetworkSettings):
    """1.95 M parameters, 16.7 GMAC per clip of 256 x 256 pixels."""

    paper: ClassVar[str] = "Zhu et al. 2017; Bohnslav et al. 2021"

    name: Literal["tiny_motionnet"] = "tiny_motionnet"
    """Name of the network."""

    def build(self) -> TinyMotionNet:
        """A network with fresh weights."""
        return TinyMotionNet(self.clip_length, self.width)


class TinyMotionNet(nn.Module):
    """Encoder of four convolutions, decoder of two steps, flow at each.

    Args:
        clip_length: Frames per clip, L.
        width: Factor on the number of channels.
    """

    def __init__(self, clip_length: int = 11, width: float = 1.0) -> None:
        super().__init__()
        self.clip_length = clip_length
        c64, c128, c256 = scale_channels((64, 128, 256), width)
        flow_channels = 2 * (clip_length - 1)
        self.conv1 = convolution(3 * clip_length, c64, kernel=7, stride=1)
        self.conv2 = convolution(c64, c128, kernel=5, stride=2)
        self.conv3 = convolution(c128, c256, kernel=3, stride=2)
        self.conv4 = convolution(c256, c128, kernel=3, stride=2)
        self.flow4 = flow_head(c128, flow_channels)
        self.up3 = upsample(c128, c128)
        self.up_flow3 = double(flow_channels, flow_channels)
        self.merge3 = merge(c256 + c128 + flow_channels, c128)
        self.flow3 = flow_head(c128, flow_channels)
        self.up2 = upsample(c128, c64)
        self.up_flow2 = double(flow_channels, flow_channels)
        self.merge2 = merge(c128 + c64 + flow_channels, c64)
        self.flow2 = flow_head(c64, flow_channels)
        self.apply(initialise)

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
        half = self.conv2(self.conv1(stack_frames(clips)))
        quarter = self.conv3(half)
        eighth = self.conv4(quarter)
        flow4 = self.flow4(eighth)
        merged3 = self.merge3(join(quarter, self.up3(eighth), 2 * self.up_flow3(flow4)))
        flow3 = self.flow3(merged3)
        merged2 = self.merge2(join(half, self.up2(merged3), 2 * self.up_flow2(flow3)))
        return [unstack_pairs(flow) for flow in (self.flow2(merged2), flow3, flow4)]
