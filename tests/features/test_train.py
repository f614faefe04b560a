"""The features stage as a whole: phases, frozen flow, start weights, resuming, results."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.download import hash_file
from pixelethogram.features import train as train_module
from pixelethogram.features.models import resnet3d
from pixelethogram.features.train import (
    FeaturesData,
    load_features,
    scored_frames,
    stratified_frames,
    train_features,
)
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNetConfig
from pixelethogram.frames.augment import to_float
from pixelethogram.frames.clips import ClipDataset
from pixelethogram.frames.proxy import ProxyFile
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Run, read_yaml, start_run
from pixelethogram.training.classifier import best_macro_f1, build_target, to_probabilities
from pixelethogram.training.fit import FitResult

SETTINGS = (
    "frames.height=32",
    "frames.width=32",
    "flow.model.width=0.1",
    "features.start_weights=none",
    "features.phases.spatial=2",
    "features.phases.flow=2",
    "features.phases.joint=2",
    "features.train.batch_size=4",
    "features.train.validate_every=2",
    "features.train.learning_rate=1e-2",
    "features.train.schedule=cosine",
    "features.train.ema_decay=0.5",
    "features.train.precision=fp32",
)
BEHAVIORS = ("bright", "dark")


@pytest.fixture(scope="module")
def data(
    write_proxy: Callable[[np.ndarray, Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> FeaturesData:
    """Frames that are bright or dark for ten frames at a time, each with noise."""
    generator = np.random.default_rng(0)
    bright = (np.arange(60) // 10) % 2
    frames = generator.normal(80 + 100 * bright[:, None, None, None], 20, (60, 32, 32, 3))
    proxy = write_proxy(
        frames.clip(0, 255).astype(np.uint8), tmp_path_factory.mktemp("proxy") / "blink.npz"
    )
    labels = np.stack([bright, 1 - bright], axis=1).astype(np.int8)
    samples = [(0, frame) for frame in range(60)]
    return FeaturesData(
        ClipDataset([proxy], samples[:40], 11, [labels]),
        ClipDataset([proxy], samples[40:], 11, [labels]),
        labels[:40],
        ProxyFile(proxy).statistics,
        BEHAVIORS,
        False,
        "pixels",
    )


def build_flow() -> FlowGenerator:
    """A flow network whose BatchNorm has seen something."""
    torch.manual_seed(7)
    flow = FlowGenerator(TinyMotionNetConfig(width=0.1).build(), (0.5,) * 3, (0.2,) * 3)
    with torch.no_grad():
        flow.train()(torch.rand(2, 3, 11, 32, 32))
    return flow.eval()


def start(folder: Path, *overrides: str, exclusive: bool = False) -> tuple[Run, Config]:
    config = load_config(overrides=(*SETTINGS, *overrides))
    run = start_run(
        folder,
        "features",
        config,
        behaviors=BEHAVIORS,
        exclusive=exclusive,
        parents={"flow": "none"},
        videos={},
        fingerprint="",
    )
    return run, config


def train(run: Run, config: Config, data: FeaturesData, flow: nn.Module | None = None) -> Run:
    return train_features(
        run, data, flow or build_flow(), config, device="cpu", progress=SilentProgress()
    )


class FakeFit:
    """Stands in for `fit`: keeps what it was given, and moves every weight that learns by 0.1."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rates: list[float] = []
        self.steps: list[int] = []
        self.lengths: list[tuple[int, int]] = []
        self.penalties: list[float] = []
        self.models: list[dict[str, Tensor]] = []

    def __call__(self, task: Any, *args: Any, **options: Any) -> FitResult:
        settings = args[2]
        self.names.append(options["name"].removeprefix("train features, "))
        self.rates.append(settings.learning_rate)
        self.steps.append(settings.steps)
        train, val = (len(dataset[0]["clip"]) for dataset in args[:2])
        self.lengths.append((train, val))
        self.models.append(copy.deepcopy(task.network.state_dict()))
        self.penalties.append(task._penalty(task.network).item())
        with torch.no_grad():
            for parameter in task._learned(task.network):
                parameter.add_(0.1)
        return FitResult(1, {"val_f1": 0.5}, 1, "steps")


@pytest.fixture
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> FakeFit:
    fake = FakeFit()
    monkeypatch.setattr(train_module, "fit", fake)
    return fake


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict as torchvision writes it, with random weights."""
    from torchvision.models import resnet18

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18().state_dict(), path)
    return path


@pytest.mark.usefixtures("small_streams")
class TestPhases:
    def test_they_come_in_order_each_with_its_steps(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        run, config = start(tmp_path, "features.phases.flow=7", "features.phases.joint=9")
        train(run, config, data)
        assert fake_fit.names == ["spatial", "flow", "joint"]
        assert fake_fit.steps == [2, 7, 9]

    def test_the_spatial_phase_reads_one_frame_where_one_is_enough(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        train(*start(tmp_path), data)
        assert fake_fit.lengths == [(1, 1), (11, 11), (11, 11)]

    def test_the_spatial_phase_reads_whole_clips_for_a_network_that_sees_them(
        self,
        data: FeaturesData,
        fake_fit: FakeFit,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(resnet3d, "LAYERS", ((8, 1, 1), (8, 1, 2), (8, 1, 2), (8, 1, 2)))
        monkeypatch.setattr(resnet3d, "FIRST_CHANNELS", 8)
        run, config = start(tmp_path, "features.model.name=resnet3d_34")
        train(run, config, data)
        assert fake_fit.lengths == [(11, 11)] * 3
        assert load_features(run, build_flow())(torch.rand(2, 3, 11, 32, 32)).shape == (2, 2)

    def test_the_joint_phase_learns_at_a_tenth_of_the_rate(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        train(*start(tmp_path), data)
        assert fake_fit.rates == pytest.approx([1e-2, 1e-2, 1e-3])

    def test_a_phase_of_no_steps_is_skipped(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        run = train(*start(tmp_path, "features.phases.flow=0"), data)
        assert fake_fit.names == ["spatial", "joint"]
        assert list(run.results["phases"]) == ["spatial", "joint"]

    @pytest.mark.parametrize(("phase", "learning"), [("spatial", "spatial."), ("flow", "motion.")])
    def test_one_stream_learns_and_the_other_stays_as_it_is(
        self, phase: str, learning: str, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        others = [name for name in ("spatial", "flow", "joint") if name != phase]
        run = train(*start(tmp_path, *(f"features.phases.{name}=0" for name in others)), data)
        before, after = fake_fit.models[0], run.load_weights()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed
        assert all(name.startswith(learning) for name in changed)

    def test_the_last_layers_start_from_how_common_each_behavior_is(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        labels = np.zeros((100, 2), np.int8)
        labels[:20, 0] = 1
        labels[:50, 1] = 1
        rare = dataclasses.replace(data, train_labels=labels)
        train(*start(tmp_path), rare)
        for stream in ("spatial", "motion"):
            bias = fake_fit.models[0][f"{stream}.head.bias"]
            assert bias.sigmoid().tolist() == pytest.approx([0.2, 0.5])

    def test_exclusive_projects_get_one_more_output(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        exclusive = dataclasses.replace(data, exclusive=True)
        run = train(*start(tmp_path, exclusive=True), exclusive)
        assert fake_fit.models[0]["spatial.head.bias"].shape == (3,)
        assert load_features(run, build_flow())(torch.rand(1, 3, 11, 32, 32)).shape == (1, 3)


class TestStartWeights:
    """With real ResNets; nothing is trained, so it takes seconds."""

    def test_l2_sp_pulls_to_the_start_weights_in_every_phase(
        self, data: FeaturesData, fake_fit: FakeFit, resnet_file: Path, tmp_path: Path
    ) -> None:
        alpha, beta = 0.5, 0.25
        run, config = start(
            tmp_path,
            f"features.start_weights={resnet_file}",
            f"features.l2sp_start={alpha}",
            f"features.l2sp_new={beta}",
        )
        train(run, config, data)

        def head(stream: str, phase: int) -> float:
            return fake_fit.models[phase][f"{stream}.head.weight"].square().sum().item()

        def drift(stream: str) -> float:  # every kernel of the backbone was moved by 0.1
            kernels = [
                tensor.numel()
                for name, tensor in fake_fit.models[0].items()
                if name.startswith(f"{stream}.backbone") and tensor.ndim > 1
            ]
            return 0.1**2 * sum(kernels)

        joint = beta / 2 * (head("spatial", 2) + head("motion", 2))
        joint += alpha / 2 * (drift("spatial") + drift("motion"))
        assert fake_fit.penalties == pytest.approx(
            [beta / 2 * head("spatial", 0), beta / 2 * head("motion", 1), joint], rel=1e-3
        )

    def test_l2_sp_pulls_all_of_a_run_to_its_start_heads_too(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        strengths = ("features.l2sp_start=0.5", "features.l2sp_new=0.25")
        first = train(*start(tmp_path, *strengths), data)
        fake_fit.models.clear()
        fake_fit.penalties.clear()
        train(*start(tmp_path, *strengths, f"features.start_weights={first.folder}"), data)
        weights, begun = first.load_weights(), fake_fit.models[0]
        assert [name for name in weights if not torch.equal(weights[name], begun[name])] == []
        kernels = [
            tensor.numel()
            for name, tensor in begun.items()
            if name.startswith(("spatial.", "motion.")) and tensor.ndim > 1
        ]
        drift = 0.5 / 2 * 0.1**2 * sum(kernels)  # in two phases, each kernel was moved by 0.1
        assert fake_fit.penalties == pytest.approx([0, 0, drift], rel=1e-3)

    def test_both_streams_start_from_the_file_and_the_run_says_so(
        self, data: FeaturesData, fake_fit: FakeFit, resnet_file: Path, tmp_path: Path
    ) -> None:
        run, config = start(tmp_path, f"features.start_weights={resnet_file}")
        train(run, config, data)
        weights = torch.load(resnet_file, weights_only=True)["layer1.0.conv1.weight"]
        for stream in ("spatial", "motion"):
            name = f"{stream}.backbone.layer1.0.conv1.weight"
            assert torch.equal(fake_fit.models[0][name], weights)
            assert name in read_yaml(run.folder / "start_weights.yaml")["matched"]
        about = run.results["start_weights"]
        assert about["adapted"] == {"motion.backbone.conv1.weight": "3 -> 20 channels"}
        assert (about["network"], about["new"]) == ("resnet18", 4)


@pytest.mark.usefixtures("small_streams")
def test_without_start_weights_kernels_are_pulled_to_zero_at_the_weaker_strength(
    data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
) -> None:
    run, config = start(tmp_path, "features.l2sp_start=0.5", "features.l2sp_new=100")
    train(run, config, data)
    kernels = [
        tensor.square().sum().item()
        for name, tensor in fake_fit.models[0].items()
        if name.startswith("spatial.") and tensor.ndim > 1
    ]
    assert fake_fit.penalties[0] == pytest.approx(0.5 / 2 * sum(kernels), rel=1e-4)


@pytest.mark.usefixtures("small_streams")
class TestTraining:
    def test_it_learns_what_a_frame_shows(self, data: FeaturesData, tmp_path: Path) -> None:
        run, config = start(
            tmp_path,
            "features.phases.spatial=20",
            "features.phases.flow=0",
            "features.phases.joint=0",
            "features.train.validate_every=10",
        )
        train(run, config, data)
        found = run.results["phases"]["spatial"]["best"]
        assert found["val_f1"] == 1.0

        model = load_features(run, build_flow())
        clips = to_float(torch.stack([data.val[i]["clip"] for i in range(len(data.val))]))
        labels = torch.stack([data.val[i]["labels"] for i in range(len(data.val))]).numpy()
        with torch.no_grad():
            probabilities = to_probabilities(model.phase_logits(clips, "spatial"), False).numpy()
        target = build_target(labels, BEHAVIORS, False, 0.25, given={})
        assert best_macro_f1(labels, probabilities, target) == 1.0

    def test_the_flow_network_stays_bit_for_bit_the_same(
        self, data: FeaturesData, tmp_path: Path
    ) -> None:
        flow = build_flow()
        before = copy.deepcopy(flow.state_dict())
        run = train(*start(tmp_path), data, flow)
        kept = {
            name.removeprefix("flow."): tensor
            for name, tensor in run.load_weights().items()
            if name.startswith("flow.")
        }
        assert before.keys() == kept.keys()
        assert [name for name in before if not torch.equal(before[name], kept[name])] == []
        assert all(torch.equal(before[name], now) for name, now in flow.state_dict().items())

    def test_a_loaded_network_does_not_depend_on_the_flow_it_is_given(
        self, data: FeaturesData, tmp_path: Path
    ) -> None:
        run = train(*start(tmp_path), data)
        torch.manual_seed(11)
        other = FlowGenerator(TinyMotionNetConfig(width=0.1).build(), (0.1,) * 3, (0.3,) * 3)
        clips = torch.rand(2, 3, 11, 32, 32)
        with torch.no_grad():
            first = load_features(run, build_flow())(clips)
            assert torch.equal(first, load_features(run, other)(clips))

    def test_every_phase_leaves_a_table_and_no_checkpoints(
        self, data: FeaturesData, tmp_path: Path
    ) -> None:
        run = train(*start(tmp_path), data)
        tables = sorted(path.name for path in run.folder.glob("*.csv"))
        assert tables == ["metrics_flow.csv", "metrics_joint.csv", "metrics_spatial.csv"]
        assert [path for path in run.checkpoints.rglob("*") if path.is_file()] == []

    def test_a_run_that_was_broken_off_does_not_repeat_finished_phases(
        self, data: FeaturesData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = train(*start(tmp_path / "whole"), data)
        run, config = start(tmp_path / "broken")
        names: list[str] = []

        def break_in_flow(*args: Any, **options: Any) -> FitResult:
            names.append(options["name"].split()[-1])
            if names == ["spatial", "flow"]:
                raise KeyboardInterrupt
            return fit(*args, **options)

        fit = train_module.fit
        monkeypatch.setattr(train_module, "fit", break_in_flow)
        with pytest.raises(KeyboardInterrupt):
            train(run, config, data)
        assert not run.finished
        train(run, config, data)
        assert names == ["spatial", "flow", "flow", "joint"]
        assert run.results["phases"] == whole.results["phases"]
        expected, found = whole.load_weights(), run.load_weights()
        assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


class FrameMeans(nn.Module):
    """How bright each frame is, in each of three colors."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=[3, 4]).flatten(1)


class TestExternal:
    """A network from elsewhere in the place of the two streams."""

    @pytest.fixture
    def overrides(self, tmp_path: Path) -> tuple[str, ...]:
        batch = torch.export.Dim("batch")
        clips = (torch.rand(2, 3, 11, 16, 16),)
        program = torch.export.export(FrameMeans(), clips, dynamic_shapes=({0: batch},))
        torch.export.save(program, tmp_path / "encoder.pt2")
        return (
            "features.model.name=external",
            f"features.model.source={tmp_path / 'encoder.pt2'}",
            "features.model.height=16",
            "features.model.width=16",
            "features.phases.spatial=30",
            "features.train.validate_every=10",
            "features.train.learning_rate=0.1",
        )

    def test_a_head_on_it_learns_what_a_frame_shows(
        self, data: FeaturesData, overrides: tuple[str, ...], tmp_path: Path
    ) -> None:
        run, config = start(tmp_path / "runs", *overrides)
        train(run, config, data)
        assert list(run.results["phases"]) == ["spatial"]
        assert run.results["phases"]["spatial"]["best"]["val_f1"] >= 0.95
        assert run.load_weights()["head.weight"].shape == (2, 33)

    def test_it_is_loaded_with_its_head(
        self, data: FeaturesData, overrides: tuple[str, ...], fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        run, config = start(tmp_path / "runs", *overrides)
        train(run, config, data)
        assert fake_fit.names == ["spatial"]
        assert fake_fit.lengths == [(11, 11)]
        assert fake_fit.rates == [0.1]
        model = load_features(run, build_flow())
        assert not model.training
        bias = run.load_weights()["head.bias"]
        features = torch.zeros(1, 33)
        with torch.no_grad():
            assert torch.equal(model.forward_head(features)[0], bias)

    def test_start_weights_of_a_named_network_are_what_it_is_pulled_to(
        self, data: FeaturesData, fake_fit: FakeFit, tmp_path: Path
    ) -> None:
        from torchvision.models.video import mc3_18

        path = tmp_path / "mc3_18.pth"
        torch.save(mc3_18().state_dict(), path)
        run, config = start(
            tmp_path / "runs",
            "features.model.name=external",
            "features.model.source=mc3_18",
            f"features.model.weights={path}",
            "features.model.height=16",
            "features.model.width=16",
            "features.l2sp_start=0.5",
            "features.l2sp_new=0.25",
        )
        train(run, config, data)
        head = fake_fit.models[0]["head.weight"].square().sum().item()
        assert fake_fit.penalties == pytest.approx([0.25 / 2 * head], rel=1e-4)
        lists = read_yaml(run.folder / "start_weights.yaml")
        assert {"encoder.stem.0.weight", "encoder.stem.1.running_mean"} <= set(lists["matched"])
        assert lists["new"] == ["head.weight", "head.bias"]
        assert lists["ignored"] == ["fc.weight", "fc.bias"]
        about = run.results["start_weights"]
        assert (about["source"], about["network"]) == (str(path), "mc3_18")
        assert (about["kind"], about["sha256"]) == ("state dict", hash_file(path))


class TestFrames:
    LABELS = (
        np.array([[1, 0], [0, 0], [-1, -1], [0, -1]], np.int8),
        np.array([[0, 1]] * 3 + [[-1, -1]] * 3, np.int8),
    )

    def test_frames_that_nobody_scored_are_left_out(self) -> None:
        found = scored_frames(self.LABELS, [(0, 0, 4), (1, 1, 5)])
        assert found == [(0, 0), (0, 1), (0, 3), (1, 1), (1, 2)]

    def test_every_behavior_is_among_the_validation_frames(self) -> None:
        labels = np.zeros((1000, 3), np.int8)
        labels[500:900, 0] = 1
        labels[17, 1] = labels[990:, 2] = 1
        for seed in range(10):
            chosen = stratified_frames([labels], [(0, 0, 1000)], 30, seed)
            present = labels[[frame for _, frame in chosen]].sum(axis=0)
            assert present[0] >= 5
            assert present[1] == 1
            assert present[2] >= 5
            assert len(set(chosen)) == len(chosen) == 30
            assert chosen == sorted(chosen)

    def test_the_choice_is_repeatable(self) -> None:
        labels = [np.eye(2, dtype=np.int8).repeat(100, axis=0)]
        draws = [stratified_frames(labels, [(0, 0, 200)], 20, seed) for seed in (1, 1, 2)]
        assert draws[0] == draws[1]
        assert draws[0] != draws[2]

    def test_all_scored_frames_are_taken_when_there_are_too_few(self) -> None:
        spans = [(0, 0, 4), (1, 0, 6)]
        assert stratified_frames(self.LABELS, spans, 100, 0) == scored_frames(self.LABELS, spans)
