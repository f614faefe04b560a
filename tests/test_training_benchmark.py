"""The training benchmark: every stage and phase, and the share of time that reading takes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from pixelethogram import measuring, training_benchmark
from pixelethogram.training_benchmark import run_presets, time_steps


def test_every_phase_is_timed(small_streams: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measuring.MATRIX_SIZE, "cpu", 32)
    monkeypatch.setattr(training_benchmark, "choose_precision", lambda *_: "fp32")
    found = run_presets(["fast"], (32, 32), steps=1, device="cpu", batch=2)
    names = [row["case"].removeprefix("fast 32x32 ") for row in found["cases"]]
    assert names == ["flow", "features, spatial", "features, flow", "features, joint"]
    for row in found["cases"]:
        assert row["clips_per_second"] == pytest.approx(2 / row["seconds_per_step"])
        assert 0 < row["share_waiting"] < 1


def test_the_share_of_waiting_is_that_of_a_slow_reader() -> None:
    class Slow(Dataset[dict[str, torch.Tensor]]):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            time.sleep(0.03)
            return {"clip": torch.ones(1)}

    network = nn.Linear(1, 1)
    loader: DataLoader = DataLoader(Slow(), 2)
    row = time_steps(network, lambda batch: network(batch["clip"]).sum(), loader, 2, "cpu")
    assert row["share_waiting"] > 0.5
    assert row["seconds_per_step"] >= 0.06


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    from pixelethogram.config_layers import load_config

    config = load_config("fast", {}, ["frames.height=32", "frames.width=32"])
    with training_benchmark.make_proxy(config) as proxy:
        assert proxy.is_file()
    assert not proxy.exists()
