"""Clips per second of each phase of training, and how much of the time goes into reading clips."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pixelethogram.benchmark import Row, describe_machine
from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.models.two_stream import Phase
from pixelethogram.features.train import predict_clips
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.task import FlowTask
from pixelethogram.frames.augment import build_augmentation
from pixelethogram.frames.clips import ClipDataset
from pixelethogram.frames.proxy import build_proxy
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import open_frames
from pixelethogram.measuring import wait_for
from pixelethogram.progress import SilentProgress
from pixelethogram.toy import toy_frames, write_video
from pixelethogram.training.device import choose_precision, count_workers
from pixelethogram.training.layout import to_channels_last

COLUMNS = {
    "case": "case",
    "clips_per_second": "clips/s",
    "seconds_per_step": "s per step",
    "share_waiting": "share of time waiting for clips",
    "precision": "format",
}
NUM_FRAMES = 90
BEHAVIORS = 5
COLORS = (0.5,) * 3
SPREAD = (0.2,) * 3
PHASES: tuple[Phase, ...] = ("spatial", "flow", "joint")


def run_presets(
    presets: Sequence[str], size: tuple[int, int], *, steps: int, device: str, batch: int = 8
) -> Row:
    """Flow training and every phase of features training of each preset, on toy videos.

    Args:
        presets: fast, medium or slow.
        size: Height and width of frames.
        steps: Steps that are timed; one more comes before.
        device: cpu, cuda or mps.
        batch: Clips per step.
    """
    rows = []
    for preset in presets:
        overrides = [f"frames.height={size[0]}", f"frames.width={size[1]}"]
        config = load_config(preset, {}, overrides)
        with make_proxy(config) as proxy:
            for name, network, step in build_steps(config, device):
                clips = 1 if name == "features, spatial" and preset != "slow" else None
                loader = build_loader(config, proxy, batch, steps + 1, clips, device)
                row = time_steps(network, step, loader, batch, device)
                rows.append({"case": f"{preset} {size[0]}x{size[1]} {name}", **row})
    return {"machine": describe_machine(device), "cases": rows, "ratios": {}}


@contextlib.contextmanager
def make_proxy(config: Config) -> Iterator[Path]:
    """Proxy of a toy video, as training reads it."""
    height, width = config.frames.height, config.frames.width
    frames, _ = toy_frames(seed=0, num_frames=NUM_FRAMES, size=min(height, width))
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "toy.mp4"
        write_video(
            np.stack([resize_frame(each, height, width, "stretch") for each in frames]), video, 30.0
        )
        path = Path(folder) / "proxy.npz"
        with open_frames(video) as source:
            build_proxy(source, path, height, width, "stretch", SilentProgress())
        yield path


def build_loader(
    config: Config, proxy: Path, batch: int, steps: int, length: int | None, device: str
) -> DataLoader:
    """Random clips with labels, read as in training."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, (NUM_FRAMES, BEHAVIORS)).astype(np.int8)
    samples = [(0, int(frame)) for frame in generator.integers(0, NUM_FRAMES, steps * batch)]
    clips = ClipDataset([proxy], samples, config.flow.model.clip_length, [labels])
    chosen = clips if length is None else clips.with_length(length)
    workers = config.flow.train.workers
    number = workers if workers is not None else count_workers(device)
    return DataLoader(chosen, batch, num_workers=number, pin_memory=device.startswith("cuda"))


def build_steps(config: Config, device: str) -> Iterator[tuple[str, nn.Module, Any]]:
    """(name, network, loss of a batch) of flow training and of every phase of features training."""
    flow = FlowGenerator(config.flow.network.build(), COLORS, SPREAD).to(device)
    to_channels_last(flow)
    task = FlowTask(flow, config.flow)
    task.log = lambda *_, **__: None  # type: ignore[method-assign]
    yield "flow", flow, lambda batch: task.training_step(batch, 0)
    frozen = FlowGenerator(config.flow.network.build(), COLORS, SPREAD)
    length = config.flow.model.clip_length
    assert not isinstance(config.features.model, KeypointsConfig)  # presets see pixels
    network = config.features.model.build(frozen, BEHAVIORS, COLORS, SPREAD, clip_length=length)
    network.to(device).train()
    to_channels_last(network)
    augment = build_augmentation(**config.features.augment.model_dump())
    for phase in PHASES:
        predict = partial(predict_clips, network, phase=phase, augment=augment)
        yield f"features, {phase}", network, partial(_classify, predict)


def time_steps(
    network: nn.Module, find_loss: Any, loader: DataLoader, batch: int, device: str
) -> Row:
    """Rate of whole steps (read, forward, backward, Adam), and the share that reading takes."""
    learned = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=1e-6)
    precision = choose_precision("auto", device, network)
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    waited, steps, started = 0.0, -1, 0.0
    batches = iter(loader)
    for _ in range(len(loader)):
        wait_for(device)
        asked = time.perf_counter()
        given = next(batches)
        items = {name: each.to(device, non_blocking=True) for name, each in given.items()}
        if steps >= 0:
            waited += time.perf_counter() - asked
        enabled = precision in kinds
        with torch.autocast(
            device.partition(":")[0], dtype=kinds.get(precision, torch.bfloat16), enabled=enabled
        ):
            loss = find_loss(items)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps += 1
        if steps == 0:
            wait_for(device)
            started = time.perf_counter()
    wait_for(device)
    seconds = time.perf_counter() - started
    return {
        "clips_per_second": steps * batch / seconds,
        "seconds_per_step": seconds / steps,
        "share_waiting": waited / seconds,
        "precision": precision,
    }


def _classify(predict: Any, batch: dict[str, Tensor]) -> Tensor:
    (logits,) = predict(batch)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), batch["labels"].float())
