"""Tensors under the names of where they come from in, under those of our networks out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from torch import Tensor

from pixelethogram.errors import InputError, UsageError
from pixelethogram.interop.deepethogram_weights import (
    BACKGROUND,
    name_outputs,
    rename_features,
    rename_flow,
    rename_sequence,
)
from pixelethogram.runs import Run, Stage
from pixelethogram.start_weights.sources import DEEPETHOGRAM, Source

STREAMS = ("spatial", "motion")
BODY, HEAD = "backbone", "head"

LAST_OF_TGM = tuple(
    f"network.{head}.{layer}." for head in ("direct", "smoothed") for layer in ("output", "norm")
)

# blocks per layer, whether the blocks are bottlenecks
RESNETS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}


@dataclasses.dataclass(frozen=True)
class Named:
    """Tensors under our names, and the network that they are of."""

    tensors: dict[str, Tensor]
    network: str
    notes: tuple[str, ...] = ()
    """What the user has to check."""
    knows_outputs: bool = True
    """Its behaviors are this project's; else what depends on their number is not to be used."""


def name_flow(source: Source, setting: str) -> Named:
    """Tensors of a flow network, "network." in front.

    A flow network is also found inside runs of the features stage and DeepEthogram's extractors.
    """
    tensors = source.tensors
    if source.run is not None:
        _refuse_stage(source.run, setting, ("flow", "features"))
        inside = _inside(tensors, "flow.")
        return Named(inside or tensors, source.run.config.flow.model.name)
    if source.kind == DEEPETHOGRAM:
        network, tensors = rename_flow(tensors)
        return Named(tensors, network)
    if not _inside(tensors, "network."):
        tensors = {f"network.{name}": tensor for name, tensor in tensors.items()}
    return Named(tensors, describe_network(_inside(tensors, "network.")))


def name_features(source: Source, outputs: tuple[str, ...], setting: str) -> Named:
    """Tensors of both streams, "spatial." or "motion." in front; a lone backbone fills both.

    Args:
        source: Whatever was given.
        outputs: Of our network; the rows of the source's heads are put in this order. Heads of a
            file that does not say its behaviors get a name that fits nothing.
        setting: Named in errors.
    """
    if source.run is not None:
        _refuse_stage(source.run, setting, ("features",))
        theirs = name_run_outputs(source.run)
        tensors = _order_heads(source.tensors, theirs, outputs)
        return Named(tensors, source.run.config.features.model.name)
    if source.kind == DEEPETHOGRAM:
        return _name_extractor(source, outputs, setting)
    tensors = source.tensors
    if whole := _inside(tensors, f"{STREAMS[0]}.{BODY}."):
        return Named(_order_heads(tensors, (), outputs), describe_network(whole))
    doubled = {
        f"{stream}.{BODY}.{name}": tensor for stream in STREAMS for name, tensor in tensors.items()
    }
    return Named(doubled, describe_network(tensors))


def name_sequence(
    source: Source, outputs: tuple[str, ...], setting: str, mean: Tensor, std: Tensor
) -> Named:
    """Tensors of a sequence model, "network." in front.

    Args:
        source: A sequence run, a file of ours, or a sequence model of DeepEthogram. The latter was
            given features as they are: what z-scoring changes is put into its first layer.
        outputs: Of our network, which must be among the source's.
        setting: Named in errors.
        mean: (D,) of the features, which z-scoring subtracts.
        std: (D,) which z-scoring divides by.
    """
    tensors = source.tensors
    if source.run is not None:
        _refuse_stage(source.run, setting, ("sequence",))
        _refuse_ensemble(source.run, setting)
        _refuse_outputs(name_run_outputs(source.run), outputs, source, setting, in_order=True)
        return Named(tensors, source.run.config.sequence.model.name)
    if source.kind == DEEPETHOGRAM:
        return _name_tgm(source, outputs, setting, mean, std)
    if not _inside(tensors, "network."):
        tensors = {f"network.{name}": tensor for name, tensor in tensors.items()}
    found = describe_network(_inside(tensors, "network."))
    return Named(tensors, found, knows_outputs=False)


def name_run_outputs(run: Run) -> tuple[str, ...]:
    """Behaviors of the outputs of a run; "none of them" is the background."""
    return (*run.behaviors, BACKGROUND) if run.exclusive else run.behaviors


def describe_network(tensors: Mapping[str, Tensor]) -> str:
    """Name of the network whose backbone these tensors are, as far as their names tell."""
    blocks = tuple(
        len({name.split(".")[1] for name in tensors if name.startswith(f"layer{layer}.")})
        for layer in (1, 2, 3, 4)
    )
    found = RESNETS.get((blocks, "layer1.0.conv3.weight" in tensors))
    if found is None:
        layers = list(dict.fromkeys(name.partition(".")[0] for name in tensors))
        return f"a network of {', '.join(layers[:5])}{', ...' if len(layers) > 5 else ''}"
    first = tensors.get("conv1.weight")
    in_time = first is not None and first.ndim == 5
    return found.replace("resnet", "resnet3d_") if in_time else found


def _name_extractor(source: Source, outputs: tuple[str, ...], setting: str) -> Named:
    tensors = rename_features(source.tensors)
    body = _inside(tensors, f"{STREAMS[0]}.{BODY}.")
    if not body:
        raise UsageError(
            f"{source.path} is a flow generator of DeepEthogram",
            where=setting,
            do="give it as flow.start_weights, and a feature extractor here",
        )
    num_outputs = len(tensors[f"{STREAMS[0]}.{HEAD}.weight"])
    theirs, note = name_outputs(source.path, num_outputs, outputs)
    ordered = _order_heads(tensors, theirs, outputs)
    return Named(ordered, describe_network(body), (note,) if note else ())


def _name_tgm(
    source: Source, outputs: tuple[str, ...], setting: str, mean: Tensor, std: Tensor
) -> Named:
    tensors = rename_sequence(source.tensors)
    last = [name for name in tensors if name.startswith(LAST_OF_TGM) and tensors[name].ndim]
    theirs, note = name_outputs(source.path, len(tensors[last[0]]) if last else 0, outputs)
    _refuse_outputs(theirs, outputs, source, setting)
    rows = [theirs.index(name) for name in outputs]
    tensors |= {name: tensors[name][rows] for name in last}
    for head in ("direct", "smoothed"):
        weight, bias = (f"network.{head}.hidden.{name}" for name in ("weight", "bias"))
        if weight in tensors and tensors[weight].shape[1] == len(mean):
            tensors[bias] = tensors[bias] + tensors[weight] @ mean
            tensors[weight] = tensors[weight] * std
    return Named(tensors, "tgm", (note,) if note else ())


def _refuse_ensemble(run: Run, setting: str) -> None:
    if run.config.sequence.ensemble_folds > 1:
        raise UsageError(
            f"run {run.id} is an ensemble of several models",
            where=setting,
            do="give a run with sequence.ensemble_folds = 1",
        )


def _refuse_outputs(
    theirs: Sequence[str],
    ours: Sequence[str],
    source: Source,
    setting: str,
    *,
    in_order: bool = False,
) -> None:
    if list(theirs) != list(ours) if in_order else not set(ours) <= set(theirs):
        raise InputError(
            f"{source.path} was trained for {', '.join(theirs) or 'unknown behaviors'}, "
            f"this project has {', '.join(ours)}",
            where=setting,
            do="give weights for the same behaviors, or none",
        )


def _order_heads(
    tensors: Mapping[str, Tensor], theirs: Sequence[str], ours: Sequence[str]
) -> dict[str, Tensor]:
    """Rows of the heads for our outputs; where one is not theirs, heads fit no name of ours."""
    known = set(ours) <= set(theirs)
    rows = [theirs.index(name) for name in ours] if known else []
    ordered: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.split(".")[1:2] != [HEAD]:
            ordered[name] = tensor
        elif known:
            ordered[name] = tensor[rows]
        else:
            ordered[f"{name} (of other behaviors)"] = tensor
    return ordered


def _inside(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _refuse_stage(run: Run, setting: str, stages: tuple[Stage, ...]) -> None:
    if run.stage not in stages:
        raise UsageError(
            f"run {run.id} is a {run.stage} run",
            where=setting,
            do=f"give the folder of a {' or '.join(stages)} run",
        )
