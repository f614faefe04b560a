"""Is a new video like those that the model learned from? Small statistics, kept beside a run.

Compared are the features in the mean over the video, its brightness and contrast, its size and its
frame rate. Far means: farther from the training videos than they are from each other, by a margin.
A video that is unlike them may still be scored well; nobody has measured it, that is all.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.cached_features import open_features
from pixelethogram.frames.statistics import Statistics
from pixelethogram.project import Project
from pixelethogram.runs import Run
from pixelethogram.splits import Segment
from pixelethogram.store import ArrayReader

FILE_NAME = "training_videos.npz"
CHUNK_FRAMES = 4096
MIN_VIDEOS = 3
NUM_PIECES = 4  # of each video, where there are fewer videos than that
FAR = 1.5  # times the largest distance of a training video from the others
MARGIN = 0.5  # of the range of the training videos, on both sides
MIN_MARGIN = 0.05  # of brightness and contrast, which go from 0 to 1
RATE_MARGIN = 1.2
SHAPE_MARGIN = 1.1
SCALE_MARGIN = 2.0
MIN_STD = 0.1  # of the median one: features that hardly change count no more than ten times


@dataclass(frozen=True, eq=False)
class VideoTraits:
    """What one video, or a piece of it, looks like to the pipeline."""

    mean: np.ndarray
    """(D,) mean of the features."""
    variance: np.ndarray
    """(D,) variance of the features over frames."""
    brightness: float
    """Mean of all pixels, 0 to 1; NaN if unknown, as in features of older versions."""
    contrast: float
    """Standard deviation of the pixels, mean over the colors; NaN if unknown."""
    height: float
    width: float
    fps: float


@dataclass(frozen=True, eq=False)
class TrainingVideos:
    """Traits of everything a run learned from, one row per video or piece."""

    means: np.ndarray
    """(V, D)."""
    std: np.ndarray
    """(D,) over frames, inside of videos."""
    traits: np.ndarray
    """(V, 5): brightness, contrast, height, width, fps."""

    def compare(self, video: VideoTraits) -> list[str]:
        """Sentences on what makes a video unlike the training videos; empty if nothing does."""
        brightness, contrast, height, width, fps = self.traits.T
        found = [
            self._compare_features(video.mean),
            _compare_level("brightness", video.brightness, brightness),
            _compare_level("contrast", video.contrast, contrast),
            _compare_ratio("frame rate", video.fps, fps, RATE_MARGIN),
            _compare_ratio("height in pixels", video.height, height, SCALE_MARGIN),
            _compare_ratio(
                "width / height", video.width / video.height, width / height, SHAPE_MARGIN
            ),
        ]
        return [sentence for sentence in found if sentence]

    def distance(self, mean: np.ndarray) -> float:
        """How far the features (D,) of a video lie, in units of what is usual.

        1 is as far as the training video that lies farthest from the others.
        """
        number = len(self.means)
        total = self.means.sum(axis=0)
        others = (total - self.means) / max(number - 1, 1)
        usual = max(self._length(each) for each in self.means - others)
        return self._length(mean - total / number) / max(usual, 1e-12)

    def _length(self, difference: np.ndarray) -> float:
        return float(np.sqrt(np.mean((difference / self.std) ** 2)))

    def _compare_features(self, mean: np.ndarray) -> str:
        distance = self.distance(mean)
        if distance <= FAR:
            return ""
        return (
            f"its features lie {distance:.1f} times as far from the training videos as the "
            "farthest of those from the others"
        )


def measure_video(
    features: ArrayReader,
    colors: Statistics | None,
    *,
    height: int,
    width: int,
    fps: float,
    start: int = 0,
    stop: int | None = None,
) -> VideoTraits:
    """Traits of the frames `start` to `stop` of a video; memory stays flat.

    Args:
        features: With an array `features` (T, D).
        colors: Of the whole video; None if unknown.
        height: Pixels.
        width: Pixels.
        fps: Frames per second.
        start: First frame.
        stop: Frame after the last; None goes to the end.
    """
    stop = features.num_frames if stop is None else stop
    total: Any = 0.0
    squares: Any = 0.0
    for first in range(start, stop, CHUNK_FRAMES):
        block = features.read("features", first, min(first + CHUNK_FRAMES, stop)).astype(np.float64)
        total = total + block.sum(axis=0)
        squares = squares + (block**2).sum(axis=0)
    mean = total / (stop - start)
    return VideoTraits(
        mean,
        np.maximum(squares / (stop - start) - mean**2, 0),
        float(np.mean(colors.mean)) if colors else float("nan"),
        float(np.mean(colors.std)) if colors else float("nan"),
        height,
        width,
        fps,
    )


def measure_training_videos(
    project: Project, features_run: Run, videos: Container[str]
) -> list[VideoTraits]:
    """Traits of the videos of the train part; of pieces of them, where they are few.

    Args:
        project: With features of this run and a split.
        features_run: Where the features come from.
        videos: Names of those that have labels.
    """
    segments = [each for each in project.splits["train"] if each.video in videos]
    if len({each.video for each in segments}) < MIN_VIDEOS:
        segments = [piece for each in segments for piece in _cut_pieces(each)]
    traits = []
    for each in segments:
        video = project.video(each.video)
        size = {name: int(video.info[name]) for name in ("height", "width")}
        with open_features(video, features_run) as features:
            colors = read_colors(features)
            traits.append(
                measure_video(
                    features, colors, **size, fps=video.fps, start=each.start, stop=each.stop
                )
            )
    return traits


def gather(videos: Sequence[VideoTraits]) -> TrainingVideos:
    """Traits of all training videos together."""
    std = np.sqrt(np.mean([video.variance for video in videos], axis=0))
    return TrainingVideos(
        np.stack([video.mean for video in videos]),
        np.maximum(std, max(MIN_STD * float(np.median(std)), 1e-6)),
        np.array(
            [
                [video.brightness, video.contrast, video.height, video.width, video.fps]
                for video in videos
            ]
        ),
    )


def write_training_videos(videos: TrainingVideos, folder: Path) -> None:
    """Keep them in the folder of a run."""
    content = io.BytesIO()
    np.savez(content, means=videos.means, std=videos.std, traits=videos.traits)
    write_bytes(folder / FILE_NAME, content.getvalue())


def read_training_videos(folder: Path) -> TrainingVideos | None:
    """Those of a run; None where it was trained before they were kept."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    with np.load(path) as content:
        return TrainingVideos(content["means"], content["std"], content["traits"])


def read_colors(features: ArrayReader) -> Statistics | None:
    """Colors that extraction left in a file of features; None in files of older versions."""
    text = features.attribute("colors")
    if text is None:
        return None
    values: Mapping[str, Any] = json.loads(text)
    return Statistics(values["num_frames"], tuple(values["mean"]), tuple(values["std"]))


def _cut_pieces(segment: Segment) -> list[Segment]:
    edges = np.linspace(segment.start, segment.stop, NUM_PIECES + 1).astype(int).tolist()
    return [
        Segment(segment.video, start, stop)
        for start, stop in itertools.pairwise(edges)
        if stop > start
    ]


def _compare_level(name: str, value: float, usual: np.ndarray) -> str:
    if np.isnan(value) or np.isnan(usual).any():
        return ""
    margin = max(MARGIN * float(np.ptp(usual)), MIN_MARGIN)
    if usual.min() - margin <= value <= usual.max() + margin:
        return ""
    return f"its {name} is {value:.2f}, that of the training videos {_range(usual)}"


def _compare_ratio(name: str, value: float, usual: np.ndarray, margin: float) -> str:
    if usual.min() / margin <= value <= usual.max() * margin:
        return ""
    return f"its {name} is {value:.4g}, that of the training videos {_range(usual)}"


def _range(values: np.ndarray) -> str:
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low} to {high}"
