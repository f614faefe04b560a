"""ResNet18 and ResNet50 for any number of input channels: images in, features and logits out.

Sources: He et al. 2016; Bohnslav et al. 2021 (DeepEthogram), presets `fast` and `medium`. Built by
torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn

from pixelethogram.features.models.settings import TwoStreamSettings
from pixelethogram.features.models.two_stream import TwoStream

if TYPE_CHECKING:
    import torchvision

NUM_POOLED = 512  # features that the head sees
LAYER_CHANNELS = {"resnet18": (64, 128, 256, 512), "resnet50": (256, 512, 1024, 2048)}

Architecture = Literal["resnet18", "resnet50"]


class ResNetSettings(TwoStreamSettings):
    """What both sizes can set."""

    name: Architecture
    """Network of both streams."""
    spatial_view: Literal["centre", "deepethogram"] = "centre"
    """What the spatial stream is shown: the frame to be classified; or green and blue of it and red
    of the next one, which is what the weights of DeepEthogram were trained on."""
    skip_features: bool = False
    """Keep the mean of each of the four layers instead of the 512 features the logits are made of:
    960 (ResNet18) or 3840 (ResNet50) features per stream and frame. Logits stay the same."""

    def build(
        self,
        flow: nn.Module,
        num_outputs: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        clip_length: int = 11,
    ) -> TwoStream:
        """Both streams with fresh weights around a flow network.

        Args:
            flow: Clips in [0, 1] to flows, finest first; it is frozen.
            num_outputs: Logits per frame.
            mean: Mean of red, green, blue over the training videos, in [0, 1].
            std: Their standard deviations.
            clip_length: Frames per clip of the flow network.
        """
        spatial, motion = (
            ResNet(
                self.name,
                channels,
                num_outputs,
                dropout=self.dropout,
                skip_features=self.skip_features,
            )
            for channels in (3, 2 * (clip_length - 1))
        )
        return TwoStream(
            flow,
            spatial=spatial,
            motion=motion,
            mean=mean,
            std=std,
            flow_weight=self.flow_weight,
            spatial_sees=self.spatial_view,
        )


class ResNet18Config(ResNetSettings):
    """Two ResNet18: 22.4 M parameters, 3.2 GMAC per frame of 256 x 256 pixels without the flow."""

    paper: ClassVar[str] = "He et al. 2016; Bohnslav et al. 2021"

    name: Literal["resnet18"] = "resnet18"
    """Network of both streams; or external, one from elsewhere, in their place."""


class ResNet50Config(ResNetSettings):
    """Two ResNet50: 49.2 M parameters, 6.9 GMAC per frame of 256 x 256 pixels without the flow."""

    paper: ClassVar[str] = "He et al. 2016; Bohnslav et al. 2021"

    name: Literal["resnet50"] = "resnet50"
    """Network of both streams."""


class ResNet(nn.Module):
    """A ResNet up to 512 features, dropout and a linear head.

    ResNet18 pools to 512 features. ResNet50 pools to 2048, which one more layer brings to 512. With
    `skip_features` the features are the means of all four layers; the head takes the last of them
    the same way, so a network gives the same logits with and without.

    Args:
        architecture: Which one.
        in_channels: Channels of the images.
        num_outputs: Logits per image.
        dropout: Share of the 512 features dropped before the head in training.
        skip_features: Features of all four layers.
    """

    def __init__(
        self,
        architecture: Architecture,
        in_channels: int,
        num_outputs: int,
        *,
        dropout: float = 0.25,
        skip_features: bool = False,
    ) -> None:
        super().__init__()
        channels = LAYER_CHANNELS[architecture]
        self.skip_features, self.num_last = skip_features, channels[-1]
        self.num_features = sum(channels) if skip_features else NUM_POOLED
        self.backbone = _build_backbone(architecture, in_channels)
        self.compression: nn.Module = nn.Identity()
        if self.num_last != NUM_POOLED:
            self.compression = nn.Sequential(nn.Linear(self.num_last, NUM_POOLED), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(NUM_POOLED, num_outputs)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (B, F), never negative, of images (B, C, H, W)."""
        if self.skip_features:
            return self._layer_means(images)
        return self.compression(self.backbone(images))

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (B, O) of features (B, F)."""
        if self.skip_features:
            features = self.compression(features[:, -self.num_last :])
        return self.head(self.dropout(features))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, O) of images (B, C, H, W)."""
        return self.forward_head(self.forward_features(images))

    def _layer_means(self, images: Tensor) -> Tensor:
        """Means over the picture of layers 1 to 4, one after the other (B, F)."""
        net = self.backbone
        maps = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        means = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            maps = layer(maps)
            means.append(net.avgpool(maps).flatten(1))
        return torch.cat(means, dim=1)


def _build_backbone(architecture: Architecture, in_channels: int) -> torchvision.models.ResNet:
    """torchvision's network without its last layer; fresh weights."""
    from torchvision import models  # takes a second, which reading settings need not

    backbone: models.ResNet = getattr(models, architecture)(num_classes=1)
    backbone.fc = nn.Identity()
    if in_channels != 3:
        conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(conv1.weight, mode="fan_out", nonlinearity="relu")
        backbone.conv1 = conv1
    return backbone
