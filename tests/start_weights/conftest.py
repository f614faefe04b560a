"""Start weights made up in the tests: files that look like those of other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

Shapes = dict[str, tuple[int, ...]]


def thin(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors of given shapes, each with one value of its own, so that a file of them is small."""
    return {
        name: torch.zeros((), dtype=torch.int64)
        if name.endswith("num_batches_tracked")
        else torch.tensor(0.01 * number + 0.01).expand(shape)
        for number, (name, shape) in enumerate(shapes.items())
    }


def batch_norm(name: str, channels: int) -> Shapes:
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{each}": (channels,) for each in names} | {f"{name}.num_batches_tracked": ()}


def resnet_shapes(architecture: str, in_channels: int = 3) -> Shapes:
    """As torchvision names them; without the last layer."""
    with torch.device("meta"):
        network = getattr(torchvision.models, architecture)()
    network.fc = nn.Identity()
    shapes: Shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    return {**shapes, "conv1.weight": (64, in_channels, 7, 7)}


def tiny_motionnet_shapes(width: float = 1.0) -> Shapes:
    """DeepEthogram's names of TinyMotionNet for 11 frames, with fewer channels if wanted."""
    c64, c128, c256 = (max(1, round(number * width)) for number in (64, 128, 256))
    convolutions = {
        "conv1": (c64, 33, 7, 7),
        "conv2": (c128, c64, 5, 5),
        "conv3": (c256, c128, 3, 3),
        "conv4": (c128, c256, 3, 3),
        "xconv3": (c128, c256 + c128 + 20, 3, 3),
        "xconv2": (c64, c128 + c64 + 20, 3, 3),
    }
    shapes: Shapes = {
        "deconv3.0.weight": (c128, c128, 4, 4),
        "deconv3.0.bias": (c128,),
        "deconv2.0.weight": (c128, c64, 4, 4),
        "deconv2.0.bias": (c64,),
        "predict_flow4.weight": (20, c128, 3, 3),
        "predict_flow3.weight": (20, c128, 3, 3),
        "predict_flow2.weight": (20, c64, 3, 3),
    }
    for name, shape in convolutions.items():
        shapes |= {f"{name}.0.weight": shape, f"{name}.0.bias": shape[:1]}
        shapes |= batch_norm(f"{name}.1", shape[0])
    for name in ("upsampled_flow4_to_3", "upsampled_flow3_to_2"):
        shapes |= {f"{name}.weight": (20, 20, 4, 4), f"{name}.bias": (20,)}
    return shapes


def extractor_shapes(num_outputs: int, architecture: str = "resnet18") -> Shapes:
    """DeepEthogram's names of a whole feature extractor, with a narrow flow generator."""
    shapes: Shapes = {}
    for stream, channels in (("spatial_classifier", 3), ("flow_classifier", 20)):
        layers = resnet_shapes(architecture, channels)
        shapes |= {f"{stream}.0.{name}": shape for name, shape in layers.items()}
        if architecture == "resnet50":
            shapes[f"{stream}.0.compression_fc.0.weight"] = (512, 2048)
            shapes[f"{stream}.0.compression_fc.0.bias"] = (512,)
        shapes[f"{stream}.1.weight"] = (num_outputs, 512)
        shapes[f"{stream}.1.bias"] = (num_outputs,)
    generator = tiny_motionnet_shapes(width=0.1)
    return shapes | {f"flow_generator.{name}": shape for name, shape in generator.items()}


def save_deepethogram(tensors: Mapping[str, Tensor], path: Path) -> Path:
    """What DeepEthogram writes after every epoch as checkpoint.pt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "epoch": 3,
        "state_dict": dict(tensors),
        "optimizer": None,
        "hyperparameters": None,
    }
    torch.save(content, path)
    return path


@pytest.fixture
def write_extractor(tmp_path: Path) -> Callable[..., Path]:
    """``write_extractor(num_outputs, architecture=…, names=…)``: a checkpoint.pt in a run folder.

    The rows of its heads are told apart by 1 per row; `names` go into config.yaml beside it.
    """

    def write(
        num_outputs: int, architecture: str = "resnet18", names: tuple[str, ...] = ()
    ) -> Path:
        tensors = thin(extractor_shapes(num_outputs, architecture))
        for stream in ("spatial_classifier", "flow_classifier"):
            rows = torch.arange(float(num_outputs))
            tensors[f"{stream}.1.weight"] = rows[:, None].expand(-1, 512)
            tensors[f"{stream}.1.bias"] = rows
        folder = tmp_path / "220101_120000_feature_extractor_train"
        path = save_deepethogram(tensors, folder / "checkpoint.pt")
        if names:
            listed = "".join(f"  - {name}\n" for name in names)
            (folder / "config.yaml").write_text(
                f"project:\n  class_names:\n{listed}", encoding="utf-8"
            )
        return path

    return write


@pytest.fixture
def write_flow_generator(tmp_path: Path) -> Callable[..., Path]:
    """``write_flow_generator(width)``: a checkpoint.pt of TinyMotionNet."""

    def write(width: float = 0.1) -> Path:
        folder = tmp_path / "220101_110000_flow_generator_train"
        return save_deepethogram(thin(tiny_motionnet_shapes(width)), folder / "checkpoint.pt")

    return write


@pytest.fixture(scope="session")
def write_resnet(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``write_resnet(architecture)``: a state dict as torchvision publishes it."""

    def write(architecture: str = "resnet18") -> Path:
        shapes = resnet_shapes(architecture)
        last = 512 if architecture in ("resnet18", "resnet34") else 2048
        shapes |= {"fc.weight": (1000, last), "fc.bias": (1000,)}
        path = tmp_path_factory.mktemp("weights") / f"{architecture}.pth"
        torch.save(thin(shapes), path)
        return path

    return write
