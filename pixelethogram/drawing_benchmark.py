"""Frames per second of drawing a pose, in every view: one after the other, and in batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, get_args

import numpy as np
import torch

from pixelethogram.config import FramesConfig
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.measuring import take_turns, wait_for
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.views import View

COLUMNS = {
    "view": "view",
    "per_core": "drawn, per s of processor time",
    "wall": "drawn, per s",
    "batches": "in batches, per s",
    "difference": "largest difference of a value in 0…255",
}

CPU_SHARE = 10  # of so many frames one goes into the batch of a CPU, which is slow at it


def measure_views(
    pose: Pose,
    settings: FramesConfig,
    *,
    device: str,
    num_frames: int = 50,
    rounds: int = 5,
) -> list[dict[str, Any]]:
    """Rates of each view, medians over rounds in which the ways to draw take turns.

    Args:
        pose: The recording; frames from all over it are drawn.
        settings: Size, and how to draw.
        device: Where batches are drawn; a CPU, too, works with one core.
        num_frames: Drawn per round.
        rounds: How many.
    """
    threads, rows = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for view in get_args(View):
            own = settings.pose.model_copy(update={"view": view})
            look = settings.model_copy(update={"pose": own})
            row = _measure_view(pose, look, device=device, num_frames=num_frames, rounds=rounds)
            rows.append({"view": view, **row})
    finally:
        torch.set_num_threads(threads)
    return rows


def _measure_view(
    pose: Pose, settings: FramesConfig, *, device: str, num_frames: int, rounds: int
) -> dict[str, Any]:
    drawn = DrawnPose(pose, settings.pose, settings.height, settings.width)
    chosen = np.linspace(0, drawn.num_frames - 1, num_frames).astype(int).tolist()
    some = chosen[:: 1 if device.startswith("cuda") else CPU_SHARE]
    found = take_turns(_ways(drawn, chosen, some, device), rounds + 1)
    rates = {name: median(each[1:]) for name, each in found.items()}  # the first one warms up
    batch = drawn.read_batch(some, device).permute(0, 2, 3, 1).cpu().numpy()
    levels = (batch * 255 + 0.5).astype(np.uint8).astype(int)
    return {**rates, "difference": int(np.abs(levels - drawn.read(some)).max())}


def _ways(
    drawn: DrawnPose, chosen: list[int], some: list[int], device: str
) -> dict[str, Callable[[], float]]:
    """Ways to draw, each giving frames per second."""

    def one_by_one(clock: Callable[[], float]) -> float:
        started = clock()
        drawn.read(chosen)
        return len(chosen) / (clock() - started)

    def together() -> float:
        started = time.perf_counter()
        drawn.read_batch(some, device)
        wait_for(device)
        return len(some) / (time.perf_counter() - started)

    return {
        "per_core": lambda: one_by_one(time.process_time),
        "wall": lambda: one_by_one(time.perf_counter),
        "batches": together,
    }
