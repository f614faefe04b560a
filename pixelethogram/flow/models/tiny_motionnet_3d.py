"""TinyMotionNet3D: the small flow network with kernels that also span time.

Source: Bohnslav et al. 2021 (DeepEthogram), Methods: Flow generators; first kernels of 7 and 5
frames, which give the 0.4 M parameters that are reported there.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from pixelethogram.flow.models.blocks import SLOPE, check_clips, initialise, join, scale_channels
from pixelethogram.flow.models.settings import FlowNetworkSettings


class TinyMotionNet3DConfig(FlowNetworkSettings):
    """0.44 M parameters for clips of any length, 40.5 GMAC per 11 frames of 256 x 256 pixels."""

    smoothness_factor: ClassVar[float] = 0.25
    sparsity: ClassVar[float] = 0.05
    paper: ClassVar[str] = "Bohnslav et al. 2021"

    name: Literal["tiny_motionnet_3d"] = "tiny_motionnet_3d"
    """Name of the network."""

    def build(self) -> TinyMotionNet3D:
        """A network with fresh weights."""
        return TinyMotionNet3D(self.clip_length, self.width)


class TinyMotionNet3D(nn.Module):
    """Encoder of four convolutions in space and time, decoder of two steps, flow at each.

    The encoder has one map per frame. On each level a convolution over two frames makes one map
    per pair of it.

    Args:
        clip_length: Frames per clip, L.
        width: Factor on the number of channels.
    """

    def __init__(self, clip_length: int = 11, width: float = 1.0) -> None:
        super().__init__()
        self.clip_length = clip_length
        c16, c32, c64 = scale_channels((16, 32, 64), width)
        self.conv1 = _convolution(3, c16, frames=7, kernel=7, stride=1)
        self.conv2 = _convolution(c16, c32, frames=5, kernel=5, stride=2)
        self.conv3 = _convolution(c32, c64, frames=3, kernel=3, stride=2)
        self.conv4 = _convolution(c64, c32, frames=3, kernel=3, stride=2)
        self.pairs4 = _convolution(c32, c32, frames=2, kernel=3, stride=1)
        self.flow4 = _flow_head(c32)
        self.up3 = _upsample(c32, c32)
        self.up_flow3 = _double(2, 2, bias=True)
        self.pairs3 = _convolution(c64, c64, frames=2, kernel=3, stride=1)
        self.merge3 = _merge(c64 + c32 + 2, c32)
        self.flow3 = _flow_head(c32)
        self.up2 = _upsample(c32, c16)
        self.up_flow2 = _double(2, 2, bias=True)
        self.pairs2 = _convolution(c32, c32, frames=2, kernel=3, stride=1)
        self.merge2 = _merge(c32 + c16 + 2, c16)
        self.flow2 = _flow_head(c16)
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
        half = self.conv2(self.conv1(clips))
        quarter = self.conv3(half)
        eighth = self.pairs4(self.conv4(quarter))
        flow4 = self.flow4(eighth)
        up_flow3 = 2 * self.up_flow3(flow4)
        merged3 = self.merge3(join(self.pairs3(quarter), self.up3(eighth), up_flow3))
        flow3 = self.flow3(merged3)
        up_flow2 = 2 * self.up_flow2(flow3)
        merged2 = self.merge2(join(self.pairs2(half), self.up2(merged3), up_flow2))
        return [self.flow2(merged2), flow3, flow4]


def _convolution(
    in_channels: int, out_channels: int, *, frames: int, kernel: int, stride: int
) -> nn.Sequential:
    """An odd number of `frames` keeps the length of the clip, 2 takes one off."""
    padding = (frames // 2 if frames % 2 else 0, kernel // 2, kernel // 2)
    return nn.Sequential(
        nn.Conv3d(
            in_channels,
            out_channels,
            (frames, kernel, kernel),
            (1, stride, stride),
            padding,
            bias=False,
        ),
        nn.BatchNorm3d(out_channels),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


def _merge(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, 3, padding=1), nn.BatchNorm3d(out_channels)
    )


def _flow_head(in_channels: int) -> nn.Conv3d:
    return nn.Conv3d(in_channels, 2, 3, padding=1)


def _double(in_channels: int, out_channels: int, *, bias: bool) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(in_channels, out_channels, (1, 4, 4), (1, 2, 2), (0, 1, 1), bias=bias)


def _upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        _double(in_channels, out_channels, bias=False),
        nn.BatchNorm3d(out_channels),
        nn.LeakyReLU(SLOPE, inplace=True),
    )
