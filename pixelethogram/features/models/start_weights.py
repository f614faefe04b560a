"""Start weights: a torchvision state dict in, both streams of a TwoStream filled, a report out.

Sources: Wang et al. 2016 (temporal segment networks) for the mean over colors in the first layer;
Li et al. 2018 for L2-SP, which needs the start tensors.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pixelethogram.errors import InputError, ResourceError
from pixelethogram.features.models.two_stream import Stream, TwoStream

STREAMS = ("spatial", "motion")
FIRST_LAYER = "conv1.weight"
COUNTER = "num_batches_tracked"
REMEDY = "give features.start_weights a file, or none"


@dataclass(frozen=True)
class StartReport:
    """What became of every tensor; names as in the network, `ignored` as in the file.

    Args:
        matched: Tensors equal to the file.
        adapted: First layers, made from the file's for another number of channels.
        new: Tensors the file has nothing for.
        ignored: Tensors of the file that the network has no use for.
        reference: Start values (float32 copies) of the convolution and linear weights that were
            matched or adapted: what L2-SP pulls towards. No biases, no normalisation.
    """

    matched: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    reference: Mapping[str, Tensor] = field(default_factory=dict)


def load_start_weights(network: TwoStream, source: str | Path) -> StartReport:
    """Fill the backbones of both streams; heads and the flow network stay as they are.

    Args:
        network: Changed in place.
        source: "none" changes nothing; "torchvision" downloads ImageNet weights, once, into torch's
            cache; anything else is a state-dict file of the same architecture.

    Returns:
        Which tensors start from where.

    Raises:
        InputError: The file is missing, is no state dict, or is of another architecture.
        ResourceError: The download failed.
    """
    if str(source) == "none":
        return StartReport(new=tuple(_tensor_names(network)))
    tensors = _download() if str(source) == "torchvision" else _read_file(Path(source))
    for stream in (network.spatial, network.motion):
        _check_architecture(stream.backbone, tensors, source)
    filled = {
        **_fill("spatial", network.spatial, tensors),
        **_fill("motion", network.motion, tensors),
    }
    adapted = tuple(name for name, was_adapted in filled.items() if was_adapted)
    return StartReport(
        matched=tuple(name for name in filled if name not in adapted),
        adapted=adapted,
        new=tuple(name for name in _tensor_names(network) if name not in filled),
        ignored=tuple(sorted(set(tensors) - set(network.spatial.backbone.state_dict()))),
        reference={
            name: parameter.detach().float().clone()
            for name, parameter in decayed_weights(network).items()
            if name in filled
        },
    )


def decayed_weights(network: TwoStream) -> dict[str, nn.Parameter]:
    """Weights of all convolutions and linear layers of both streams, by name: what decays."""
    return {
        f"{prefix}.{name}.weight": module.get_parameter("weight")
        for prefix in STREAMS
        for name, module in network.get_submodule(prefix).named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)
    }


def adapt_first_layer(weight: Tensor, in_channels: int) -> Tensor:
    """Weights for another number of channels that answer a grey input as before.

    Args:
        weight: (F, 3, h, w) of a layer for red, green, blue.
        in_channels: Channels of the new layer, C.

    Returns:
        (F, C, h, w), the mean over the colors times 3 / C.
    """
    mean = weight.mean(dim=1, keepdim=True) * (weight.shape[1] / in_channels)
    return mean.repeat(1, in_channels, 1, 1)


def _tensor_names(network: TwoStream) -> list[str]:
    """Trained tensors of both streams, without the counters of batch normalisation."""
    return [
        f"{prefix}.{name}"
        for prefix in STREAMS
        for name in network.get_submodule(prefix).state_dict()
        if not name.endswith(COUNTER)
    ]


def _download() -> dict[str, Tensor]:
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.IMAGENET1K_V1
    try:
        return dict(
            weights.get_state_dict(
                progress=False, check_hash=True, map_location="cpu", weights_only=True
            )
        )
    except (OSError, RuntimeError) as error:  # no network, disk full; a download that is damaged
        raise ResourceError(
            f"the ImageNet start weights could not be downloaded: {error}",
            where=weights.url,
            why="no network, or the download was damaged",
            do=REMEDY,
        ) from error


def _read_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"there is no file {path}", where="features.start_weights", do=REMEDY)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise _no_state_dict(path) from error
    if not _is_state_dict(content):
        raise _no_state_dict(path)
    return dict(content)


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(value, Tensor) for value in content.values())
    )


def _no_state_dict(path: Path) -> InputError:
    return InputError(
        f"{path} does not hold a state dict (names and tensors)",
        where="features.start_weights",
        why="it is damaged, or another kind of file, e.g. a whole training checkpoint",
        do="save the weights alone: torch.save(model.state_dict(), path)",
    )


def _check_architecture(
    backbone: nn.Module, tensors: Mapping[str, Tensor], source: str | Path
) -> None:
    """Refuse unless the file has every tensor of the backbone and no further one in its layers."""
    own = {name: tensor for name, tensor in backbone.state_dict().items() if COUNTER not in name}
    layers = {name.partition(".")[0] for name in own}
    missing = [name for name in own if name not in tensors]
    unfit = [name for name in own if name in tensors and not _fits(name, tensors[name], own[name])]
    surplus = [
        name
        for name in tensors
        if name not in own and COUNTER not in name and name.partition(".")[0] in layers
    ]
    if missing or unfit or surplus:
        num_matching = len(own) - len(missing) - len(unfit)
        raise InputError(
            f"the start weights are of another network: {num_matching} of {len(own)} tensors fit",
            where=source,
            why=f"first difference: {(missing + unfit + surplus)[0]}",
            do="give weights of a torchvision resnet18, or none",
        )


def _fits(name: str, theirs: Tensor, ours: Tensor) -> bool:
    if theirs.shape == ours.shape:
        return True
    if name != FIRST_LAYER or theirs.ndim != ours.ndim:
        return False
    return theirs.shape[1] == 3 and theirs.shape[2:] == ours.shape[2:] and len(theirs) == len(ours)


def _fill(prefix: str, stream: Stream, tensors: Mapping[str, Tensor]) -> dict[str, bool]:
    """Copy the file into one backbone: name in the network -> whether it had to be adapted."""
    filled = {}
    with torch.no_grad():
        for name, tensor in stream.backbone.state_dict().items():
            if COUNTER in name:
                continue
            start = tensors[name].to(tensor.dtype)
            adapted = start.shape != tensor.shape
            tensor.copy_(adapt_first_layer(start, tensor.shape[1]) if adapted else start)
            filled[f"{prefix}.backbone.{name}"] = adapted
    return filled
