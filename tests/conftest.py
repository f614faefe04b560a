"""Fixtures shared by all tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    import torch

    from pixelethogram.project import Project
    from pixelethogram.stages import Job

SHARED = Path(__file__).resolve().parents[2] / "shared"

TINY_SETTINGS = (
    "frames.height=32",
    "frames.width=32",
    "flow.model.width=0.1",
    "flow.train.steps=2",
    "flow.train.validate_every=1",
    "flow.train.batch_size=2",
    "flow.train.precision=fp32",
    "flow.validation_clips=2",
    "features.start_weights=none",
    "features.phases.spatial=1",
    "features.phases.flow=1",
    "features.phases.joint=1",
    "features.train.batch_size=2",
    "features.train.precision=fp32",  # bf16 gradients of maps of one pixel are not to be trusted
    "features.validation_frames=8",
    "features.precision=fp32",
    "sequence.window_frames=30",
    "sequence.train.steps=4",
    "sequence.train.validate_every=2",
    "sequence.train.batch_size=2",
    "ethogram.chance_repetitions=2",
)

# What a child process runs first: the same stand-in networks, and a progress that ends in kill -9.
CHILD = """
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("conftest", {conftest!r})
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
conftest.use_small_streams(setattr)
from pixelethogram.progress import SilentProgress
class Killer(SilentProgress):
    def __init__(self, task, left):
        self.task, self.left, self.there = task, left, False
    def start(self, task, total):
        self.there = task.startswith(self.task)
    def advance(self, units=1, note=""):
        self.left -= self.there
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state; one thread is fastest for tiny networks."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of reference vectors beside the checkout; tests that need it skip elsewhere."""
    folder = SHARED / "golden"
    if not folder.is_dir():
        pytest.skip(f"reference vectors are not here ({folder})")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings beside the checkout; tests that need it skip elsewhere."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here ({folder})")
    return folder


@pytest.fixture(scope="session")
def fill_golden_weights() -> Callable[..., dict[str, torch.Tensor]]:
    """The rule that made the weights of the reference networks, as a function.

    ``fill(shapes, aliases=None)``: `shapes` maps the *reference* state-dict names to shapes and the
    result maps the same names to tensors; `aliases` maps a name to the one its values are drawn by.
    """
    import torch

    def fill(
        shapes: Mapping[str, Sequence[int]], aliases: Mapping[str, str] | None = None
    ) -> dict[str, torch.Tensor]:
        drawn = {
            name: _golden_values((aliases or {}).get(name, name), tuple(shape))
            for name, shape in shapes.items()
        }
        return {name: torch.from_numpy(np.asarray(values)) for name, values in drawn.items()}

    return fill


class ArraySource:
    """Frames of an array as a recording."""

    def __init__(self, frames: np.ndarray, fps: float = 30.0) -> None:
        self.frames, self.fps = frames, fps
        self.num_frames, self.height, self.width = frames.shape[:3]
        self.closed = False

    def scan(self) -> None:
        """There is no frame table."""

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self.frames[list(indices)]

    def iterate(self) -> Iterator[np.ndarray]:
        yield from self.frames

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> ArraySource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture(scope="session")
def array_source() -> type[ArraySource]:
    """A class that makes a recording of an array (T, H, W, 3) uint8."""
    return ArraySource


@pytest.fixture(scope="session")
def write_proxy() -> Callable[[np.ndarray, Path], Path]:
    """``write_proxy(frames, path)``: the proxy of frames (T, H, W, 3) uint8, at their own size."""
    from pixelethogram.frames.proxy import build_proxy
    from pixelethogram.progress import SilentProgress

    def write(frames: np.ndarray, path: Path) -> Path:
        height, width = frames.shape[1:3]
        source: Any = ArraySource(frames)
        build_proxy(source, path, height, width, "stretch", SilentProgress())
        return path

    return write


@pytest.fixture(scope="session")
def moving_texture() -> np.ndarray:
    """(24, 32, 32, 3) uint8: a smooth pattern that goes 2 pixels to the right per frame, round."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).normal(size=(32, 32, 3))
    smooth = gaussian_filter(noise, (1.5, 1.5, 0), mode="wrap")
    picture = 127 + 100 * smooth / np.abs(smooth).max()
    return np.stack([np.roll(picture, 2 * frame, axis=1) for frame in range(24)]).astype(np.uint8)


def use_small_streams(patch: Callable[[Any, str, Any], None]) -> None:
    """Put two-layer networks in the place of both ResNets, so that a training takes seconds."""
    from torch import nn

    from pixelethogram.features.models.resnet import ResNet18Config
    from pixelethogram.features.models.two_stream import TwoStream

    class SmallStream(nn.Module):
        num_features = 8

        def __init__(self, in_channels: int, num_outputs: int) -> None:
            super().__init__()
            self.backbone = nn.Sequential(
                nn.Conv2d(in_channels, 8, 3, stride=4, padding=1),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
            )
            self.head = nn.Linear(8, num_outputs)

        def forward_features(self, images: torch.Tensor) -> torch.Tensor:
            return self.backbone(images)

        def forward_head(self, features: torch.Tensor) -> torch.Tensor:
            return self.head(features)

    def build(
        self: ResNet18Config,
        flow: nn.Module,
        num_outputs: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        clip_length: int = 11,
    ) -> TwoStream:
        streams = [SmallStream(channels, num_outputs) for channels in (3, 2 * (clip_length - 1))]
        return TwoStream(flow, spatial=streams[0], motion=streams[1], mean=mean, std=std)

    patch(ResNet18Config, "build", build)


@pytest.fixture
def small_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `use_small_streams`."""
    use_small_streams(monkeypatch.setattr)


@pytest.fixture(scope="session")
def run_child() -> Callable[[str], int]:
    """``run_child(code)``: exit status of another Python; it has small streams and a `Killer`."""

    def run(code: str) -> int:
        prelude = CHILD.format(conftest=str(Path(__file__).resolve()))
        done = subprocess.run(
            [sys.executable, "-c", prelude + code], capture_output=True, text=True, check=False
        )
        assert done.returncode <= 0, done.stderr
        return done.returncode

    return run


@pytest.fixture(scope="session")
def toy_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of three toy videos of 60 frames, 32 x 32, with labels; all behaviors in each."""
    from pixelethogram.ethogram.ethogram import Ethogram, write_csv
    from pixelethogram.toy import TOY_BEHAVIORS, make_toy_video

    folder = tmp_path_factory.mktemp("toy videos é")
    for seed in range(3):
        path = folder / f"toy {seed}.mp4"
        labels = make_toy_video(path, seed, num_frames=60, size=32)
        write_csv(Ethogram(labels, TOY_BEHAVIORS, 30.0), folder / f"toy {seed}.labels.csv")
    return folder


def build_job(project: Project, *overrides: str, **options: Any) -> Job:
    """A job with the tiny settings, on the CPU."""
    from pixelethogram.config_layers import load_config
    from pixelethogram.progress import SilentProgress
    from pixelethogram.stages import Job

    config = load_config("fast", project.settings, (*TINY_SETTINGS, *overrides))
    return Job(project, config, "cpu", options.pop("progress", SilentProgress()), **options)


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """``make_job(project, *overrides, progress=…, resume=…)``: see `build_job`."""
    return build_job


@pytest.fixture(scope="session")
def make_toy_project(toy_videos: Path) -> Callable[..., Project]:
    """``make_toy_project(folder)``: a project of the toy videos and their labels, untrained."""
    from pixelethogram.intake import add_recordings
    from pixelethogram.progress import SilentProgress
    from pixelethogram.project import create_project
    from pixelethogram.toy import TOY_BEHAVIORS

    def make(folder: Path) -> Project:
        project = create_project(folder, TOY_BEHAVIORS)
        progress = SilentProgress()
        failed = add_recordings(
            project, [toy_videos], copy=False, overwrite=False, progress=progress
        )
        assert failed == []
        return project

    return make


@pytest.fixture(scope="session")
def trained_project(
    make_toy_project: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A trained toy project with small streams, for tests that only read it or copy it."""
    from pixelethogram.pipeline import train_all

    project = make_toy_project(tmp_path_factory.mktemp("trained") / "my project")
    with pytest.MonkeyPatch.context() as patch:
        use_small_streams(patch.setattr)
        train_all(build_job(project))
    return project


@pytest.fixture(scope="session")
def make_large_project(trained_project: Project) -> Callable[..., Project]:
    """``make_large_project(folder, num_videos, num_frames)``: trained, with made-up caches.

    All videos show one recording; each has labels of its own, features from which these can be
    read off up to noise, and probabilities that are mostly right. The runs are those of the toys.
    """
    import h5py

    from pixelethogram.ethogram.ethogram import Ethogram, write_csv
    from pixelethogram.project import Project
    from pixelethogram.recordings import add_video
    from pixelethogram.runs import latest_run, write_yaml
    from pixelethogram.splits import Segment
    from pixelethogram.store import ArrayWriter, array_file
    from pixelethogram.toy import toy_bouts

    def fill(video: Any, runs: Path, behaviors: Sequence[str], seed: int) -> None:
        generator = np.random.default_rng(seed)
        moves = toy_bouts(generator, video.num_frames, (0, 1, 2))[:, None] == [0, 1, 2]
        coat = toy_bouts(generator, video.num_frames, (0, 1))[:, None] == 1
        labels = np.hstack([moves, coat]).astype(np.int8)
        write_csv(Ethogram(labels, tuple(behaviors), video.fps), video.labels_path)
        noise = generator.normal(0, 1, labels.shape)
        features, sequence = latest_run(runs, "features"), latest_run(runs, "sequence")
        origin = {
            "video_sha256": video.sha256,
            "weights_sha256": features.results["weights_sha256"],
        }
        logits = (4.0 * labels - 2 + noise).astype(np.float32)
        with ArrayWriter(array_file(video.folder, "features", features.id), origin) as writer:
            names = ("logits", "spatial_logits", "flow_logits")
            writer.append(
                features=(labels + noise).astype(np.float16), **dict.fromkeys(names, logits)
            )
            writer.finish()
        with ArrayWriter(array_file(video.folder, "sequence", sequence.id), {}) as writer:
            writer.append(probabilities=1 / (1 + np.exp(-logits)))
            writer.finish()

    def make(folder: Path, num_videos: int, num_frames: int) -> Project:
        folder.mkdir()
        movie = folder / "movie.h5"
        with h5py.File(movie, "w") as file:
            file["movie"] = np.random.default_rng(0).integers(
                0, 255, (num_frames, 32, 32), dtype=np.uint8
            )
        shutil.copytree(
            trained_project.folder, folder / "p", ignore=shutil.ignore_patterns("videos")
        )
        project = Project(folder / "p")
        first, _ = add_video(project, movie)
        names = [f"<video> {number:02d}" for number in range(num_videos)]
        for number, name in enumerate(names):
            target = type(first)(project.folder / "videos" / name)
            target.folder.mkdir()
            write_yaml(target.folder / "video.yaml", first.info)
            fill(target, project.runs, project.behaviors, number)
        shutil.rmtree(first.folder)
        cut = {"train": names[: num_videos // 2], "val": names[num_videos // 2 :: 2]}
        cut["test"] = names[num_videos // 2 + 1 :: 2]
        project.write_splits(
            {part: [Segment(name, 0, num_frames) for name in cut[part]] for part in cut}
        )
        return project

    return make


@pytest.fixture
def project_copy(trained_project: Project, tmp_path: Path, small_streams: None) -> Project:
    """A copy of the trained project in another folder, to be changed."""
    from pixelethogram.project import Project

    folder = tmp_path / "copy of the project"
    shutil.copytree(trained_project.folder, folder)
    return Project(folder)


def _golden_values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor of the rule: the draw depends on the name and the shape only."""
    random = np.random.RandomState(zlib.crc32(name.encode("utf-8")) & 0xFFFFFFFF)  # noqa: NPY002
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    if last == "running_var":
        values = 0.5 + random.rand(*shape)
    elif last == "running_mean":
        values = 0.1 * random.randn(*shape)
    elif last in {"center", "delta", "gamma"}:
        values = 0.5 * random.randn(*shape)
    elif len(shape) == 1:
        values = 0.05 * random.randn(*shape) if last == "bias" else 1.0 + 0.1 * random.randn(*shape)
    else:
        values = random.randn(*shape) * np.sqrt(1.6 / np.prod(shape[1:]))
    return np.asarray(values).astype(np.float32)
