"""Start weights into the networks of the stages: a setting in, a filled network, a report out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pixelethogram.config import FeaturesConfig, FlowConfig, SequenceConfig
from pixelethogram.errors import InputError
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.interop.deepethogram_weights import find_peculiarities
from pixelethogram.progress import Progress
from pixelethogram.runs import Run, Stage, read_yaml, write_yaml
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.start_weights.fill import COUNTER, fill, plan_filling
from pixelethogram.start_weights.naming import (
    BODY,
    STREAMS,
    Named,
    name_features,
    name_flow,
    name_sequence,
)
from pixelethogram.start_weights.report import StartReport
from pixelethogram.start_weights.sources import DEEPETHOGRAM, NONE, Source, open_source

FULL_LIST = "start_weights.yaml"
TRAINED_WITH: dict[Stage, tuple[str, ...]] = {
    "features": ("spatial_view", "flow_weight"),
    "sequence": ("kernel", "compatible"),
}
"""Settings of a stage's network that weights bring along from the run they come from."""


def load_flow_weights(
    network: FlowGenerator, settings: FlowConfig, progress: Progress
) -> StartReport:
    """Fill the flow network; mean and standard deviation of the colors stay the project's own.

    Args:
        network: Changed in place.
        settings: `start_weights`: none, a file of weights (ours, or DeepEthogram's flow generator
            or feature extractor), or the folder of a flow or features run.
        progress: Told of a download.

    Raises:
        UsageError: There are no such start weights for a flow network.
        InputError: They cannot be read, or are of another network.
    """
    bodies = ["network"]
    if settings.start_weights == NONE:
        return StartReport(new=_tensor_names(network, bodies))
    own = settings.model.name
    source = open_source(settings.start_weights, "flow.start_weights", own, progress)
    named = name_flow(source, "flow.start_weights")
    report = _fill(network, named, bodies=bodies, heads=[], own=own, source=source)
    return dataclasses.replace(report, source=settings.start_weights)


def load_features_weights(
    network: TwoStream, settings: FeaturesConfig, outputs: tuple[str, ...], progress: Progress
) -> StartReport:
    """Fill both streams; the flow network stays as it is.

    Heads are filled by behavior, from the outputs of the same names, if there is one for each.

    Args:
        network: Changed in place.
        settings: `start_weights`: none; torchvision (ImageNet weights); a file of weights of the
            backbone, of a whole network of ours, or of a feature extractor of DeepEthogram; or the
            folder of a features run.
        outputs: Behaviors in the order of the outputs, and `background` for "none of them".
        progress: Told of a download.

    Raises:
        UsageError: There are no such start weights for this network.
        InputError: They cannot be read, or are of another network.
        ResourceError: The download failed.
    """
    if settings.start_weights == NONE:
        return StartReport(new=_tensor_names(network, STREAMS))
    own = settings.model.name
    source = open_source(settings.start_weights, "features.start_weights", own, progress)
    named = name_features(source, outputs, "features.start_weights")
    parts = [
        f"{stream}.{part}"
        for stream in STREAMS
        for part, _ in network.get_submodule(stream).named_children()
    ]
    bodies = [part for part in parts if part.endswith(f".{BODY}")]
    heads = [part for part in parts if part not in bodies]
    report = _fill(network, named, bodies=bodies, heads=heads, own=own, source=source)
    return _with_settings(report, source, "features", settings)


def load_sequence_weights(
    network: NormalizedSequence,
    settings: SequenceConfig,
    outputs: tuple[str, ...],
    progress: Progress,
) -> StartReport:
    """Fill the sequence model.

    A run or a file of ours brings its mean and standard deviation of the features along. A file
    does not say its behaviors: what depends on their number stays new. A model of DeepEthogram
    keeps its answers, although its features are z-scored now, but for frames near the ends.

    Args:
        network: Changed in place.
        settings: `start_weights`: none, a file of weights (ours, or DeepEthogram's `tgmj`), or the
            folder of a sequence run.
        outputs: Behaviors in the order of the outputs, and `background` for "none of them".
        progress: Told of a download.

    Raises:
        UsageError: There are no such start weights for a sequence model.
        InputError: They cannot be read, are of another network, or for other behaviors.
    """
    bodies = ["network"]
    if settings.start_weights == NONE:
        return StartReport(new=_tensor_names(network, bodies))
    own = settings.model.name
    source = open_source(settings.start_weights, "sequence.start_weights", own, progress)
    named = name_sequence(
        source, outputs, "sequence.start_weights", network.mean.cpu(), network.std.cpu()
    )
    unknown = set() if named.knows_outputs else _find_outputs(network, settings, len(outputs))
    report = _fill(network, named, bodies=bodies, heads=[], own=own, source=source, unknown=unknown)
    if {"mean", "std"} <= named.tensors.keys():
        network.mean.copy_(named.tensors["mean"])
        network.std.copy_(named.tensors["std"])
    return _with_settings(report, source, "sequence", settings)


def find_trained_with(source: Source, stage: Stage) -> dict[str, Any]:
    """Settings of a stage's network that weights were trained with, as far as that is known."""
    if source.kind == DEEPETHOGRAM:
        found = find_peculiarities(source.tensors)
    elif source.run is not None and source.run.stage == stage:
        found = getattr(source.run.config, stage).model.model_dump()
    else:
        found = {}
    return {key: found[key] for key in TRAINED_WITH[stage] if key in found}


def _with_settings(
    report: StartReport, source: Source, stage: Stage, settings: FeaturesConfig | SequenceConfig
) -> StartReport:
    """The report with the settings that the weights were trained with, as far as they matter."""
    model = settings.model.model_dump()
    found = find_trained_with(source, stage)
    wanted = {key: value for key, value in found.items() if key in model}
    texts = {key: f"{stage}.model.{key} = {value}" for key, value in wanted.items()}
    return dataclasses.replace(
        report,
        source=settings.start_weights,
        shares=tuple(texts[key] for key in wanted if model[key] == wanted[key]),
        differs=tuple(
            f"{texts[key]}; this run has {model[key]}"
            for key in wanted
            if model[key] != wanted[key]
        ),
    )


def record_start(
    run: Run, report: StartReport, network: nn.Module, progress: Progress
) -> dict[nn.Parameter, Tensor]:
    """Say what became of the start weights, and write the full list into the run's folder.

    Args:
        run: The run that begins, or goes on.
        report: Of the network.
        network: Where it will be trained.
        progress: Is told the short form.

    Returns:
        Start values by parameter, which L2-SP pulls towards, on the parameters' device.

    Raises:
        InputError: The run was broken off, and its start weights have changed since.
    """
    path = run.folder / FULL_LIST
    if path.exists() and read_yaml(path)["sha256"] != report.sha256:
        raise InputError(
            f"the start weights of run {run.id} have changed since it was broken off",
            where=report.source,
            do="put the old file back, or begin anew with --no-resume",
        )
    write_yaml(path, report.to_lists())
    for line in report.to_lines():
        progress.message(line)
    parameters = dict(network.named_parameters())
    return {
        parameters[name]: start.to(parameters[name].device)
        for name, start in report.reference.items()
    }


def _fill(
    network: nn.Module,
    named: Named,
    *,
    bodies: Sequence[str],
    heads: Sequence[str],
    own: str,
    source: Source,
    unknown: Collection[str] = (),
) -> StartReport:
    plan = plan_filling(
        network,
        named.tensors,
        bodies=bodies,
        heads=heads,
        networks=(named.network, own),
        where=source.path,
    )
    values = {name: value for name, value in plan.values.items() if name not in unknown}
    dropped = tuple(name for name in plan.values if name in unknown)
    return StartReport(
        kind=source.kind,
        network=named.network,
        sha256=source.sha256,
        matched=tuple(name for name in values if name not in plan.adapted),
        adapted=plan.adapted,
        new=plan.new + dropped,
        ignored=plan.ignored + dropped,
        notes=named.notes,
        reference=fill(network, values),
    )


def _find_outputs(
    network: NormalizedSequence, settings: SequenceConfig, num_outputs: int
) -> set[str]:
    """Tensors that another number of behaviors, or of raters, gives another shape or place."""
    with torch.device("meta"):
        wider = settings.model.build(len(network.mean), num_outputs + 1).state_dict()
    return {
        f"network.{name}"
        for name, tensor in network.network.state_dict().items()
        if name not in wider or tensor.shape != wider[name].shape
    }


def _tensor_names(network: nn.Module, parts: Sequence[str]) -> tuple[str, ...]:
    """Tensors of some parts, without the counters of batch normalisation."""
    begins = tuple(f"{part}." for part in parts)
    return tuple(
        name for name in network.state_dict() if name.startswith(begins) and COUNTER not in name
    )
