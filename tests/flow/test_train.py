"""The flow stage as a whole: clips in, a finished run out."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.flow import train as train_module
from pixelethogram.flow.losses import flow_loss
from pixelethogram.flow.models import MODELS
from pixelethogram.flow.train import FlowData, load_flow, sample_clip_frames, train_flow
from pixelethogram.frames.augment import to_float
from pixelethogram.frames.clips import ClipDataset
from pixelethogram.frames.proxy import ProxyFile
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Run, start_run
from pixelethogram.training.fit import FitResult

SETTINGS = (
    "flow.model.width=0.1",
    "flow.train.batch_size=3",
    "flow.train.validate_every=20",
    "flow.train.learning_rate=3e-3",
    "flow.train.ema_decay=0.9",
    "flow.train.precision=fp32",
    "flow.augment.rotation_degrees=0",
    "flow.augment.flip_horizontal=0",
    "flow.augment.color_probability=0",
)
WriteProxy = Callable[[np.ndarray, Path], Path]


def train(folder: Path, data: FlowData, *overrides: str) -> Run:
    config: Config = load_config(overrides=(*SETTINGS, *overrides))
    run = start_run(
        folder,
        "flow",
        config,
        behaviors=(),
        exclusive=False,
        parents={},
        videos={},
        fingerprint="",
    )
    return train_flow(run, data, config, device="cpu", progress=SilentProgress())


def to_data(proxy: Path) -> FlowData:
    """All frames to learn from, every third to validate on."""
    num_frames = ProxyFile(proxy).num_frames
    samples = [(0, frame) for frame in range(num_frames)]
    return FlowData(
        ClipDataset([proxy], samples, 11),
        ClipDataset([proxy], samples[::3], 11),
        ProxyFile(proxy).statistics,
    )


@pytest.fixture(scope="module")
def texture_data(
    moving_texture: np.ndarray, write_proxy: WriteProxy, tmp_path_factory: pytest.TempPathFactory
) -> FlowData:
    return to_data(write_proxy(moving_texture, tmp_path_factory.mktemp("proxy") / "texture.npz"))


@pytest.fixture(scope="module")
def trained(texture_data: FlowData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tmp_path_factory.mktemp("runs"), texture_data, "flow.train.steps=60")


def test_it_starts_from_another_run_and_says_so(
    trained: Run, texture_data: FlowData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kernel counts as start, whatever the colors of the new videos."""
    seen: list[tuple[dict[str, torch.Tensor], list[str]]] = []

    def fake_fit(task: Any, *_: Any, **__: Any) -> FitResult:
        names = {parameter: name for name, parameter in task.network.named_parameters()}
        state = copy.deepcopy(task.network.state_dict())
        seen.append((state, [names[parameter] for parameter in task._start]))
        return FitResult(1, {"val_gain_db": 1.0}, 1, "steps")

    monkeypatch.setattr(train_module, "fit", fake_fit)
    run = train(tmp_path, texture_data, f"flow.start_weights={trained.folder}")
    ((state, with_start),) = seen
    weights = trained.load_weights()
    for name in weights:
        assert "num_batches" in name or torch.equal(weights[name], state[name]), name
    assert set(with_start) == {
        name for name, value in weights.items() if name.endswith("weight") and value.ndim > 1
    }
    about = run.results["start_weights"]
    assert (about["kind"], about["network"], about["new"]) == ("run", "tiny_motionnet", 0)
    assert about["sha256"] == trained.results["weights_sha256"]


def test_without_start_weights_nothing_has_a_start(trained: Run) -> None:
    about = trained.results["start_weights"]
    assert (about["source"], about["kind"], about["matched"]) == ("none", "", 0)


def read_rows(run: Run) -> list[dict[str, float]]:
    with (run.folder / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_it_learns_to_explain_motion(trained: Run) -> None:
    rows = read_rows(trained)
    assert rows[-1]["val_loss"] < 0.8 * rows[0]["val_loss"]
    assert rows[-1]["val_gain_db"] > max(1.0, rows[0]["val_gain_db"])
    assert trained.results["gain_db"] > 1.0


def test_the_flow_points_where_the_texture_goes(trained: Run, texture_data: FlowData) -> None:
    clip = to_float(texture_data.val[4]["clip"][None])
    with torch.no_grad():
        finest = load_flow(trained)(clip)[0][0]  # (2, 10, 16, 16), half of the 2 pixels per frame
    x, y = finest[:, :, 4:-4, 4:-4].mean(dim=(1, 2, 3)).tolist()
    assert x == pytest.approx(1.0, abs=0.5)
    assert y == pytest.approx(0.0, abs=0.3)


def test_the_weights_with_the_lowest_validation_loss_are_kept(
    trained: Run, texture_data: FlowData
) -> None:
    best = min(read_rows(trained), key=lambda row: row["val_loss"])
    assert trained.results["fit"]["best_step"] == best["step"]
    network = load_flow(trained)
    clips = to_float(torch.stack([texture_data.val[i]["clip"] for i in range(8)]))
    with torch.no_grad():
        loss = flow_loss(clips, network(clips)).total
    assert loss.item() == pytest.approx(best["val_loss"], rel=1e-3)


def test_a_picture_shows_the_flow(trained: Run) -> None:
    picture = cv2.imread(str(trained.folder / "flow.png"))
    assert picture is not None
    assert picture.std() > 10


def test_what_resuming_needed_is_gone_when_the_run_is_finished(trained: Run) -> None:
    assert trained.finished
    assert list(trained.checkpoints.iterdir()) == []


def test_equal_seeds_give_equal_networks(texture_data: FlowData, tmp_path: Path) -> None:
    runs = [
        train(tmp_path / str(number), texture_data, "flow.train.steps=2", f"seed={seed}")
        for number, seed in enumerate((1, 1, 2))
    ]
    weights = [run.load_weights()["network.conv1.0.weight"] for run in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_network_trains_and_is_loaded_again(
    name: str, texture_data: FlowData, tmp_path: Path
) -> None:
    settings = ("flow.train.steps=2", "flow.train.validate_every=1", f"flow.model.name={name}")
    run = train(tmp_path, texture_data, *settings)
    row = read_rows(run)[-1]
    assert (row["val_sparsity"] > 0) == (MODELS[name].sparsity > 0)
    assert (run.folder / "flow.png").is_file()
    with torch.no_grad():
        flows = load_flow(run)(torch.rand(1, 3, 11, 32, 32))
    assert [tuple(flow.shape) for flow in flows] == [(1, 2, 10, n, n) for n in (16, 8, 4)]


class TestSampleClipFrames:
    SPANS = ((0, 5, 10), (3, 0, 100))

    def test_the_draw_is_repeatable_and_depends_on_the_seed(self) -> None:
        draws = [sample_clip_frames(self.SPANS, 20, seed) for seed in (1, 1, 2)]
        assert draws[0] == draws[1]
        assert draws[0] != draws[2]

    def test_no_frame_comes_twice_or_from_outside(self) -> None:
        drawn = sample_clip_frames(self.SPANS, 40, 0)
        assert len(set(drawn)) == 40
        assert set(drawn) <= {(0, f) for f in range(5, 10)} | {(3, f) for f in range(100)}

    def test_all_frames_are_taken_when_there_are_too_few(self) -> None:
        assert sample_clip_frames(((2, 1, 4),), 100, 0) == [(2, 1), (2, 2), (2, 3)]

    def test_long_stretches_give_more_frames(self) -> None:
        drawn = sample_clip_frames(((0, 0, 100), (1, 0, 900)), 500, 0)
        assert sum(video == 1 for video, _ in drawn) == pytest.approx(450, abs=30)
