"""The networks of the features stage; the table and what every entry keeps to.

`MODELS[name](**settings).build(flow, num_outputs, mean, std, clip_length=L)` takes any flow network
that maps clips in [0, 1] to flows, finest first, each (B, 2, L-1, h, w), and gives a module with

* `forward_features(clips (B, 3, L, H, W) in [0, 1]) -> (B, D)`, what is kept of a frame;
  `forward_head(features) -> logits (B, O)`; `forward` is one after the other.
* `named_logits(features)`: "logits", those of `forward_head`; networks of two streams also give
  each stream's, "spatial_logits" and "flow_logits".
* `phases`: what its training consists of. In each, `phase_logits(clips, phase)` is compared with
  the labels, `phase_modules(phase)` learn, and `needs_clips(phase)` tells whether the phase looks
  at whole clips or only at their centre frames. A network with flow also takes stretches and
  offsets in place of clips, see `features.shared_flow`, and rows of keypoints beside clips where
  its flow is made of those (`pose.flow`).
* `set_head_bias(bias (O,))`: logits to start from.

`paper` of the settings class says where the network was published; `pixelethogram models` shows it.

Clips of a batch do not mix in eval mode. The flow network is never changed: no gradient, no batch
statistics. `external` sees whole clips and uses neither flow nor mean and std.
Settings say whether there must be a flow network at all: `needs_flow`.
A new model is one new file and its settings class in the list here; its tests exist already.

`POSE_MODELS` are no networks on clips: they make features of keypoints. `features.keypoints` trains
them and extracts with them; what they leave is the same, so later stages never know.
"""

from __future__ import annotations

from typing import get_args

from pixelethogram.features.models.external import External, ExternalConfig
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.models.resnet import ResNet18Config, ResNet50Config
from pixelethogram.features.models.resnet3d import ResNet3D34Config
from pixelethogram.features.models.two_stream import TwoStream

FeaturesNetwork = TwoStream | External
FeaturesModelConfig = ResNet18Config | ResNet50Config | ResNet3D34Config | ExternalConfig
MODELS: dict[str, type[FeaturesModelConfig]] = {
    config.model_fields["name"].default: config for config in get_args(FeaturesModelConfig)
}
POSE_MODELS: dict[str, type[KeypointsConfig]] = {"keypoints": KeypointsConfig}
