"""TwoStream: what a frame looks like and how it moves, as one feature vector and fused logits.

Sources: Simonyan & Zisserman 2014; Bohnslav et al. 2021 (DeepEthogram), Methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

MIN_STD = 1e-3


class Stream(Protocol):
    """An image network with a linear head; a `torch.nn.Module`."""

    num_features: int
    backbone: nn.Module
    head: nn.Linear

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (B, F) of images (B, C, H, W)."""

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (B, O) of features (B, F)."""


class TwoStream(nn.Module):
    """A spatial stream on the centre frame and a motion stream on the flow of the whole clip.

    The flow network is frozen: no gradient, always in evaluation mode.

    Args:
        flow: Clips in [0, 1] to flows, finest first, each (B, 2, L-1, h, w).
        spatial: Sees the centre frame (B, 3, H, W), z-scored.
        motion: Sees the finest flow (B, 2(L-1), h, w): channel 2k is x, 2k+1 is y of pair k.
        mean: Mean of red, green, blue over the training videos, in [0, 1].
        std: Their standard deviations; smaller ones than 0.001 count as 0.001.
        flow_weight: Weight of the motion stream's logits against 1 for the spatial stream's.
    """

    def __init__(
        self,
        flow: nn.Module,
        *,
        spatial: Stream,
        motion: Stream,
        mean: Sequence[float],
        std: Sequence[float],
        flow_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.flow = flow.requires_grad_(False).eval()
        self.spatial: Stream = spatial
        self.motion: Stream = motion
        self.flow_weight = flow_weight
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).clamp(min=MIN_STD))

    def train(self, mode: bool = True) -> TwoStream:
        """Switch both streams; the flow network stays in evaluation mode."""
        super().train(mode)
        self.flow.eval()
        return self

    def set_head_bias(self, bias: Tensor) -> None:
        """Let both streams start from the same logits (O,), e.g. how common each behavior is."""
        with torch.no_grad():
            for stream in (self.spatial, self.motion):
                stream.head.bias.copy_(bias)

    def spatial_features(self, clips: Tensor) -> Tensor:
        """Features (B, F) of the centre frames of clips (B, 3, L, H, W) in [0, 1]."""
        frames = clips[:, :, clips.shape[2] // 2]
        shape = (1, 3, 1, 1)
        return self.spatial.forward_features(
            (frames - self.mean.view(shape)) / self.std.view(shape)
        )

    def motion_features(self, clips: Tensor) -> Tensor:
        """Features (B, F) of the finest flow of clips (B, 3, L, H, W) in [0, 1]."""
        return self.features_of_flow(self.finest_flow(clips))

    def finest_flow(self, clips: Tensor) -> Tensor:
        """Flow (B, 2, L-1, h, w) of clips (B, 3, L, H, W) in [0, 1], without a gradient."""
        with torch.no_grad():
            return self.flow(clips)[0]

    def features_of_flow(self, flow: Tensor) -> Tensor:
        """Features (B, F) of flow (B, 2, L-1, h, w)."""
        return self.motion.forward_features(flow.transpose(1, 2).flatten(1, 2))

    def forward_features(self, clips: Tensor) -> Tensor:
        """Spatial features, then motion features (B, D) of clips (B, 3, L, H, W) in [0, 1]."""
        return torch.cat([self.spatial_features(clips), self.motion_features(clips)], dim=1)

    def stream_logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, O) of the spatial and of the motion stream from features (B, D)."""
        sizes = [self.spatial.num_features, self.motion.num_features]
        spatial, motion = features.split(sizes, dim=1)
        return self.spatial.forward_head(spatial), self.motion.forward_head(motion)

    def forward_head(self, features: Tensor) -> Tensor:
        """Fused logits (B, O) of features (B, D): the weighted mean of both streams."""
        spatial, motion = self.stream_logits(features)
        return (spatial + self.flow_weight * motion) / (1 + self.flow_weight)

    def forward(self, clips: Tensor) -> Tensor:
        """Fused logits (B, O) of the centre frames of clips (B, 3, L, H, W) in [0, 1]."""
        return self.forward_head(self.forward_features(clips))
