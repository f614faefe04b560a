"""Start weights into whole networks of the features and the flow stage."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Run, finish_run, read_yaml, start_run
from pixelethogram.sequence.models import MODELS as SEQUENCE_MODELS
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.start_weights.adopt import load_adopted_config
from pixelethogram.start_weights.load import (
    load_features_weights,
    load_flow_weights,
    load_sequence_weights,
    record_start,
)
from pixelethogram.start_weights.report import StartReport

ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
ZEROS_6 = torch.zeros(6)
BEHAVIORS = ("a", "b")
OTHERS = ("x", "y", "z")


def settings(given: str | Path, *overrides: str) -> Config:
    narrow = ("flow.model.width=0.1", f"flow.start_weights={given}")
    return load_config(overrides=[*narrow, f"features.start_weights={given}", *overrides])


def build_features(config: Config, num_outputs: int = len(BEHAVIORS)) -> TwoStream:
    torch.manual_seed(0)
    network: Any = config.features.model.build(nn.Conv3d(3, 2, 1), num_outputs, ZEROS, ONES)
    return network


def build_flow(config: Config) -> FlowGenerator:
    torch.manual_seed(0)
    return FlowGenerator(config.flow.model.build(), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def load_features(
    given: str | Path, *overrides: str, outputs: tuple[str, ...] = BEHAVIORS
) -> tuple[TwoStream, StartReport]:
    config = settings(given, *overrides)
    network = build_features(config, len(outputs))
    return network, load_features_weights(network, config.features, outputs, SilentProgress())


def load_flow(given: str | Path, *overrides: str) -> tuple[FlowGenerator, StartReport]:
    config = settings(given, *overrides)
    network = build_flow(config)
    return network, load_flow_weights(network, config.flow, SilentProgress())


def same_texts(overrides: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.replace("=", " = ") for text in overrides)


def write_run(folder: Path, stage: str, network: nn.Module, *overrides: str) -> Path:
    run = start_run(
        folder,
        stage,  # type: ignore[arg-type]
        settings("none", *overrides),
        behaviors=BEHAVIORS,
        exclusive=False,
        parents={},
        videos={},
        fingerprint="",
    )
    finish_run(run, network.state_dict(), {})
    return run.folder


def state(network: nn.Module, *parts: str) -> dict[str, Tensor]:
    begins = tuple(f"{part}." for part in parts)
    return {
        name: value.clone()
        for name, value in network.state_dict().items()
        if name.startswith(begins) and "num_batches" not in name
    }


def assert_accounted(report: StartReport, network: nn.Module, *parts: str) -> None:
    names = [*report.matched, *report.adapted, *report.new]
    assert sorted(names) == sorted(state(network, *parts))


class TestFeatures:
    def test_a_backbone_fills_both_streams(self, write_resnet: Callable[..., Path]) -> None:
        path = write_resnet()
        network, report = load_features(path)
        tensors = torch.load(path, weights_only=True)
        for stream in (network.spatial, network.motion):
            for name, value in stream.backbone.state_dict().items():
                if name != "conv1.weight":
                    assert torch.equal(value, tensors[name]), name
        assert torch.equal(network.spatial.backbone.conv1.weight, tensors["conv1.weight"])
        assert (report.kind, report.network, report.source) == ("state dict", "resnet18", str(path))
        assert report.adapted == {"motion.backbone.conv1.weight": "3 -> 20 channels"}
        assert [name.partition(".")[2] for name in report.new] == ["head.weight", "head.bias"] * 2
        assert {name.rpartition("fc.")[2] for name in report.ignored} == {"weight", "bias"}
        assert_accounted(report, network, "spatial", "motion")

    def test_heads_and_flow_stay_as_they_are(self, write_resnet: Callable[..., Path]) -> None:
        fresh = build_features(settings("none"))
        network, _ = load_features(write_resnet())
        parts = ("spatial.head", "motion.head", "flow")
        before, after = state(fresh, *parts), state(network, *parts)
        assert all(torch.equal(after[name], before[name]) for name in before)

    def test_none_changes_nothing(self) -> None:
        fresh = build_features(settings("none"))
        network, report = load_features("none")
        before, after = fresh.state_dict(), network.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)
        assert (report.matched, report.adapted, report.ignored) == ((), {}, ())
        assert report.reference == {}
        assert_accounted(report, network, "spatial", "motion")

    def test_resnet50_brings_its_features_to_512_with_a_new_layer(
        self, write_resnet: Callable[..., Path]
    ) -> None:
        network, report = load_features(write_resnet("resnet50"), "features.model.name=resnet50")
        assert "spatial.compression.0.weight" in report.new
        assert "motion.backbone.layer4.2.conv3.weight" in report.matched
        assert_accounted(report, network, "spatial", "motion")

    def test_weights_for_images_are_repeated_over_time(
        self, write_resnet: Callable[..., Path]
    ) -> None:
        path = write_resnet("resnet34")
        network, report = load_features(path, "features.model.name=resnet3d_34")
        tensors = torch.load(path, weights_only=True)
        assert report.adapted["spatial.backbone.conv1.weight"] == "7 frames"
        assert report.adapted["motion.backbone.conv1.weight"] == "7 frames, 3 -> 2 channels"
        assert report.adapted["motion.backbone.layer2.0.downsample.0.weight"] == "1 frame"
        kernel = network.spatial.backbone.layer3[5].conv2.weight
        expected = tensors["layer3.5.conv2.weight"] / 3
        assert all(torch.equal(kernel[:, :, frame], expected) for frame in range(3))
        assert_accounted(report, network, "spatial", "motion")

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [("resnet34", "resnet18"), ("resnet18", "resnet50"), ("resnet50", "resnet3d_34")],
    )
    def test_another_network_is_refused_before_anything_changes(
        self, write_resnet: Callable[..., Path], theirs: str, ours: str
    ) -> None:
        config = settings(write_resnet(theirs), f"features.model.name={ours}")
        network = build_features(config)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        with pytest.raises(InputError, match=rf"\({theirs}\) than this run's \({ours}\)"):
            load_features_weights(network, config.features, BEHAVIORS, SilentProgress())
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    def test_a_run_gives_both_streams_and_heads_of_the_same_behaviors(self, tmp_path: Path) -> None:
        torch.manual_seed(7)
        trained = settings("none").features.model.build(nn.Conv3d(3, 2, 1), 2, ZEROS, ONES)
        folder = write_run(tmp_path, "features", trained)
        network, report = load_features(folder, outputs=("b", "a"))
        before, after = state(trained, "spatial", "motion"), state(network, "spatial", "motion")
        for name, value in before.items():
            same = value.flip(0) if ".head." in name else value
            assert torch.equal(after[name], same), name
        assert (report.new, report.adapted, report.kind) == ((), {}, "run")
        _, others = load_features(folder, outputs=("a", "new"))
        assert len(others.new) == 4

    def test_a_run_of_another_network_is_refused_by_name(self, tmp_path: Path) -> None:
        fifty = "features.model.name=resnet50"
        folder = write_run(tmp_path, "features", build_features(settings("none", fifty)), fifty)
        with pytest.raises(InputError, match=r"\(resnet50\) than this run's \(resnet18\)"):
            load_features(folder)

    def test_an_extractor_of_deepethogram(self, write_extractor: Callable[..., Path]) -> None:
        path = write_extractor(4, names=("background", *OTHERS))
        network, report = load_features(path, outputs=OTHERS)
        assert (report.kind, report.network) == ("DeepEthogram checkpoint", "resnet18")
        assert (report.new, report.adapted) == ((), {})
        assert network.motion.head.bias.tolist() == [1, 2, 3]
        assert all(name.startswith("flow_generator.") for name in report.ignored)
        _, fewer = load_features(path, outputs=("x", "new"))
        assert {name.rpartition(".head.")[0] for name in fewer.new} == {"spatial", "motion"}

    def test_settings_that_the_weights_were_trained_with_are_told_where_they_differ(
        self, write_extractor: Callable[..., Path]
    ) -> None:
        path = write_extractor(3)
        _, report = load_features(path)
        assert report.differs == (
            "features.model.spatial_view = deepethogram; this run has centre",
            "features.model.flow_weight = 1.5; this run has 1.0",
        )
        same = ("features.model.spatial_view=deepethogram", "features.model.flow_weight=1.5")
        _, report = load_features(path, *same)
        assert report.differs == ()
        assert report.shares == same_texts(same)

    def test_the_reference_is_what_the_network_starts_with(
        self, write_resnet: Callable[..., Path]
    ) -> None:
        network, report = load_features(write_resnet())
        parameters = dict(network.named_parameters())
        assert len(report.reference) == 2 * 20  # 17 on the main path, 3 shortcuts
        for name, start in report.reference.items():
            assert torch.equal(start, parameters[name])
        assert "motion.backbone.conv1.weight" in report.reference
        assert not [name for name in report.reference if ".head." in name]


class TestFlow:
    def test_a_run_gives_its_network_but_not_its_colors(self, tmp_path: Path) -> None:
        torch.manual_seed(7)
        trained = FlowGenerator(settings("none").flow.model.build(), ZEROS, ONES)
        network, report = load_flow(write_run(tmp_path, "flow", trained))
        before, after = state(trained, "network"), state(network, "network")
        assert all(torch.equal(after[name], before[name]) for name in before)
        torch.testing.assert_close(network.mean, torch.tensor([0.1, 0.2, 0.3]))
        assert (report.new, report.ignored) == ((), ("mean", "std"))
        assert_accounted(report, network, "network")

    def test_deepethogram_whole_or_inside_an_extractor(
        self, write_flow_generator: Callable[..., Path], write_extractor: Callable[..., Path]
    ) -> None:
        for path in (write_flow_generator(), write_extractor(3)):
            network, report = load_flow(path)
            assert (report.network, report.new, report.ignored) == ("tiny_motionnet", (), ())
            assert_accounted(report, network, "network")

    def test_none_changes_nothing(self) -> None:
        network, report = load_flow("none")
        fresh = build_flow(settings("none")).state_dict()
        assert all(torch.equal(value, fresh[name]) for name, value in network.state_dict().items())
        assert report.reference == {}
        assert_accounted(report, network, "network")

    def test_clips_of_another_length_are_refused(
        self, write_flow_generator: Callable[..., Path]
    ) -> None:
        with pytest.raises(InputError, match=r"conv1.0.weight is \(6, 33, 7, 7\) there") as caught:
            load_flow(write_flow_generator(), "flow.model.clip_length=5")
        assert "(tiny_motionnet) than this run's (tiny_motionnet)" in str(caught.value)

    def test_another_network_is_refused(self, write_flow_generator: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match=r"\(tiny_motionnet\) than this run's \(motionnet\)"):
            load_flow(write_flow_generator(), "flow.model.name=motionnet", "flow.model.width=0.1")

    def test_there_is_no_download(self) -> None:
        with pytest.raises(UsageError, match="no start weights for tiny_motionnet"):
            load_flow("torchvision")

    def test_the_reference_holds_kernels(self, write_flow_generator: Callable[..., Path]) -> None:
        network, report = load_flow(write_flow_generator())
        kernels = {name for name, weight in network.named_parameters() if weight.ndim >= 2}
        assert set(report.reference) == kernels


@pytest.mark.parametrize(
    ("preset", "flow_name", "features_name"),
    [
        ("deg_f", "tiny_motionnet", "resnet18"),
        pytest.param("deg_m", "motionnet", "resnet50", marks=pytest.mark.slow),
        pytest.param("deg_s", "tiny_motionnet_3d", "resnet3d_34", marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_of_deepethogram_gives_its_answers(
    golden: Path,
    fill_golden_weights: Callable[..., dict[str, Tensor]],
    tmp_path: Path,
    preset: str,
    flow_name: str,
    features_name: str,
) -> None:
    """All the way from its file, with the settings that its weights were trained with."""
    entries = json.loads((golden / f"{preset}.json").read_text())["state_dict"]
    weights = fill_golden_weights({name: entry["shape"] for name, entry in entries.items()})
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 0, "state_dict": weights, "optimizer": None}, path)
    config = load_adopted_config(
        overrides=[
            f"flow.model.name={flow_name}",
            f"flow.start_weights={path}",
            f"features.model.name={features_name}",
            f"features.start_weights={path}",
        ]
    )
    flow = FlowGenerator(config.flow.model.build(), ZEROS, ONES)
    load_flow_weights(flow, config.flow, SilentProgress())
    network: Any = config.features.model.build(flow, 4, ZEROS, ONES)
    load_features_weights(network, config.features, tuple("abcd"), SilentProgress())
    with np.load(golden / f"{preset}.npz") as arrays, torch.no_grad():
        images = torch.from_numpy(arrays["input"])
        clips = images if images.ndim == 5 else images.unflatten(1, (-1, 3)).transpose(1, 2)
        features = network.eval().forward_features(clips)
        found = network.named_logits(features)
        spatial, motion = features.split(512, dim=1)
        np.testing.assert_allclose(spatial, arrays["spatial_features"], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(motion, arrays["flow_features"], rtol=1e-3, atol=1e-3)
        for ours, logits in found.items():
            theirs = "fused_logits" if ours == "logits" else ours
            expected = arrays[theirs][:, 1:]  # without the background
            np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3, err_msg=ours)


class TestSequence:
    SIZES = ("sequence.model.hidden=4", "sequence.model.num_filters=8")

    def build(self, config: Config, num_outputs: int = 2) -> NormalizedSequence:
        torch.manual_seed(0)
        mean, std = torch.linspace(-1, 1, 6), torch.linspace(0.5, 2, 6)
        return NormalizedSequence(config.sequence.model.build(6, num_outputs), mean, std)

    def load(
        self, given: object, *overrides: str, outputs: tuple[str, ...] = BEHAVIORS
    ) -> tuple[NormalizedSequence, StartReport]:
        chosen = [*self.SIZES, f"sequence.start_weights={given}", *overrides]
        config = load_adopted_config(overrides=chosen)
        network = self.build(config, len(outputs))
        report = load_sequence_weights(network, config.sequence, outputs, SilentProgress())
        return network.eval(), report

    def test_a_run_gives_its_weights_and_what_its_features_were_like(self, tmp_path: Path) -> None:
        trained = self.build(load_config(overrides=self.SIZES))
        with torch.no_grad():
            for tensor in trained.state_dict().values():
                tensor.uniform_(0.5, 1)
        folder = write_run(tmp_path, "sequence", trained, *self.SIZES)
        network, report = self.load(folder)
        before, after = trained.state_dict(), network.state_dict()
        assert [name for name in before if not torch.equal(before[name], after[name])] == []
        assert (report.kind, report.network, report.new) == ("run", "tgm", ())

    def test_a_file_gives_all_but_what_belongs_to_its_unknown_behaviors(
        self, tmp_path: Path
    ) -> None:
        trained = self.build(load_config(overrides=self.SIZES))
        with torch.no_grad():
            for tensor in trained.state_dict().values():
                tensor.uniform_(0.5, 1)
        torch.save(trained.state_dict(), tmp_path / "weights.pt")
        network, report = self.load(tmp_path / "weights.pt")
        before, after = trained.state_dict(), network.state_dict()
        fresh = self.build(load_config(overrides=self.SIZES)).state_dict()
        outputs = {name for name in before if ".output." in name or ".norm." in name}
        assert set(report.new) == outputs
        assert outputs < set(report.ignored)
        for name in before:
            expected = fresh if name in outputs else before
            assert torch.equal(after[name], expected[name]), name

    @pytest.mark.parametrize("name", SEQUENCE_MODELS)
    def test_of_every_network_the_outputs_of_a_file_stay_new(
        self, name: str, tmp_path: Path
    ) -> None:
        config = load_config(
            overrides=[
                f"sequence.model.name={name}",
                f"sequence.start_weights={tmp_path / 'weights.pt'}",
            ]
        )
        network = NormalizedSequence(config.sequence.model.build(6, 2), ZEROS_6, ZEROS_6 + 1)
        torch.save(network.state_dict(), tmp_path / "weights.pt")
        report = load_sequence_weights(network, config.sequence, ("x", "y"), SilentProgress())
        shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
        assert report.new
        assert all(2 in shapes[key] for key in report.new)
        assert (name == "linear") is (report.matched == ())

    def test_a_note_says_which_outputs_were_assumed(self, tmp_path: Path) -> None:
        tensors = tgmj_tensors(num_features=6, hidden=4, num_outputs=3)
        torch.save({"state_dict": tensors}, tmp_path / "checkpoint.pt")
        _, report = self.load(tmp_path / "checkpoint.pt")
        assert "taken for background, a, b, in this order" in report.to_lines()[-1]

    def test_weights_for_other_behaviors_are_refused(self, tmp_path: Path) -> None:
        trained = self.build(load_config(overrides=self.SIZES))
        folder = write_run(tmp_path, "sequence", trained, *self.SIZES)
        for outputs in (("a", "c"), ("b", "a")):
            with pytest.raises(InputError, match="was trained for a, b, this project has"):
                self.load(folder, outputs=outputs)

    def test_another_network_is_refused(self, tmp_path: Path) -> None:
        linear = "sequence.model.name=linear"
        config = load_config(overrides=[linear])
        network = NormalizedSequence(config.sequence.model.build(6, 2), ZEROS_6, ZEROS_6 + 1)
        folder = write_run(tmp_path, "sequence", network, linear)
        with pytest.raises(InputError, match=r"\(linear\) than this run's \(tgm\)"):
            self.load(folder)

    def test_none_changes_nothing(self) -> None:
        network, report = self.load("none")
        fresh = self.build(load_config(overrides=self.SIZES)).state_dict()
        assert all(torch.equal(value, fresh[name]) for name, value in network.state_dict().items())
        assert (report.kind, report.reference) == ("", {})

    def test_deepethogram_answers_as_if_features_were_not_z_scored(self, tmp_path: Path) -> None:
        """But for the ends of a window, where padding is nothing there and the mean here."""
        tensors = tgmj_tensors(num_features=6, hidden=4, num_outputs=3)
        torch.save({"state_dict": tensors}, tmp_path / "checkpoint.pt")
        network, report = self.load(tmp_path / "checkpoint.pt")
        assert (report.network, report.new, report.differs) == ("tgm", (), ())
        reference = network.network
        features = network.mean + network.std * torch.randn(1, 150, 6).clamp(-3, 3)
        mask = torch.ones(1, 150, dtype=torch.bool)
        with torch.no_grad():
            found = network(features, mask)[-1]
            for head in (reference.direct, reference.smoothed):
                head.hidden.weight.copy_(tensors["h.weight"][..., 0])
                head.hidden.bias.copy_(tensors["h.bias"])
            expected = reference(features, mask)[-1]
        torch.testing.assert_close(found[:, 21:-21], expected[:, 21:-21], atol=1e-4, rtol=1e-4)
        assert not torch.allclose(found[:, :2], expected[:, :2], atol=1e-4)

    def test_it_gives_the_logits_of_the_reference(
        self, golden: Path, fill_golden_weights: Callable[..., Any], tmp_path: Path
    ) -> None:
        entries = json.loads((golden / "tgmj.json").read_text())["state_dict"]
        shapes = {name: entry["shape"] for name, entry in entries.items()}
        weights = fill_golden_weights(shapes, aliases={"classify2.1.bias": "classify1.1.bias"})
        path = tmp_path / "checkpoint.pt"
        torch.save({"epoch": 0, "state_dict": weights}, path)
        config = load_adopted_config(overrides=[f"sequence.start_weights={path}"])
        inner = config.sequence.model.build(1024, 4)
        network = NormalizedSequence(inner, torch.zeros(1024), torch.ones(1024)).eval()
        load_sequence_weights(network, config.sequence, tuple("abcd"), SilentProgress())
        with np.load(golden / "tgmj.npz") as arrays, torch.no_grad():
            features = torch.from_numpy(arrays["input"]).transpose(1, 2)
            logits = network(features, torch.ones(1, 60, dtype=torch.bool))[-1]
            expected = arrays["logits"].transpose(0, 2, 1)[..., 1:]  # without the background
            np.testing.assert_allclose(logits, expected, atol=1e-5)

    def test_the_output_of_the_background_is_left_out(self, tmp_path: Path) -> None:
        tensors = tgmj_tensors(num_features=6, hidden=4, num_outputs=3)
        torch.save({"state_dict": tensors}, tmp_path / "checkpoint.pt")
        network, _ = self.load(tmp_path / "checkpoint.pt")
        head = network.network.direct
        assert torch.equal(head.norm.running_mean, tensors["classify1.1.running_mean"][1:])
        assert torch.equal(head.output.weight, tensors["classify1.0.weight"][1:, :, 0])
        with pytest.raises(InputError, match="was trained for unknown behaviors"):
            self.load(tmp_path / "checkpoint.pt", outputs=("a",))

    def test_deepethogram_brings_its_kernels(self, tmp_path: Path) -> None:
        tensors = tgmj_tensors(num_features=6, hidden=4, num_outputs=3)
        torch.save({"state_dict": tensors}, tmp_path / "checkpoint.pt")
        given = f"sequence.start_weights={tmp_path / 'checkpoint.pt'}"
        model = load_adopted_config(overrides=[given]).sequence.model
        assert (model.kernel, model.compatible) == ("cauchy", True)
        chosen = load_adopted_config(overrides=[given, "sequence.model.compatible=false"])
        assert (chosen.sequence.model.kernel, chosen.sequence.model.compatible) == ("cauchy", False)


def tgmj_tensors(num_features: int, hidden: int, num_outputs: int) -> dict[str, Tensor]:
    """DeepEthogram's names of its sequence model of three layers with eight kernels each."""
    torch.manual_seed(3)
    tensors: dict[str, Tensor] = {
        "h.weight": torch.randn(hidden, num_features, 1),
        "h.bias": torch.randn(hidden),
        "h2.weight": torch.randn(hidden, num_features, 1),
        "h2.bias": torch.randn(hidden),
    }
    for layer, inputs in enumerate((1, 8, 8)):
        name = f"tgm_layers.{layer}"
        tensors |= {f"{name}.{each}": torch.randn(8) for each in ("center", "delta", "gamma")}
        tensors[f"{name}.soft_attn"] = torch.randn(8 * inputs, 8)
        if inputs > 1:
            tensors[f"{name}.cls_attn"] = torch.randn(1, 8, inputs, 1, 1)
    for name in ("classify1", "classify2"):
        tensors[f"{name}.0.weight"] = torch.randn(num_outputs, hidden, 1)
        for each in ("weight", "bias", "running_mean"):
            tensors[f"{name}.1.{each}"] = torch.randn(num_outputs)
        tensors[f"{name}.1.running_var"] = torch.rand(num_outputs) + 0.5
        tensors[f"{name}.1.num_batches_tracked"] = torch.tensor(3)
    tensors["classify2.1.bias"] = tensors["classify1.1.bias"]  # one tensor for both
    return tensors


class TestRecord:
    REPORT = StartReport(
        source="w.pt",
        kind="run",
        network="linear",
        sha256="ab",
        matched=("weight",),
        new=("bias",),
        reference={"weight": torch.ones(3, 2)},
    )

    def record(self, folder: Path, report: StartReport = REPORT) -> tuple[Any, list[str]]:
        network, said = nn.Linear(2, 3), []
        progress = SilentProgress()
        progress.message = said.append  # type: ignore[method-assign]
        start = record_start(Run(folder), report, network, progress)
        assert [parameter is network.weight for parameter in start] == [True]
        return start[network.weight], said

    def test_the_run_keeps_every_name(self, tmp_path: Path) -> None:
        self.record(tmp_path)
        kept = read_yaml(tmp_path / "start_weights.yaml")
        assert (kept["source"], kept["matched"], kept["new"]) == ("w.pt", ["weight"], ["bias"])

    def test_start_values_are_found_by_parameter(self, tmp_path: Path) -> None:
        start, _ = self.record(tmp_path)
        assert torch.equal(start, torch.ones(3, 2))

    def test_the_short_form_is_said(self, tmp_path: Path) -> None:
        _, said = self.record(tmp_path)
        counts = "1 tensor matched, 0 adapted, 1 new, 0 ignored"
        assert said == [f"start weights: w.pt (run, linear): {counts}"]

    def test_a_run_goes_on_with_the_same_weights_only(self, tmp_path: Path) -> None:
        self.record(tmp_path)
        self.record(tmp_path)
        with pytest.raises(InputError, match="have changed since it was broken off"):
            self.record(tmp_path, dataclasses.replace(self.REPORT, sha256="cd"))
