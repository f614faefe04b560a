"""ResNet18 for any number of input channels: images in, feature vectors and logits out.

Sources: He et al. 2016; Bohnslav et al. 2021 (DeepEthogram), preset `fast`. Built by torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pixelethogram.features.models.two_stream import TwoStream


class ResNet18Config(BaseModel):
    """Two ResNet18: 22.4 M parameters, 3.2 GMAC per frame of 256 x 256 pixels without the flow."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Literal["resnet18"] = "resnet18"
    """Backbone of both streams."""
    dropout: float = Field(0.25, ge=0, lt=1)
    """Share of the features that is dropped in training."""
    flow_weight: float = Field(1.0, ge=0)
    """Weight of the flow stream's logits against 1 for the spatial stream's."""

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
        return TwoStream(
            flow,
            spatial=ResNet18(3, num_outputs, self.dropout),
            motion=ResNet18(2 * (clip_length - 1), num_outputs, self.dropout),
            mean=mean,
            std=std,
            flow_weight=self.flow_weight,
        )


class ResNet18(nn.Module):
    """ResNet18 up to the pooled 512 features, dropout and a linear head.

    Args:
        in_channels: Channels of the images.
        num_outputs: Logits per image.
        dropout: Share of the features dropped before the head in training.
    """

    def __init__(self, in_channels: int, num_outputs: int, dropout: float = 0.25) -> None:
        from torchvision.models import resnet18  # takes a second, which reading settings need not

        super().__init__()
        self.num_features = 512
        self.backbone: nn.Module = resnet18(num_classes=1)
        self.backbone.fc = nn.Identity()
        if in_channels != 3:
            conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(conv1.weight, mode="fan_out", nonlinearity="relu")
            self.backbone.conv1 = conv1
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.num_features, num_outputs)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (B, 512), never negative, of images (B, C, H, W)."""
        return self.backbone(images)

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (B, O) of features (B, 512)."""
        return self.head(self.dropout(features))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, O) of images (B, C, H, W)."""
        return self.forward_head(self.forward_features(images))
