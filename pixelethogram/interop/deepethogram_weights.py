"""Weights that DeepEthogram trained: its names of tensors in, ours out, and its peculiarities.

Names, shapes and behavior were written down from running DeepEthogram 0.2.0 and 0.5.0; none of its
code or weights is part of this package.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

BACKGROUND = "background"
FUSION = "fusion."

FLOW_PREFIX = "flow_generator"
STREAMS = {"spatial_classifier": "spatial", "flow_classifier": "motion"}
STREAM_LAYERS = {"0.compression_fc": "compression", "0": "backbone", "1": "head"}
TINY_LAYERS = {
    **{f"conv{level}": f"conv{level}" for level in (1, 2, 3, 4)},
    **{f"deconv{level}": f"up{level}" for level in (3, 2)},
    **{f"xconv{level}": f"merge{level}" for level in (3, 2)},
    **{f"predict_flow{level}": f"flow{level}" for level in (4, 3, 2)},
    "upsampled_flow4_to_3": "up_flow3",
    "upsampled_flow3_to_2": "up_flow2",
}
TINY_3D_LAYERS = {
    **TINY_LAYERS,
    **{f"predict_flow{level}.0": f"flow{level}" for level in (4, 3, 2)},
    "conv5": "pairs4",
    "iconv3": "pairs3",
    "iconv2": "pairs2",
}
MOTIONNET_LAYERS = {
    **{f"conv{level}": f"encoder.{level - 1}.0" for level in range(1, 7)},
    **{f"conv{level}_1": f"encoder.{level - 1}.1" for level in range(1, 7)},
    **{f"deconv{level}": f"decoder.{5 - level}.up" for level in (5, 4, 3, 2)},
    **{f"xconv{level}": f"decoder.{5 - level}.merge" for level in (5, 4, 3, 2)},
    **{f"predict_flow{level}": f"decoder.{5 - level}.flow" for level in (5, 4, 3, 2)},
    **{f"upsampled_flow{up + 1}_to_{up}": f"decoder.{5 - up}.up_flow" for up in (5, 4, 3, 2)},
    "predict_flow6": "flow6",
}
FLOW_NETWORKS = {
    "motionnet": MOTIONNET_LAYERS,
    "tiny_motionnet_3d": TINY_3D_LAYERS,
    "tiny_motionnet": TINY_LAYERS,
}
TGM_LAYERS, NUM_TGM_LAYERS = "tgm_layers", 3
TGM_TENSORS = {
    "center": "kernels.center",
    "gamma": "kernels.width",
    "soft_attn": "mixing",
    "cls_attn": "channels",
}
TGM_HEADS = {"classify1": "direct", "classify2": "smoothed"}
TGM_HEAD_LAYERS = {"0": "output", "1": "norm"}


def is_deepethogram(names: Iterable[str]) -> bool:
    """Whether tensors are named as in one of DeepEthogram's networks."""
    layers = {name.partition(".")[0] for name in names}
    known = {*STREAMS, FLOW_PREFIX, "predict_flow2", TGM_LAYERS}
    return not known.isdisjoint(layers)


def rename_features(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Both streams of a feature extractor under our names; other tensors keep theirs."""
    table = {
        f"{theirs}.{layer}": f"{ours}.{our_layer}"
        for theirs, ours in STREAMS.items()
        for layer, our_layer in STREAM_LAYERS.items()
    }
    return _rename(tensors, table)


def rename_flow(tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """A flow generator, alone or inside a feature extractor: its network, and tensors for it.

    Returns:
        Our name of the network, and the tensors under our names with "network." in front. Those of
        the rest of a feature extractor are left out.
    """
    inside = {name for name in tensors if name.startswith(f"{FLOW_PREFIX}.")}
    alone = {
        name.removeprefix(f"{FLOW_PREFIX}."): tensor
        for name, tensor in tensors.items()
        if name in inside or not inside
    }
    network = _name_flow_network(alone)
    table = {theirs: f"network.{ours}" for theirs, ours in FLOW_NETWORKS[network].items()}
    return network, _rename(alone, table)


def _name_flow_network(names: Collection[str]) -> str:
    if "conv1_1.0.weight" in names:
        return "motionnet"
    return "tiny_motionnet_3d" if "conv5.0.weight" in names else "tiny_motionnet"


def rename_sequence(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A sequence model (`tgmj`) under our names of a compatible TGM, "network." in front.

    Its two heads share their hidden layer; what it declares and never uses is kept as `unused`.
    """
    table = {
        f"{TGM_LAYERS}.{layer}.{theirs}": f"network.smoothing.layers.{layer}.{ours}"
        for layer in range(NUM_TGM_LAYERS)
        for theirs, ours in TGM_TENSORS.items()
    }
    for layer in range(NUM_TGM_LAYERS):
        table[f"{TGM_LAYERS}.{layer}.delta"] = f"network.unused.{layer}"
    for theirs, ours in TGM_HEADS.items():
        for part, our_part in TGM_HEAD_LAYERS.items():
            table[f"{theirs}.{part}"] = f"network.{ours}.{our_part}"
    table |= {"h": "network.direct.hidden"}
    table |= {"h2.weight": f"network.unused.{NUM_TGM_LAYERS}"}
    table |= {"h2.bias": f"network.unused.{NUM_TGM_LAYERS + 1}"}
    renamed = {name: _drop_ones(each) for name, each in _rename(tensors, table).items()}
    shared = {name: each for name, each in renamed.items() if ".direct.hidden." in name}
    return renamed | {name.replace("direct", "smoothed"): each for name, each in shared.items()}


def find_peculiarities(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of our network that the weights were trained with and that are not the defaults.

    The spatial stream of the networks for images was shown green and blue of the frame to be
    classified and red of the next one; the mean of the logits counted the flow stream 1.5 times.
    The kernels of the sequence model are Cauchy densities.
    """
    if any(name.startswith(f"{TGM_LAYERS}.") for name in tensors):
        return {"kernel": "cauchy", "compatible": True}
    first = tensors.get("spatial_classifier.0.conv1.weight")
    if first is None:
        return {}
    settings: dict[str, Any] = {}
    if first.ndim == 4:
        settings["spatial_view"] = "deepethogram"
    if not any(name.startswith(FUSION) for name in tensors):
        settings["flow_weight"] = 1.5
    return settings


def name_outputs(
    checkpoint: Path, num_outputs: int, outputs: tuple[str, ...]
) -> tuple[tuple[str, ...], str]:
    """Behaviors of a network's outputs; empty where that cannot be told.

    The settings of the run, beside the checkpoint or one folder up, say it. Without them, outputs
    that are as many as this project's behaviors and background are taken for those, and a note
    says so.

    Args:
        checkpoint: The file of the weights.
        num_outputs: How many the last layer has.
        outputs: Of our network.

    Returns:
        The behaviors, and what the user has to check, "" where there is nothing.
    """
    for folder in checkpoint.parents[:2]:
        names = _read_class_names(folder / "config.yaml")
        if len(names) == num_outputs:
            return names, ""
    behaviors = tuple(name for name in outputs if name != BACKGROUND)
    if num_outputs != len(behaviors) + 1:
        return (), ""
    assumed = (BACKGROUND, *behaviors)
    return assumed, (
        f"no config.yaml beside the checkpoint names its outputs; they are taken for "
        f"{', '.join(assumed)}, in this order"
    )


def _read_class_names(path: Path) -> tuple[str, ...]:
    """`project.class_names` of a run's settings; empty where there are none."""
    if not path.is_file():
        return ()
    try:
        settings = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return ()
    project = settings.get("project") if isinstance(settings, dict) else None
    names = project.get("class_names") if isinstance(project, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _rename(tensors: Mapping[str, Tensor], table: Mapping[str, str]) -> dict[str, Tensor]:
    """Replace the longest beginning (whole parts of the name) that the table knows."""
    return {_replace(name, table): tensor for name, tensor in tensors.items()}


def _drop_ones(tensor: Tensor) -> Tensor:
    """Without axes of length 1 at the ends: a kernel over one frame is a matrix."""
    while tensor.ndim > 2 and tensor.shape[-1] == 1:
        tensor = tensor[..., 0]
    return tensor[0] if tensor.ndim > 2 and tensor.shape[0] == 1 else tensor


def _replace(name: str, table: Mapping[str, str]) -> str:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        begin = ".".join(parts[:end])
        if begin in table:
            return ".".join([table[begin], *parts[end:]])
    return name
