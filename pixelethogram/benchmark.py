"""Frames per second of everything between a video file and its probabilities, and what they cost.

Networks have random weights: time does not depend on them. The largest change of a probability
against fp32 does, so it is measured in the same run, and says little before it is measured on a
trained model.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from pixelethogram.benchmark_subject import (
    Case,
    Subject,
    build_subject,
    compare_with_fp32,
    count_features,
    cut_batches,
    run_batches,
    run_end_to_end,
)
from pixelethogram.features.batches import Batch
from pixelethogram.features.engine import TYPES, Engine, is_shortage
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import open_frames
from pixelethogram.measuring import (
    best_seconds,
    forget_peak,
    measure_matrix_product,
    median_ratio,
    peak_memory,
    take_turns,
    wait_for,
    watch_layers,
    watch_parts,
)
from pixelethogram.progress import Progress
from pixelethogram.store import ArrayWriter
from pixelethogram.training.device import choose_inference_precision

PAPER = {
    (256, 256): {"fast": 235, "medium": 128, "slow": 34},
    (352, 224): {"fast": 204, "medium": 102, "slow": 28},
    (224, 224): {"fast": 324, "medium": 155, "slow": 44},
    (224, 448): {"fast": 157, "medium": 75, "slow": 21},
    (128, 192): {"fast": 623, "medium": 294, "slow": 89},
}
"""Frames per second on a Titan RTX (Bohnslav et al. 2021, Table 1), by size as written there."""

COLUMNS = {
    "case": "case",
    "end_to_end": "end to end /s",
    "networks": "networks /s",
    "flow": "flow /s",
    "spatial": "spatial /s",
    "flow stream": "flow stream /s",
    "tflops": "TFLOP/s",
    "share_of_matrix_product": "of matrix product",
    "share_of_layers": "of its layers alone",
    "largest_change": "max |Δp|",
    "paper_titan_rtx": "paper /s",
}

Row = dict[str, Any]


def list_cases(
    presets: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    precisions: Sequence[str],
    device: str,
) -> list[Case]:
    """Both strides of every combination.

    Args:
        presets: Names.
        sizes: Width and height.
        precisions: Number formats; auto is what the device runs best.
        device: cpu, cuda or mps.
    """
    kinds = [
        choose_inference_precision("auto", device) if each == "auto" else each
        for each in precisions
    ]
    return [
        Case(preset, height, width, stride, kind)
        for preset in presets
        for width, height in sizes
        for kind in dict.fromkeys(kinds)
        for stride in (1, 10)
    ]


def describe_machine(device: str) -> Row:
    """Device, software, and matrix products in TFLOP/s."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    kinds = ["fp32", choose_inference_precision("auto", device)]
    rates = {
        kind: measure_matrix_product(device, TYPES[kind]) / 1e12 for kind in dict.fromkeys(kinds)
    }
    return {
        "device": f"{device}: {name}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "matrix_product_tflops": rates,
    }


def measure_case(
    case: Case,
    matrix_products: dict[str, float],
    *,
    num_frames: int,
    batch_size: int,
    device: str,
    budget: float,
    rounds: int,
) -> Row:
    """All figures of a case; rates are per second and count frames of the video.

    Args:
        case: What is measured.
        matrix_products: TFLOP/s of each number format.
        num_frames: Frames of the video.
        batch_size: Setting `features.batch_size`.
        device: cpu, cuda or mps.
        budget: Seconds per measured piece.
        rounds: Of what is measured in turn.
    """
    forget_peak(device)
    with build_subject(
        case, num_frames=num_frames, batch_size=batch_size, device=device
    ) as subject:
        engine, batches = subject.engine(case.precision), cut_batches(subject)
        row = measure_in_turn(subject, engine, batches, rounds)
        row |= measure_parts(engine, batches, device) | measure_rims(subject, budget)
        row["largest_change"] = compare_with_fp32(subject, engine, batches)
    peak, product = peak_memory(device), matrix_products.get(case.precision)
    row["tflops"] = row["end_to_end"] * row["gflop_per_frame"] / 1e3
    row["share_of_matrix_product"] = row["tflops"] / product if product else None
    row["peak_memory_gb"] = peak / 1e9 if peak else None
    row["paper_titan_rtx"] = PAPER.get((case.width, case.height), {}).get(case.preset)
    return {"case": case.name, **dataclasses.asdict(case), **row}


def measure_in_turn(subject: Subject, engine: Engine, batches: Sequence[Batch], rounds: int) -> Row:
    """Rates end to end, of the networks, and of their convolutions one by one.

    They take turns, so that what else the machine does hits all alike. `share_of_layers` is the
    median over the rounds of end to end over the layers of the same round: how near the whole comes
    to a network that does nothing but its multiplications and additions, as fast as this machine
    does them for the same shapes.
    """
    number = sum(len(batch.starts) for batch in batches)
    with watch_layers(engine.parts) as layers:
        run_batches(engine, batches)

    def run_networks() -> float:
        started = time.perf_counter()
        run_batches(engine, batches)
        wait_for(subject.device)
        return number / (time.perf_counter() - started)

    def run_layers() -> float:
        return number / sum(
            layer.measure(subject.device) * count for layer, count in layers.items()
        )

    run_end_to_end(subject, engine)  # what is done once is not counted
    found = take_turns(
        {
            "end_to_end": lambda: run_end_to_end(subject, engine)[0],
            "layers": run_layers,
            "networks": run_networks,
        },
        rounds,
    )
    operations = sum(layer.operations * count for layer, count in layers.items())
    return {
        **{name: median(rates) for name, rates in found.items()},
        "share_of_layers": median_ratio(found["end_to_end"], found["layers"]),
        "gflop_per_frame": operations / number / 1e9,
    }


def measure_parts(engine: Engine, batches: Sequence[Batch], device: str) -> Row:
    """Rate of each network."""
    number = sum(len(batch.starts) for batch in batches)
    best: dict[str, float] = {}
    for _ in range(2):
        with watch_parts(engine.parts, device) as parts:
            run_batches(engine, batches)
        best = {name: min(each, best.get(name, each)) for name, each in parts.items()}
    return {name: number / each for name, each in best.items()}


def measure_rims(subject: Subject, budget: float) -> Row:
    """Rates of decoding, transfer, the sequence model and writing."""
    device, config = subject.device, subject.config

    def decode() -> None:
        with open_frames(subject.video) as source:
            for frame in source.iterate():
                resize_frame(frame, config.frames.height, config.frames.width, config.frames.fit)

    images = torch.from_numpy(cut_batches(subject)[0].images)
    features = torch.randn(1, 1024, count_features(subject.features), device=device)
    mask = torch.ones(1, 1024, dtype=torch.bool, device=device)
    rows = np.zeros((1024, features.shape[2]), np.float16)

    def predict() -> None:
        with torch.inference_mode():
            subject.sequence(features, mask)

    def write() -> None:
        with ArrayWriter(subject.video.with_suffix(".h5"), {}) as writer:
            writer.append(features=rows)
            writer.finish()

    with open_frames(subject.video) as source:
        num_frames = source.num_frames
    return {
        "decode": num_frames / best_seconds(decode, device, budget=budget / 4),
        "transfer": len(images)
        / best_seconds(lambda: images.to(device, copy=True), device, budget=budget / 4),
        "sequence": 1024 / best_seconds(predict, device, budget=budget / 4),
        "write": 1024 / best_seconds(write, device, budget=budget / 4),
    }


def measure_batch_curve(subject: Subject, precision: str, sizes: Sequence[int]) -> dict[int, float]:
    """Frames per second of the networks by number of frames at a time."""
    engine, batches = subject.engine(precision), cut_batches(subject)
    curve = {}
    for size in sizes:
        engine.chunk = size
        seconds = best_seconds(lambda: run_batches(engine, batches), subject.device, budget=0.5)
        curve[size] = sum(len(batch.starts) for batch in batches) / seconds
    return curve


def run_cases(
    cases: Sequence[Case],
    *,
    num_frames: int,
    batch_size: int,
    device: str,
    budget: float,
    rounds: int,
    progress: Progress,
    keep: Callable[[Row], None] = lambda _: None,
    measure: Callable[..., Row] = measure_case,
) -> Row:
    """The machine, and all cases; one that memory does not suffice for is said and left out.

    Args:
        cases: What is measured.
        num_frames: Frames of the video.
        batch_size: Setting `features.batch_size`.
        device: cpu, cuda or mps.
        budget: Seconds per measured piece.
        rounds: Of what is measured in turn.
        progress: Told of every case.
        keep: Is given all that is known after every case.
        measure: Measures a case.
    """
    found: Row = {"machine": describe_machine(device), "cases": [], "left_out": [], "ratios": {}}
    progress.start("benchmark", len(cases))
    for case in cases:
        try:
            row = measure(
                case,
                found["machine"]["matrix_product_tflops"],
                num_frames=num_frames,
                batch_size=batch_size,
                device=device,
                budget=budget,
                rounds=rounds,
            )
            found["cases"].append(row)
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            progress.message(f"{case.name}: not enough memory; left out")
            found["left_out"].append(case.name)
        found["ratios"] = find_ratios(found["cases"])
        keep(found)
        progress.advance(1, case.name)
    progress.finish()
    return found


def find_ratios(rows: Sequence[Row]) -> dict[str, float]:
    """How much faster shared flow is, end to end, in the first pair of cases."""
    by_stride = {row["stride"]: row["end_to_end"] for row in reversed(rows)}
    if set(by_stride) < {1, 10}:
        return {}
    return {"stride10_over_stride1": by_stride[10] / by_stride[1]}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if names:
            return names[0].partition(":")[2].strip()
    return platform.processor()
