"""TwoStream: what a frame looks like and how it moves, as one feature vector and fused logits.

Sources: Simonyan & Zisserman 2014; Bohnslav et al. 2021 (DeepEthogram), Methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn

from pixelethogram.features.shared_flow import cut_clips, cut_flow
from pixelethogram.pose.flow import PoseFlow

MIN_STD = 1e-3

Phase = Literal["spatial", "flow", "joint"]
"""Stretches of features training, in their order; steps and rate of each are settings."""


class Stream(Protocol):
    """A network of images or of volumes with a linear head; a `torch.nn.Module`."""

    num_features: int
    backbone: nn.Module
    head: nn.Linear

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (B, F) of images (B, C, H, W), or of volumes (B, C, L, H, W)."""

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (B, O) of features (B, F)."""


class TwoStream(nn.Module):
    """A spatial stream on the frames of a clip and a motion stream on the flow between them.

    The flow network is frozen: no gradient, always in evaluation mode.

    Args:
        flow: Clips in [0, 1] to flows, finest first, each (B, 2, L-1, h, w); or `PoseFlow`, which
            is given rows of keypoints (B, L, D) in place of clips.
        spatial: Sees z-scored frames.
        motion: Sees the finest flow.
        mean: Mean of red, green, blue over the training videos, in [0, 1].
        std: Their standard deviations; smaller ones than 0.001 count as 0.001.
        flow_weight: Weight of the motion stream's logits against 1 for the spatial stream's.
        spatial_sees: The spatial stream's input: "centre", the frame to be classified
            (B, 3, H, W); "deepethogram", green and blue of that frame and red of the next, as the
            weights of that program were trained; or "clip", all frames (B, 3, L, H, W).
        flow_as: The motion stream's input: "channels", (B, 2(L-1), h, w) where channel 2k is x and
            2k+1 is y of pair k, or "time", (B, 2, L-1, h, w).
    """

    phases: tuple[Phase, ...] = ("spatial", "flow", "joint")

    def __init__(
        self,
        flow: nn.Module,
        *,
        spatial: Stream,
        motion: Stream,
        mean: Sequence[float],
        std: Sequence[float],
        flow_weight: float = 1.0,
        spatial_sees: Literal["centre", "deepethogram", "clip"] = "centre",
        flow_as: Literal["channels", "time"] = "channels",
    ) -> None:
        super().__init__()
        self.flow = flow.requires_grad_(False).eval()
        self.spatial: Stream = spatial
        self.motion: Stream = motion
        self.flow_weight = flow_weight
        self.spatial_sees, self.flow_as = spatial_sees, flow_as
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
        """Features (B, F) of the frames of clips (B, 3, L, H, W) in [0, 1]."""
        shape = (1, 3, 1, 1, 1)
        first, number = self.seen_frames(clips.shape[2])
        frames = clips[:, :, first : first + number]
        return self.features_of_frames((frames - self.mean.view(shape)) / self.std.view(shape))

    def seen_frames(self, length: int) -> tuple[int, int]:
        """First frame of a clip of so many that the spatial stream needs, and how many."""
        if self.spatial_sees == "clip":
            return 0, length
        return length // 2, 1 + (length % 2 if self.spatial_sees == "deepethogram" else 0)

    def features_of_frames(self, frames: Tensor) -> Tensor:
        """Features (B, F) of the z-scored frames that are needed (B, 3, l, H, W)."""
        if self.spatial_sees == "clip":
            return self.spatial.forward_features(frames)
        shift = frames.shape[2] - 1  # red, green, blue of a frame, then of the next
        seen = frames.transpose(1, 2).flatten(1, 2)[:, shift : shift + 3]
        return self.spatial.forward_features(seen)

    def motion_features(self, seen: Tensor) -> Tensor:
        """Features (B, F) of the finest flow of what the flow is made of, see `finest_flow`."""
        return self.features_of_flow(self.finest_flow(seen))

    def finest_flow(self, seen: Tensor) -> Tensor:
        """Flow (B, 2, L-1, h, w), without a gradient, of clips (B, 3, L, H, W) in [0, 1], or of
        rows (B, L, D) where it is made of keypoints."""
        with torch.no_grad():
            return self.flow(seen)[0]

    def shared_flow(self, stretches: Tensor, offsets: Tensor) -> Tensor:
        """Flow (B, 2, L-1, h, w) cut from stretches (B, 3, 2 L - 1, H, W), without a gradient."""
        with torch.no_grad():
            return cut_flow(self.flow, stretches, offsets)

    def features_of_flow(self, flow: Tensor) -> Tensor:
        """Features (B, F) of flow (B, 2, L-1, h, w)."""
        seen = flow if self.flow_as == "time" else flow.transpose(1, 2).flatten(1, 2)
        return self.motion.forward_features(seen)

    def forward_features(self, clips: Tensor, poses: Tensor | None = None) -> Tensor:
        """Spatial features, then motion features (B, D).

        Args:
            clips: (B, 3, L, H, W) in [0, 1].
            poses: (B, L, D) rows that the flow is made of, where it is made of keypoints.
        """
        motion = self.motion_features(clips if poses is None else poses)
        return torch.cat([self.spatial_features(clips), motion], dim=1)

    def stream_logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, O) of the spatial and of the motion stream from features (B, D)."""
        sizes = [self.spatial.num_features, self.motion.num_features]
        spatial, motion = features.split(sizes, dim=1)
        return self.spatial.forward_head(spatial), self.motion.forward_head(motion)

    def named_logits(self, features: Tensor) -> dict[str, Tensor]:
        """Fused logits (B, O) as "logits", and each stream's, from features (B, D)."""
        spatial, motion = self.stream_logits(features)
        fused = (spatial + self.flow_weight * motion) / (1 + self.flow_weight)
        return {"logits": fused, "spatial_logits": spatial, "flow_logits": motion}

    def forward_head(self, features: Tensor) -> Tensor:
        """Fused logits (B, O) of features (B, D): the weighted mean of both streams."""
        return self.named_logits(features)["logits"]

    def forward(self, clips: Tensor) -> Tensor:
        """Fused logits (B, O) of the centre frames of clips (B, 3, L, H, W) in [0, 1]."""
        return self.forward_head(self.forward_features(clips))

    def phase_logits(
        self,
        clips: Tensor,
        phase: Phase,
        offsets: Tensor | None = None,
        poses: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, O) of the stream that a phase trains, or of both fused.

        Args:
            clips: (B, 3, L, H, W) in [0, 1]; with offsets stretches (B, 3, 2 L - 1, H, W).
            phase: Which stream.
            offsets: (B,) where in its stretch each clip begins; the flow is then shared, see
                `features.shared_flow`.
            poses: (B, L, D) rows that the flow is made of, where it is made of keypoints.
        """
        if offsets is None:
            seen = clips if poses is None else poses
            own, find_flow = clips, partial(self.finest_flow, seen)
        else:
            own, find_flow = cut_clips(clips, offsets), partial(self.shared_flow, clips, offsets)
        if phase == "spatial":
            return self.spatial.forward_head(self.spatial_features(own))
        motion = self.features_of_flow(find_flow())
        if phase == "flow":
            return self.motion.forward_head(motion)
        return self.forward_head(torch.cat([self.spatial_features(own), motion], dim=1))

    def phase_modules(self, phase: Phase) -> list[nn.Module]:
        """The streams that learn in a phase."""
        streams = {
            "spatial": [self.spatial],
            "flow": [self.motion],
            "joint": [self.spatial, self.motion],
        }
        return cast("list[nn.Module]", streams[phase])

    def needs_clips(self, phase: Phase) -> bool:
        """Whether a phase looks at more of a clip than its centre frame."""
        learned = phase != "spatial" and not isinstance(self.flow, PoseFlow)
        return learned or self.spatial_sees != "centre"
