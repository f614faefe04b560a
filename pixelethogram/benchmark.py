"""Frames per second of everything between a video file and its probabilities, and what they cost.

Networks have random weights: time does not depend on them. The largest change of a probability
against fp32 does, so it is measured in the same run, and says little before it is measured on a
trained model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.errors import UsageError
from pixelethogram.features.batches import Batch, Cutting, plan_batches
from pixelethogram.features.engine import TYPES, Engine
from pixelethogram.features.extract import build_engine, extract_to_file, plan_cutting
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import open_frames
from pixelethogram.measuring import (
    best_seconds,
    measure_matrix_product,
    peak_memory,
    wait_for,
    watch_layers,
    watch_parts,
)
from pixelethogram.progress import Progress, SilentProgress
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.store import ArrayReader, ArrayWriter
from pixelethogram.toy import toy_frames, write_video
from pixelethogram.training.device import choose_inference_precision

NUM_BEHAVIORS = 5
PAPER = {
    (256, 256): {"fast": 235, "medium": 128, "slow": 34},
    (352, 224): {"fast": 204, "medium": 102, "slow": 28},
    (224, 224): {"fast": 324, "medium": 155, "slow": 44},
    (224, 448): {"fast": 157, "medium": 75, "slow": 21},
    (128, 192): {"fast": 623, "medium": 294, "slow": 89},
}
"""Frames per second on a Titan RTX (Bohnslav et al. 2021, Table 1), by size and preset."""

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


@dataclasses.dataclass(frozen=True)
class Case:
    """What is measured."""

    preset: str
    height: int
    width: int
    stride: int
    precision: str
    """fp32, bf16 or fp16."""

    @property
    def name(self) -> str:
        """One short line."""
        return f"{self.preset} {self.height}x{self.width} stride {self.stride} {self.precision}"

    def build_config(self, batch_size: int) -> Config:
        """Settings of the case."""
        overrides = {
            "frames.height": self.height,
            "frames.width": self.width,
            "flow.stride": self.stride,
            "features.precision": self.precision,
            "features.batch_size": batch_size,
        }
        return load_config(self.preset, {}, [f"{key}={value}" for key, value in overrides.items()])


@dataclasses.dataclass(frozen=True)
class Subject:
    """Networks of a case, and a video."""

    config: Config
    features: FeaturesNetwork
    sequence: nn.Module
    video: Path
    device: str

    def engine(self, precision: str) -> Engine:
        """The features networks, prepared."""
        features = self.config.features.model_copy(update={"precision": precision})
        config = self.config.model_copy(update={"features": features})
        return build_engine(
            self.features, config, device=self.device, exact=False, progress=SilentProgress()
        )

    def cutting(self) -> Cutting:
        """Clips and batches of the settings."""
        return plan_cutting(self.config, self.device)


def list_cases(
    presets: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    precisions: Sequence[str],
    device: str,
) -> list[Case]:
    """Both strides of every combination; precision auto is what the device runs best."""
    kinds = [
        choose_inference_precision("auto", device) if each == "auto" else each
        for each in precisions
    ]
    return [
        Case(preset, *size, stride, kind)
        for preset in presets
        for size in sizes
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


@contextlib.contextmanager
def build_subject(
    case: Case, *, num_frames: int, batch_size: int, device: str
) -> Iterator[Subject]:
    """Networks with random weights, and a toy video of the size, in a temporary folder."""
    config = case.build_config(batch_size)
    grey, spread = (0.5,) * 3, (0.2,) * 3
    torch.manual_seed(0)
    flow = FlowGenerator(config.flow.network.build(), grey, spread)
    assert not isinstance(config.features.model, KeypointsConfig)  # presets see pixels
    features = config.features.model.build(flow, NUM_BEHAVIORS, grey, spread).eval().to(device)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "toy.mp4"
        frames, _ = toy_frames(seed=0, num_frames=num_frames, size=min(case.height, case.width))
        fitted = [resize_frame(each, case.height, case.width, "stretch") for each in frames]
        write_video(np.stack(fitted), video, 30.0)
        num_features = _count_features(features)
        sequence = config.sequence.model.build(num_features, NUM_BEHAVIORS).eval().to(device)
        yield Subject(config, features, sequence, video, device)


def measure_case(
    case: Case,
    matrix_products: dict[str, float],
    *,
    num_frames: int,
    batch_size: int,
    device: str,
    budget: float,
) -> Row:
    """All figures of a case; rates are per second and count frames of the video.

    Args:
        case: What is measured.
        matrix_products: TFLOP/s of each number format.
        num_frames: Frames of the video.
        batch_size: Setting `features.batch_size`.
        device: cpu, cuda or mps.
        budget: Seconds per measured piece.
    """
    with build_subject(
        case, num_frames=num_frames, batch_size=batch_size, device=device
    ) as subject:
        engine, batches = subject.engine(case.precision), cut_batches(subject)
        row = measure_networks(engine, batches, device, budget)
        row |= measure_rims(subject, budget)
        row["end_to_end"] = max(run_end_to_end(subject)[0] for _ in range(2))
        row["largest_change"] = compare_with_fp32(subject, engine, batches)
    peak, product = peak_memory(device), matrix_products.get(case.precision)
    row["tflops"] = row["end_to_end"] * row["gflop_per_frame"] / 1e3
    row["share_of_matrix_product"] = row["tflops"] / product if product else None
    row["share_of_layers"] = row["end_to_end"] / row["layers"]
    row["peak_memory_gb"] = peak / 1e9 if peak else None
    row["paper_titan_rtx"] = PAPER.get((case.height, case.width), {}).get(case.preset)
    return {"case": case.name, **dataclasses.asdict(case), **row}


def measure_networks(engine: Engine, batches: Sequence[Batch], device: str, budget: float) -> Row:
    """Rates of the networks together and each, and of their convolutions one by one."""
    number = sum(len(batch.starts) for batch in batches)
    with watch_layers(engine.parts) as layers:
        run_batches(engine, batches)
    seconds = best_seconds(lambda: run_batches(engine, batches), device, budget=budget)
    best: dict[str, float] = {}
    for _ in range(2):
        with watch_parts(engine.parts, device) as parts:
            run_batches(engine, batches)
        best = {name: min(each, best.get(name, each)) for name, each in parts.items()}
    share = budget / max(1, len(layers))
    alone = sum(layer.measure(device, share) * count for layer, count in layers.items())
    operations = sum(layer.operations * count for layer, count in layers.items())
    return {
        "networks": number / seconds,
        **{name: number / each for name, each in best.items()},
        "gflop_per_frame": operations / number / 1e9,
        "layers": number / alone,
    }


def measure_rims(subject: Subject, budget: float) -> Row:
    """Rates of decoding, transfer, the sequence model and writing."""
    device, config = subject.device, subject.config

    def decode() -> None:
        with open_frames(subject.video) as source:
            for frame in source.iterate():
                resize_frame(frame, config.frames.height, config.frames.width, config.frames.fit)

    images = torch.from_numpy(cut_batches(subject)[0].images)
    features = torch.randn(1, 1024, _count_features(subject.features), device=device)
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


def run_end_to_end(subject: Subject) -> tuple[float, np.ndarray]:
    """Frames per second from the video file to probabilities (T, K), and these."""
    path = subject.video.with_suffix(".features.h5")
    started = time.perf_counter()
    with open_frames(subject.video) as source:
        num_frames = extract_to_file(
            subject.features,
            source,
            subject.config,
            path,
            {},
            device=subject.device,
            progress=SilentProgress(),
        )
    with ArrayReader(path) as arrays:
        probabilities = predict_probabilities(
            subject.sequence,  # type: ignore[arg-type]
            lambda start, stop: arrays.read("features", start, stop),
            num_frames,
            exclusive=False,
        )
    wait_for(subject.device)
    return num_frames / (time.perf_counter() - started), probabilities


def compare_with_fp32(subject: Subject, engine: Engine, batches: Sequence[Batch]) -> float:
    """Largest change of a probability of the features' own logits against fp32."""
    exact, rough = (
        run_batches(each, batches).sigmoid() for each in (subject.engine("fp32"), engine)
    )
    return float((exact - rough).abs().max())


def measure_batch_curve(subject: Subject, precision: str, sizes: Sequence[int]) -> dict[int, float]:
    """Frames per second of the networks by number of frames at a time."""
    engine, batches = subject.engine(precision), cut_batches(subject)
    curve = {}
    for size in sizes:
        engine.chunk = size
        seconds = best_seconds(lambda: run_batches(engine, batches), subject.device, budget=0.5)
        curve[size] = sum(len(batch.starts) for batch in batches) / seconds
    return curve


def cut_batches(subject: Subject) -> list[Batch]:
    """The whole video, decoded and cut."""
    with open_frames(subject.video) as source:
        opening: Any = contextlib.nullcontext(source)
        events = plan_batches([opening], subject.cutting())
        return [event for event in events if isinstance(event, Batch)]


def run_batches(engine: Engine, batches: Sequence[Batch]) -> torch.Tensor:
    """Logits (T, O) of a whole video."""
    engine.forget()
    return torch.cat([engine.run(batch)["logits"] for batch in batches])


def run_cases(
    cases: Sequence[Case],
    *,
    num_frames: int,
    batch_size: int,
    device: str,
    budget: float,
    progress: Progress,
    measure: Callable[..., Row] = measure_case,
) -> Row:
    """The machine, and all cases; what a case needs too much memory for is said and left out."""
    machine = describe_machine(device)
    rows = []
    progress.start("benchmark", len(cases))
    for case in cases:
        rows.append(
            measure(
                case,
                machine["matrix_product_tflops"],
                num_frames=num_frames,
                batch_size=batch_size,
                device=device,
                budget=budget,
            )
        )
        progress.advance(1, case.name)
    progress.finish()
    return {"machine": machine, "cases": rows, "ratios": find_ratios(rows)}


def find_ratios(rows: Sequence[Row]) -> dict[str, float]:
    """How much faster shared flow is, end to end, in the first pair of cases."""
    by_stride = {row["stride"]: row["end_to_end"] for row in reversed(rows)}
    if set(by_stride) < {1, 10}:
        return {}
    return {"stride10_over_stride1": by_stride[10] / by_stride[1]}


def _count_features(features: FeaturesNetwork) -> int:
    if not isinstance(features, TwoStream):
        raise UsageError("only networks of two streams are measured", do="choose a preset of ours")
    return features.spatial.num_features + features.motion.num_features


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if names:
            return names[0].partition(":")[2].strip()
    return platform.processor()
