"""MotionNet: clips in, optic flow at half, quarter and eighth size out; the large network.

Source: Zhu et al. 2017, "Hidden two-stream convolutional networks for action recognition";
Bohnslav et al. 2021 (DeepEthogram), Methods: Flow generators. Only when each step of the decoder
reads everything that the step before has joined are there as many parameters as the latter says;
`motionnet_lite` reads the narrower merged features instead, as the former's network does.
"""

from __future__ import annotations

from itertools import pairwise
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

ENCODER_CHANNELS = (64, 128, 256, 512, 512, 1024)  # full to 1/32 of the size
DECODER_CHANNELS = (512, 256, 128, 64)  # 1/16 to half of the size


class MotionNetConfig(FlowNetworkSettings):
    """45.9 M parameters, 29.0 GMAC per clip of 256 x 256 pixels."""

    paper: ClassVar[str] = "Zhu et al. 2017; Bohnslav et al. 2021"

    name: Literal["motionnet"] = "motionnet"
    """Name of the network."""

    def build(self) -> MotionNet:
        """A network with fresh weights."""
        return MotionNet(self.clip_length, self.width)


class MotionNetLiteConfig(FlowNetworkSettings):
    """42.3 M parameters, 26.2 GMAC per clip of 256 x 256 pixels."""

    paper: ClassVar[str] = "Zhu et al. 2017"

    name: Literal["motionnet_lite"] = "motionnet_lite"
    """Name of the network."""

    def build(self) -> MotionNet:
        """A network with fresh weights."""
        return MotionNet(self.clip_length, self.width, lite=True)


class MotionNet(nn.Module):
    """Encoder of six levels, decoder of four steps, flow at each.

    Args:
        clip_length: Frames per clip, L.
        width: Factor on the number of channels.
        lite: A step of the decoder reads what the step before merged, not all that it joined.
    """

    def __init__(self, clip_length: int = 11, width: float = 1.0, *, lite: bool = False) -> None:
        super().__init__()
        self.clip_length, self.lite = clip_length, lite
        channels = scale_channels(ENCODER_CHANNELS, width)
        flow_channels = 2 * (clip_length - 1)
        self.encoder = nn.ModuleList(
            _encoder_level(before, after, stride=1 if level == 0 else 2)
            for level, (before, after) in enumerate(pairwise((3 * clip_length, *channels)))
        )
        self.flow6 = flow_head(channels[-1], flow_channels)
        self.decoder = nn.ModuleList()
        coarse = channels[-1]
        outs = scale_channels(DECODER_CHANNELS, width)
        for skip, out in zip(reversed(channels[1:-1]), outs, strict=True):
            step = _DecoderStep(skip, coarse, out, flow_channels)
            coarse = out if lite else step.joined_channels
            self.decoder.append(step)
        self.apply(initialise)

    def forward(self, clips: Tensor) -> list[Tensor]:
        """Flow between neighbouring frames.

        Args:
            clips: (B, 3, L, H, W) z-scored, any H and W of at least 8; from 32 on all levels of
                the encoder differ in size.

        Returns:
            Three flows (B, 2, L-1, h, w), h = H/2, H/4, H/8 rounded up, in pixels of their level.

        Raises:
            ValueError: The clips have another number of channels or frames.
        """
        check_clips(clips, self.clip_length)
        levels = [stack_frames(clips)]
        for level in self.encoder:
            levels.append(level(levels[-1]))
        coarse = levels[-1]
        flows = [self.flow6(coarse)]
        for step, skip in zip(self.decoder, reversed(levels[2:-1]), strict=True):
            joined, merged, flow = step(skip, coarse, flows[-1])
            coarse = merged if self.lite else joined
            flows.append(flow)
        return [unstack_pairs(flow) for flow in reversed(flows[2:])]


class _DecoderStep(nn.Module):
    """Features and flow of the coarser level at twice the size, joined with the encoder's.

    Args:
        skip: Channels of the encoder's features.
        coarse: Channels of the coarser level's features.
        out: Channels of the features that the flow is predicted from.
        flow_channels: Channels of a flow.
    """

    def __init__(self, skip: int, coarse: int, out: int, flow_channels: int) -> None:
        super().__init__()
        self.joined_channels = skip + out + flow_channels
        self.up = upsample(coarse, out)
        self.up_flow = double(flow_channels, flow_channels)
        self.merge = merge(self.joined_channels, out)
        self.flow = flow_head(out, flow_channels)

    def forward(self, skip: Tensor, coarse: Tensor, flow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Joined features, merged features and flow of this level."""
        joined = join(skip, self.up(coarse), 2 * self.up_flow(flow))
        merged = self.merge(joined)
        return joined, merged, self.flow(merged)


def _encoder_level(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(in_channels, out_channels, kernel=3, stride=stride),
        convolution(out_channels, out_channels, kernel=3, stride=1),
    )
