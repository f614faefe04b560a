"""The networks of the features stage.

Contract: ``build(flow, num_outputs, mean, std)`` takes any flow network that takes clips in [0, 1]
and gives a `TwoStream`: ``forward_features(clips (B, 3, L, H, W) in [0, 1]) -> (B, D)``,
``forward_head(features) -> logits (B, O)``, ``forward`` is one after the other.
"""

from __future__ import annotations

from pixelethogram.features.models.resnet import ResNet18Config

MODELS: dict[str, type[ResNet18Config]] = {"resnet18": ResNet18Config}
