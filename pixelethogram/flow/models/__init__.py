"""The networks of the flow stage.

Contract: ``build()`` gives a module with ``forward(clips (B, 3, L, H, W)) -> list of flows``,
finest first, each (B, 2, L-1, h, w): channel 0 is x, channel 1 is y, in pixels of that level, from
frame k to frame k+1 on the grid of frame k. There are three, of half, quarter and eighth height and
width, rounded up, for any H and W of at least 8. Clips are z-scored; `FlowGenerator` does that.

Each settings class also says which loss its network was published with, for settings that leave it
open: ``smoothness_factor`` on all weights of smoothness, and ``sparsity``, the weight of the mean
absolute flow. ``paper`` says where it was published; `pixelethogram models` shows it.

`POSE_MODELS` are no networks on clips: they compute the flow from keypoints, and are never trained.
"""

from __future__ import annotations

from typing import get_args

from pixelethogram.flow.models.motionnet import MotionNetConfig, MotionNetLiteConfig
from pixelethogram.flow.models.pairwise_motionnet import PairwiseMotionNetConfig
from pixelethogram.flow.models.pose import PoseFlowConfig
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNetConfig
from pixelethogram.flow.models.tiny_motionnet_3d import TinyMotionNet3DConfig

FlowModelConfig = (
    TinyMotionNetConfig
    | PairwiseMotionNetConfig
    | MotionNetConfig
    | MotionNetLiteConfig
    | TinyMotionNet3DConfig
)
MODELS: dict[str, type[FlowModelConfig]] = {
    config.model_fields["name"].default: config for config in get_args(FlowModelConfig)
}
POSE_MODELS: dict[str, type[PoseFlowConfig]] = {"pose": PoseFlowConfig}
