"""Parts that several flow networks are built of: convolutions, steps of the decoder, reshaping.

The parts of the networks with two-dimensional kernels; `join`, `check_clips`, `scale_channels` and
`initialise` serve those with three-dimensional ones too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SLOPE = 0.1  # of every leaky rectifier below zero
KERNEL_TYPES = nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d | nn.ConvTranspose3d


def check_clips(clips: Tensor, clip_length: int) -> None:
    """Refuse anything but (B, 3, clip_length, H, W) with a ValueError that says its shape."""
    if clips.ndim != 5 or clips.shape[1:3] != (3, clip_length):
        raise ValueError(f"expected clips (B, 3, {clip_length}, H, W), got {tuple(clips.shape)}")


def scale_channels(channels: Sequence[int], width: float) -> list[int]:
    """Numbers of channels times the width factor, at least 1 each."""
    return [max(1, round(number * width)) for number in channels]


def stack_frames(clips: Tensor) -> Tensor:
    """(B, 3, L, H, W) -> (B, 3L, H, W) with channel 3k + c = color c of frame k."""
    return clips.transpose(1, 2).flatten(1, 2)


def unstack_pairs(flow: Tensor) -> Tensor:
    """(B, 2(L-1), h, w) with channel 2k = x, 2k+1 = y of pair k -> (B, 2, L-1, h, w)."""
    return flow.unflatten(1, (-1, 2)).transpose(1, 2)


def join(*parts: Tensor) -> Tensor:
    """Concatenate channels after cropping to the smallest height and width at the top left."""
    height = min(part.shape[-2] for part in parts)
    width = min(part.shape[-1] for part in parts)
    return torch.cat([part[..., :height, :width] for part in parts], dim=1)


def convolution(in_channels: int, out_channels: int, *, kernel: int, stride: int) -> nn.Sequential:
    """Convolution, batch normalisation, leaky rectifier; (H, W) / stride, rounded up."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


def merge(in_channels: int, out_channels: int) -> nn.Sequential:
    """Convolution of joined parts with batch normalisation, without a rectifier."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels)
    )


def flow_head(in_channels: int, flow_channels: int) -> nn.Conv2d:
    """Features to flow, linear."""
    return nn.Conv2d(in_channels, flow_channels, 3, padding=1, bias=False)


def double(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Twice the height and width, linear; a flow has to be multiplied by 2 besides."""
    return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)


def upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice the height and width, with a leaky rectifier."""
    return nn.Sequential(double(in_channels, out_channels), nn.LeakyReLU(SLOPE, inplace=True))


def initialise(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for a convolution; other modules stay."""
    if isinstance(module, KERNEL_TYPES):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
