"""Tensors by name in, a network that holds them out, and what became of each tensor.

Sources: Wang et al. 2016 (temporal segment networks) for the mean over colors in the first layer;
Carreira & Zisserman 2017 (I3D) for kernels repeated over time; Li et al. 2018 for L2-SP, which
needs the start values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from pixelethogram.errors import InputError

COLORS = 3
COUNTER = "num_batches_tracked"
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NAMED_IN_ERRORS = 3


@dataclasses.dataclass(frozen=True)
class Filling:
    """What becomes of every tensor of a network; names as in the network.

    Counters of batch normalisation are no tensors that count.
    """

    values: dict[str, Tensor]
    """Start value of every tensor that has one, in the network's shape."""
    adapted: dict[str, str]
    """Those that were made from a tensor of another shape, and how."""
    new: tuple[str, ...]
    """Those that stay as they are."""
    ignored: tuple[str, ...]
    """Names among the given tensors that the network has no use for."""


def plan_filling(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    bodies: Sequence[str],
    heads: Sequence[str] = (),
    networks: tuple[str, str],
    where: object,
) -> Filling:
    """Decide which tensor goes where; nothing is changed.

    A body is filled by layers (first parts of the names inside it). A layer of which one tensor is
    given must be given whole, and every tensor must have the layer's shape, or one from which it
    can be made (`adapt`). A layer that nothing is given of stays new, but half of the body's
    tensors must be filled. A head takes what is given if all of it fits, else it stays new.

    Args:
        network: The network to be filled.
        tensors: By the network's own names.
        bodies: Submodules that must fit.
        heads: Submodules that may stay new.
        networks: Name of the network that the tensors are of, and of the one to be filled.
        where: The tensors' source, for the error.

    Raises:
        InputError: The tensors are of another network.
    """
    own = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.startswith(tuple(f"{part}." for part in (*bodies, *heads))) and COUNTER not in name
    }
    fitted: dict[str, tuple[Tensor, str]] = {}
    for body in bodies:
        fitted |= _fit_body(
            network.get_submodule(body), body, tensors, networks=networks, where=where
        )
    for head in heads:
        fitted |= _fit_head(network.get_submodule(head), head, tensors)
    return Filling(
        {name: value.to(own[name].dtype) for name, (value, _) in fitted.items()},
        {name: how for name, (_, how) in fitted.items() if how},
        tuple(name for name in own if name not in fitted),
        tuple(name for name in tensors if name not in fitted and COUNTER not in name),
    )


def fill(network: nn.Module, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy start values into a network.

    Returns:
        What L2-SP pulls towards: float32 copies of the filled parameters with two dimensions or
        more, by name. No biases, no normalisation.
    """
    network.load_state_dict({**network.state_dict(), **values})
    return {
        name: parameter.detach().float().clone()
        for name, parameter in network.named_parameters()
        if name in values and parameter.ndim >= 2
    }


def adapt(theirs: Tensor, shape: Sequence[int], *, first: bool) -> tuple[Tensor, str] | None:
    """A start value of another shape, and how it was made; None where that makes no sense.

    Args:
        theirs: The tensor that is given.
        shape: The shape that is needed.
        first: The tensor belongs to the first convolution, whose input channels were colors.

    Example:
        >>> import torch
        >>> weight, how = adapt(torch.ones(8, 3, 7, 7), (8, 20, 7, 7), first=True)
        >>> weight.shape, how
        (torch.Size([8, 20, 7, 7]), '3 -> 20 channels')
    """
    steps = []
    if theirs.ndim == 4 and len(shape) == 5:
        theirs = inflate_time(theirs, shape[2])
        steps.append(f"{shape[2]} frame{'s' * (shape[2] > 1)}")
    if first and theirs.ndim > 2 and theirs.shape[1] == COLORS != shape[1]:
        theirs = inflate_channels(theirs, shape[1])
        steps.append(f"{COLORS} -> {shape[1]} channels")
    return (theirs, ", ".join(steps)) if theirs.shape == tuple(shape) else None


def inflate_channels(weight: Tensor, in_channels: int) -> Tensor:
    """Weights for another number of channels that answer a grey input as before.

    Args:
        weight: (F, 3, ...) of a layer for red, green, blue.
        in_channels: Channels of the new layer, C.

    Returns:
        (F, C, ...), the mean over the colors times 3 / C.
    """
    mean = weight.mean(dim=1, keepdim=True) * (weight.shape[1] / in_channels)
    return mean.repeat_interleave(in_channels, dim=1)


def inflate_time(weight: Tensor, num_frames: int) -> Tensor:
    """Weights of a layer over time that answer a still video as they answered one image.

    Args:
        weight: (F, C, h, w) of a layer for images.
        num_frames: Length of the new kernel, L.

    Returns:
        (F, C, L, h, w), the same at every time, divided by L.
    """
    return (weight / num_frames)[:, :, None].repeat_interleave(num_frames, dim=2)


def _fit_body(
    body: nn.Module,
    prefix: str,
    tensors: Mapping[str, Tensor],
    *,
    networks: tuple[str, str],
    where: object,
) -> dict[str, tuple[Tensor, str]]:
    """Every tensor of a body that has a start value, and how that was made ("" as it is)."""
    own = {name: tensor for name, tensor in body.state_dict().items() if COUNTER not in name}
    given = {
        name.removeprefix(f"{prefix}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}.") and COUNTER not in name
    }
    first = _first_convolution(body)
    fitted = {
        name: made
        for name, tensor in own.items()
        if name in given and (made := _make(given[name], tensor, first=name == first))
    }
    layers = {_layer(name) for name in given} & {_layer(name) for name in own}
    wrong = [
        _difference(name, given.get(name), own.get(name))
        for name in dict.fromkeys([*own, *given])
        if _layer(name) in layers and name not in fitted
    ]
    if wrong or 2 * len(fitted) < len(own):
        absent = dict.fromkeys(_layer(name) for name in own if _layer(name) not in layers)
        shown = "; ".join(wrong[:NAMED_IN_ERRORS]) or f"they have no layers {', '.join(absent)}"
        raise InputError(
            f"the start weights are of another network ({networks[0]}) than this run's "
            f"({networks[1]}): {len(fitted)} of {len(own)} tensors of {prefix} fit",
            where=where,
            why=shown + (f"; and {len(wrong) - NAMED_IN_ERRORS} more" * (len(wrong) > 3)),
            do=f"give weights of {networks[1]}, choose {networks[0]} as the network, or none",
        )
    return {f"{prefix}.{name}": made for name, made in fitted.items()}


def _fit_head(
    head: nn.Module, prefix: str, tensors: Mapping[str, Tensor]
) -> dict[str, tuple[Tensor, str]]:
    own = {f"{prefix}.{name}": tensor for name, tensor in head.state_dict().items()}
    if any(name not in tensors or tensors[name].shape != own[name].shape for name in own):
        return {}
    return {name: (tensors[name], "") for name in own}


def _make(theirs: Tensor, ours: Tensor, *, first: bool) -> tuple[Tensor, str] | None:
    return (theirs, "") if theirs.shape == ours.shape else adapt(theirs, ours.shape, first=first)


def _first_convolution(body: nn.Module) -> str | None:
    """Name of the weight that sees the input."""
    found = (
        f"{name}.weight"
        for name, module in body.named_modules()
        if isinstance(module, CONVOLUTIONS)
    )
    return next(found, None)


def _layer(name: str) -> str:
    return name.partition(".")[0]


def _difference(name: str, theirs: Tensor | None, ours: Tensor | None) -> str:
    if theirs is None:
        return f"{name} is missing"
    if ours is None:
        return f"{name} is one too many"
    return f"{name} is {tuple(theirs.shape)} there and {tuple(ours.shape)} here"
