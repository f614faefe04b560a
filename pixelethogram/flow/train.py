"""The flow stage: videos in, a run with a flow network out. Labels are not needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pixelethogram.config import Config, FlowConfig
from pixelethogram.ethogram.plots import plot_flow_panel
from pixelethogram.flow.losses import warp
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.task import GOAL, FlowTask, weigh_loss
from pixelethogram.frames.augment import to_float
from pixelethogram.frames.clips import ClipDataset
from pixelethogram.frames.statistics import Statistics
from pixelethogram.progress import Progress
from pixelethogram.runs import Run, finish_run
from pixelethogram.start_weights.load import load_flow_weights, record_start
from pixelethogram.training.fit import drop_checkpoints, fit
from pixelethogram.training.layout import to_channels_last


@dataclasses.dataclass(frozen=True)
class FlowData:
    """Clips to learn from and to validate on, and the colors of the videos learned from."""

    train: ClipDataset
    val: ClipDataset
    statistics: Statistics


def train_flow(run: Run, data: FlowData, config: Config, *, device: str, progress: Progress) -> Run:
    """Learn optic flow from unlabelled clips.

    Args:
        run: A run of this stage, new or broken off; it is finished afterwards.
        data: Clips and statistics.
        config: All settings.
        device: cpu, cuda or mps.
        progress: Told of every step.
    """
    torch.manual_seed(config.seed)
    network = FlowGenerator(config.flow.network.build(), data.statistics.mean, data.statistics.std)
    report = load_flow_weights(network, config.flow, progress)
    network.to(device)
    to_channels_last(network)
    start = record_start(run, report, network, progress)
    result = fit(
        FlowTask(network, config.flow, start),
        data.train,
        data.val,
        config.flow.train,
        GOAL,
        folder=run.checkpoints,
        metrics_path=run.folder / "metrics.csv",
        seed=config.seed,
        device=device,
        progress=progress,
        name="train flow",
    )
    gain = result.best["val_gain_db"]
    _draw_panel(network.cpu().eval(), data.val, config.flow, run.folder / "flow.png")
    about = {"fit": result.to_dict(), "gain_db": gain, "start_weights": report.to_dict()}
    finish_run(run, network.state_dict(), about)
    drop_checkpoints(run.checkpoints)
    return run


def load_flow(run: Run) -> FlowGenerator:
    """The trained flow network of a finished run, in eval mode on the CPU."""
    zeros = (0.0, 0.0, 0.0)
    network = FlowGenerator(run.config.flow.network.build(), zeros, zeros)
    network.load_state_dict(run.load_weights())
    return network.eval()


def sample_clip_frames(
    spans: Sequence[tuple[int, int, int]], number: int, seed: int
) -> list[tuple[int, int]]:
    """Frames drawn evenly from stretches of video, without repetition.

    Args:
        spans: (video number, start, stop), half-open.
        number: How many; all of them when fewer exist.
        seed: Of the draw.

    Returns:
        (video number, frame), sorted.
    """
    frames = [(video, frame) for video, start, stop in spans for frame in range(start, stop)]
    chosen = np.random.default_rng(seed).permutation(len(frames))[:number]
    return [frames[index] for index in sorted(chosen)]


@torch.no_grad()
def _draw_panel(network: FlowGenerator, clips: ClipDataset, config: FlowConfig, path: Path) -> None:
    """Picture of the liveliest of a few clips: frame, next frame, it warped back, error, flow."""
    numbers = np.linspace(0, len(clips) - 1, min(8, len(clips))).astype(int)
    batch = to_float(torch.stack([clips[int(number)]["clip"] for number in numbers]))
    liveliest = batch.diff(dim=2).abs().mean(dim=(1, 2, 3, 4)).argmax()
    clip = batch[liveliest : liveliest + 1]
    flows = network(clip)
    loss = weigh_loss(clip, flows, config)
    pair = clip.shape[2] // 2
    flow = flows[0][:, :, pair]
    small = torch.nn.functional.interpolate(
        clip[0].transpose(0, 1), size=flow.shape[-2:], mode="bilinear", antialias=True
    )
    current, following = small[pair : pair + 1], small[pair + 1 : pair + 2]
    plot_flow_panel(
        _picture(current),
        _picture(following),
        _picture(warp(following, flow)),
        flow[0].numpy(),
        float(loss.gain_db),
        path,
    )


def _picture(image: torch.Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).clamp(0, 1).numpy()
