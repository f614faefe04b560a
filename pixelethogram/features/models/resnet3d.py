"""3D-ResNet34: volumes in, 512 features and logits out; the network of both `slow` streams.

Sources: Hara et al. 2018, "Can spatiotemporal 3D CNNs retrace the history of 2D CNNs and
ImageNet?"; Bohnslav et al. 2021 (DeepEthogram), preset `slow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn

from pixelethogram.features.models.settings import TwoStreamSettings
from pixelethogram.features.models.two_stream import TwoStream

FIRST_CHANNELS = 64
LAYERS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels, blocks, first stride


class ResNet3D34Config(TwoStreamSettings):
    """Two 3D-ResNet34: 127 M parameters, 62 GMAC per frame of 256 x 256 pixels without the flow."""

    paper: ClassVar[str] = "Hara et al. 2018; Bohnslav et al. 2021"

    name: Literal["resnet3d_34"] = "resnet3d_34"
    """Network of both streams; the spatial one sees the whole clip."""

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
            clip_length: Frames per clip; these networks take any number.
        """
        return TwoStream(
            flow,
            spatial=ResNet3D(3, num_outputs, self.dropout),
            motion=ResNet3D(2, num_outputs, self.dropout),
            mean=mean,
            std=std,
            flow_weight=self.flow_weight,
            spatial_sees="clip",
            flow_as="time",
        )


class ResNet3D(nn.Module):
    """3D-ResNet34 up to the pooled 512 features, dropout and a linear head.

    Args:
        in_channels: Channels of the volumes.
        num_outputs: Logits per volume.
        dropout: Share of the features dropped before the head in training.
    """

    def __init__(self, in_channels: int, num_outputs: int, dropout: float = 0.25) -> None:
        super().__init__()
        self.num_features = LAYERS[-1][0]
        self.backbone: nn.Module = Backbone(in_channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.num_features, num_outputs)

    def forward_features(self, volumes: Tensor) -> Tensor:
        """Features (B, 512), never negative, of volumes (B, C, L, H, W)."""
        return self.backbone(volumes)

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (B, O) of features (B, 512)."""
        return self.head(self.dropout(features))

    def forward(self, volumes: Tensor) -> Tensor:
        """Logits (B, O) of volumes (B, C, L, H, W)."""
        return self.forward_head(self.forward_features(volumes))


class Backbone(nn.Module):
    """Volumes (B, C, L, H, W) of any size to features (B, 512); fresh weights.

    The first convolution keeps the length; the pooling and the first block of each later stage
    halve length, height and width.

    Args:
        in_channels: Channels of the volumes, C.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        before = FIRST_CHANNELS
        self.conv1 = nn.Conv3d(in_channels, before, 7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(before)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)
        layers = []
        for channels, num_blocks, stride in LAYERS:
            blocks = [BasicBlock(before, channels, stride)]
            blocks += [BasicBlock(channels, channels, 1) for _ in range(num_blocks - 1)]
            layers.append(nn.Sequential(*blocks))
            before = channels
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.apply(_initialise)

    def forward(self, volumes: Tensor) -> Tensor:
        """(B, C, L, H, W) -> (B, 512)."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(volumes))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return self.avgpool(maps).flatten(1)


class BasicBlock(nn.Module):
    """Two 3 x 3 x 3 convolutions and a shortcut, a projection where the size changes.

    Args:
        in_channels: Channels before.
        out_channels: Channels after.
        stride: Of the first convolution, in time, height and width.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(out_channels)
        self.conv2 = nn.Conv3d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm3d(out_channels),
            )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, l, h, w) -> (B, C', l', h', w')."""
        changed = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps)))))
        return self.relu(changed + self.downsample(maps))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
