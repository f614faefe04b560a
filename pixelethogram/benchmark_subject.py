"""What the benchmark measures: the networks of a preset with random weights, and a toy video.

Time does not depend on the weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.errors import UsageError
from pixelethogram.features.batches import Batch, Cutting, plan_batches
from pixelethogram.features.engine import Engine
from pixelethogram.features.extract import Order, build_engine, extract_all, plan_cutting
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.features.pictures import open_resized
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import open_frames
from pixelethogram.measuring import wait_for
from pixelethogram.progress import SilentProgress
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.store import ArrayReader
from pixelethogram.toy import toy_frames, write_video

NUM_BEHAVIORS = 5


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
        return f"{self.preset} {self.width}x{self.height} stride {self.stride} {self.precision}"

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
        num_features = count_features(features)
        sequence = config.sequence.model.build(num_features, NUM_BEHAVIORS).eval().to(device)
        yield Subject(config, features, sequence, video, device)


def run_end_to_end(subject: Subject, engine: Engine) -> tuple[float, np.ndarray]:
    """Frames per second from the video file to probabilities (T, K), and these."""
    path = subject.video.with_suffix(".features.h5")
    started = time.perf_counter()
    with open_frames(subject.video) as source:
        order = Order(path.stem, lambda: contextlib.nullcontext(source), path, {})
        (found,) = extract_all(engine, [order], subject.config, SilentProgress())
    found.check()
    with ArrayReader(path) as arrays:
        probabilities = predict_probabilities(
            subject.sequence,  # type: ignore[arg-type]
            lambda start, stop: arrays.read("features", start, stop),
            found.num_frames,
            exclusive=False,
        )
    wait_for(subject.device)
    return found.num_frames / (time.perf_counter() - started), probabilities


def compare_with_fp32(subject: Subject, engine: Engine, batches: Sequence[Batch]) -> float:
    """Largest change of a probability of the features' own logits against fp32."""
    exact, rough = (
        run_batches(each, batches).sigmoid() for each in (subject.engine("fp32"), engine)
    )
    return float((exact - rough).abs().max())


def cut_batches(subject: Subject) -> list[Batch]:
    """The whole video, decoded and cut."""
    opening = [lambda: open_frames(subject.video)]
    pictures = open_resized(opening, subject.config.frames, None)
    events = plan_batches(pictures, subject.cutting())
    return [event for event in events if isinstance(event, Batch)]


def run_batches(engine: Engine, batches: Sequence[Batch]) -> torch.Tensor:
    """Logits (T, O) of a whole video; the device has its next batch while one is waited for."""
    engine.forget()
    logits, waiting = [], None
    for batch in batches:
        started = engine.start(batch)
        if waiting is not None:
            logits.append(waiting.wait()["logits"])
        waiting = started
    assert waiting is not None
    return torch.cat([*logits, waiting.wait()["logits"]])


def count_features(features: FeaturesNetwork) -> int:
    if not isinstance(features, TwoStream):
        raise UsageError("only networks of two streams are measured", do="choose a preset of ours")
    return features.spatial.num_features + features.motion.num_features
