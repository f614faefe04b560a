"""TinyMotionNet: clips in, optic flow at half, quarter and eighth size out.

Source: Zhu et al. 2017, "Hidden two-stream convolutional networks for action recognition";
Bohnslav et al. 2021 (DeepEthogram), Methods: Flow generators.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class TinyMotionNetConfig(BaseModel):
    """1.95 M parameters, 16.7 GMAC per clip of 256 x 256 pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Literal["tiny_motionnet"] = "tiny_motionnet"
    """Name of the network."""
    clip_length: int = Field(11, ge=2)
    """Frames per clip, centred on the frame to be classified."""
    width: float = Field(1.0, gt=0)
    """Factor on the number of channels; 1 is the published network."""

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
        c64, c128, c256 = (max(1, round(channels * width)) for channels in (64, 128, 256))
        flow_channels = 2 * (clip_length - 1)
        self.conv1 = _convolution(3 * clip_length, c64, kernel=7, stride=1)
        self.conv2 = _convolution(c64, c128, kernel=5, stride=2)
        self.conv3 = _convolution(c128, c256, kernel=3, stride=2)
        self.conv4 = _convolution(c256, c128, kernel=3, stride=2)
        self.flow4 = _flow(c128, flow_channels)
        self.up3 = _upsample(c128, c128)
        self.up_flow3 = _double(flow_channels, flow_channels)
        self.merge3 = _merge(c256 + c128 + flow_channels, c128)
        self.flow3 = _flow(c128, flow_channels)
        self.up2 = _upsample(c128, c64)
        self.up_flow2 = _double(flow_channels, flow_channels)
        self.merge2 = _merge(c128 + c64 + flow_channels, c64)
        self.flow2 = _flow(c64, flow_channels)
        self.apply(_initialise)

    def forward(self, clips: Tensor) -> list[Tensor]:
        """Flow between neighbouring frames.

        Args:
            clips: (B, 3, L, H, W) z-scored, any H and W of at least 8.

        Returns:
            Three flows (B, 2, L-1, h, w), h = H/2, H/4, H/8 rounded up, in pixels of their level.

        Raises:
            ValueError: The clips have another number of channels or frames.
        """
        if clips.ndim != 5 or clips.shape[1:3] != (3, self.clip_length):
            raise ValueError(
                f"expected clips (B, 3, {self.clip_length}, H, W), got {tuple(clips.shape)}"
            )
        half = self.conv2(self.conv1(_stack_frames(clips)))
        quarter = self.conv3(half)
        eighth = self.conv4(quarter)
        flow4 = self.flow4(eighth)
        merged3 = self.merge3(_join(quarter, self.up3(eighth), 2 * self.up_flow3(flow4)))
        flow3 = self.flow3(merged3)
        merged2 = self.merge2(_join(half, self.up2(merged3), 2 * self.up_flow2(flow3)))
        return [_unstack_pairs(flow) for flow in (self.flow2(merged2), flow3, flow4)]


def _stack_frames(clips: Tensor) -> Tensor:
    return clips.transpose(1, 2).flatten(1, 2)  # (B, 3L, H, W), channel 3k + c


def _unstack_pairs(flow: Tensor) -> Tensor:
    """(B, 2(L-1), h, w) with channel 2k = x, 2k+1 = y of pair k -> (B, 2, L-1, h, w)."""
    return flow.unflatten(1, (-1, 2)).transpose(1, 2)


def _join(*parts: Tensor) -> Tensor:
    """Concatenate channels after cropping to the smallest height and width at the top left."""
    height = min(part.shape[-2] for part in parts)
    width = min(part.shape[-1] for part in parts)
    return torch.cat([part[..., :height, :width] for part in parts], dim=1)


def _convolution(in_channels: int, out_channels: int, *, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.1, inplace=True),
    )


def _merge(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels)
    )


def _flow(in_channels: int, flow_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, flow_channels, 3, padding=1, bias=False)


def _double(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)


def _upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(_double(in_channels, out_channels), nn.LeakyReLU(0.1, inplace=True))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
