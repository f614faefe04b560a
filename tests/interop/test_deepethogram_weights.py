"""DeepEthogram's names of tensors: all of its networks under our names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.interop.deepethogram_weights import (
    find_peculiarities,
    is_deepethogram,
    name_outputs,
    rename_features,
    rename_flow,
    rename_sequence,
)
from pixelethogram.sequence.models.tgm import TGMConfig

ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
PRESETS = {
    "deg_f": ("tiny_motionnet", "resnet18"),
    "deg_m": ("motionnet", "resnet50"),
    "deg_s": ("tiny_motionnet_3d", "resnet3d_34"),
}
GENERATORS = {
    "tinymotionnet": "tiny_motionnet",
    "motionnet": "motionnet",
    "tinymotionnet3d": "tiny_motionnet_3d",
}


def tensors_of(golden: Path, name: str) -> dict[str, Tensor]:
    """Tensors without content, with the reference's names and shapes."""
    entries = json.loads((golden / f"{name}.json").read_text())["state_dict"]
    return {key: torch.empty(entry["shape"], device="meta") for key, entry in entries.items()}


def shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def empty(*names: str) -> dict[str, Tensor]:
    return {name: torch.empty(0) for name in names}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_tensor_of_an_extractor_has_a_place(golden: Path, preset: str) -> None:
    tensors = tensors_of(golden, preset)
    flow_name, features_name = PRESETS[preset]
    with torch.device("meta"):
        flow = FlowGenerator(FLOW_MODELS[flow_name]().build(), ZEROS, ONES)
        network = FEATURES_MODELS[features_name]().build(nn.Identity(), 5, ZEROS, ONES)
    streams = {
        name: shape
        for name, shape in shapes(rename_features(tensors)).items()
        if not name.startswith("flow_generator.")
    }
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert streams == {name: shape for name, shape in own.items() if name not in ("mean", "std")}
    found, renamed = rename_flow(tensors)
    assert found == flow_name
    own = {name: tuple(value.shape) for name, value in flow.state_dict().items()}
    assert shapes(renamed) == {
        name: shape for name, shape in own.items() if name not in ("mean", "std")
    }


@pytest.mark.parametrize("name", GENERATORS)
def test_every_tensor_of_a_flow_generator_has_a_place(golden: Path, name: str) -> None:
    found, renamed = rename_flow(tensors_of(golden, name))
    assert found == GENERATORS[name]
    with torch.device("meta"):
        network = FLOW_MODELS[found]().build()
    own = {f"network.{key}": tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes(renamed) == own


def test_every_tensor_of_a_sequence_model_has_a_place(golden: Path) -> None:
    with torch.device("meta"):
        network = TGMConfig(compatible=True).build(1024, 5)
    own = {f"network.{key}": tuple(value.shape) for key, value in network.state_dict().items()}
    found = shapes(rename_sequence(tensors_of(golden, "tgmj")))
    counters = {f"network.{head}.norm.num_batches_tracked" for head in ("direct", "smoothed")}
    assert found.keys() - own.keys() == counters
    assert {name: found[name] for name in own} == own


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("tgm_layers.1.gamma", ["smoothing.layers.1.kernels.width"]),
        ("tgm_layers.2.delta", ["unused.2"]),
        ("h2.bias", ["unused.4"]),
        ("h.bias", ["direct.hidden.bias", "smoothed.hidden.bias"]),
        ("classify2.1.running_var", ["smoothed.norm.running_var"]),
    ],
)
def test_names_of_sequence_models(theirs: str, ours: list[str]) -> None:
    assert list(rename_sequence(empty(theirs))) == [f"network.{name}" for name in ours]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("spatial_classifier.0.conv1.weight", "spatial.backbone.conv1.weight"),
        ("spatial_classifier.0.layer1.0.bn1.bias", "spatial.backbone.layer1.0.bn1.bias"),
        ("flow_classifier.0.compression_fc.0.bias", "motion.compression.0.bias"),
        ("flow_classifier.1.weight", "motion.head.weight"),
        ("fusion.fc.weight", "fusion.fc.weight"),
        ("spatial_classifier.2.weight", "spatial_classifier.2.weight"),
    ],
)
def test_names_of_extractors(theirs: str, ours: str) -> None:
    assert list(rename_features(empty(theirs))) == [ours]


@pytest.mark.parametrize(
    ("mark", "theirs", "ours"),
    [
        ("predict_flow2.weight", "deconv3.0.bias", "up3.0.bias"),
        ("predict_flow2.weight", "xconv2.1.running_var", "merge2.1.running_var"),
        ("predict_flow2.weight", "upsampled_flow3_to_2.bias", "up_flow2.bias"),
        ("conv5.0.weight", "predict_flow3.0.bias", "flow3.bias"),
        ("conv5.0.weight", "iconv2.1.weight", "pairs2.1.weight"),
        ("conv1_1.0.weight", "conv6_1.1.bias", "encoder.5.1.1.bias"),
        ("conv1_1.0.weight", "upsampled_flow6_to_5.bias", "decoder.0.up_flow.bias"),
        ("conv1_1.0.weight", "predict_flow2.weight", "decoder.3.flow.weight"),
        ("conv1_1.0.weight", "predict_flow6.weight", "flow6.weight"),
    ],
)
def test_names_of_flow_generators(mark: str, theirs: str, ours: str) -> None:
    _, renamed = rename_flow(empty(mark, theirs))
    assert f"network.{ours}" in renamed


def test_the_flow_generator_of_an_extractor_comes_alone() -> None:
    tensors = empty("flow_generator.conv1.0.weight", "spatial_classifier.1.bias")
    assert list(rename_flow(tensors)[1]) == ["network.conv1.0.weight"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("spatial_classifier.1.bias",), True),
        (("flow_generator.conv1.0.weight",), True),
        (("conv1.0.weight", "predict_flow2.weight"), True),
        (("tgm_layers.0.center", "h.weight"), True),
        (("conv1.weight", "fc.bias"), False),
        (("network.conv1.0.weight", "network.flow2.weight"), False),
        (("spatial.head.bias", "motion.head.bias"), False),
    ],
)
def test_it_is_told_by_its_names(names: tuple[str, ...], expected: bool) -> None:
    assert is_deepethogram(names) is expected


class TestPeculiarities:
    FIRST = "spatial_classifier.0.conv1.weight"

    def test_networks_for_images_saw_two_frames_and_weighed_the_flow(self) -> None:
        found = find_peculiarities({self.FIRST: torch.empty(64, 3, 7, 7)})
        assert found == {"spatial_view": "deepethogram", "flow_weight": 1.5}

    def test_networks_for_volumes_saw_whole_clips(self) -> None:
        found = find_peculiarities({self.FIRST: torch.empty(64, 3, 7, 7, 7)})
        assert found == {"flow_weight": 1.5}

    def test_a_learned_fusion_has_no_weight(self) -> None:
        tensors = {self.FIRST: torch.empty(64, 3, 7, 7), "fusion.fc.weight": torch.empty(5, 1024)}
        assert find_peculiarities(tensors) == {"spatial_view": "deepethogram"}

    def test_a_sequence_model_has_cauchy_kernels(self) -> None:
        found = find_peculiarities(empty("tgm_layers.0.center"))
        assert found == {"kernel": "cauchy", "compatible": True}

    def test_a_flow_generator_has_none(self) -> None:
        assert find_peculiarities(empty("predict_flow2.weight")) == {}


class TestOutputs:
    NAMES = "project:\n  class_names: [background, a, b]\n"

    @pytest.mark.parametrize("place", [".", ".."])
    def test_the_settings_of_the_run_name_them(self, tmp_path: Path, place: str) -> None:
        folder = tmp_path / "run" / "lightning_checkpoints"
        folder.mkdir(parents=True)
        (folder / place / "config.yaml").write_text(self.NAMES)
        found = name_outputs(folder / "last.ckpt", 3, ("x", "y"))
        assert found == (("background", "a", "b"), "")

    @pytest.mark.parametrize(
        "text", ["a: [", "project: 3", "[1, 2]", "project: {class_names: [background, a]}", ""]
    )
    def test_without_them_as_many_outputs_are_ours(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "config.yaml").write_text(text)
        found, note = name_outputs(tmp_path / "checkpoint.pt", 3, ("x", "y"))
        assert found == ("background", "x", "y")
        assert "they are taken for background, x, y, in this order" in note

    def test_another_number_of_outputs_cannot_be_told(self, tmp_path: Path) -> None:
        assert name_outputs(tmp_path / "checkpoint.pt", 3, ("x", "y", "z")) == ((), "")
        assert name_outputs(tmp_path / "checkpoint.pt", 3, ("x",)) == ((), "")
