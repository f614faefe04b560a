"""A video that is unlike the training videos is named with what is unlike; one like them is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.frames.statistics import Statistics
from pixelethogram.inference import load_models, predict_videos
from pixelethogram.project import Project
from pixelethogram.store import ArrayReader, ArrayWriter
from pixelethogram.toy import toy_frames, write_video
from pixelethogram.unlike_training import (
    FILE_NAME,
    TrainingVideos,
    VideoTraits,
    gather,
    measure_video,
    read_training_videos,
    write_training_videos,
)

NUM_FEATURES = 50


def traits(seed: int, **changes: object) -> VideoTraits:
    """A usual video: features around 0, a bit different from video to video."""
    mean = 0.3 * np.random.default_rng(seed).normal(size=NUM_FEATURES)
    usual = {
        "mean": mean,
        "variance": np.ones(NUM_FEATURES),
        "brightness": 0.4 + 0.01 * (seed % 5),
        "contrast": 0.2,
        "height": 480,
        "width": 640,
        "fps": 30.0,
    }
    return VideoTraits(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.fixture
def training() -> TrainingVideos:
    return gather([traits(seed) for seed in range(8)])


def test_new_videos_of_the_same_kind_are_not_named(training: TrainingVideos) -> None:
    assert [training.compare(traits(seed)) for seed in range(100, 150)] == [[]] * 50


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mean": np.full(NUM_FEATURES, 2.0)}, "features lie"),
        ({"brightness": 0.6}, "brightness is 0.60, that of the training videos 0.4 to 0.44"),
        ({"contrast": 0.1}, "contrast is 0.10, that of the training videos 0.2"),
        ({"fps": 60.0}, "frame rate is 60"),
        ({"height": 1080, "width": 1440}, "height in pixels is 1080"),
        ({"width": 480}, "width / height is 1"),
    ],
)
def test_what_is_unlike_is_named(
    training: TrainingVideos, changes: dict[str, object], said: str
) -> None:
    (sentence,) = training.compare(traits(100, **changes))
    assert said in sentence


def test_distance_is_counted_in_the_farthest_training_video() -> None:
    """Videos at −1, 0, 0, 1 in each feature: the farthest lies 4/3 from the mean of the others."""
    videos = [traits(0, mean=np.full(NUM_FEATURES, value)) for value in (-1.0, 0, 0, 1)]
    assert gather(videos).distance(np.full(NUM_FEATURES, 2.0)) == pytest.approx(2 / (4 / 3))


def test_what_is_not_known_is_not_compared(training: TrainingVideos) -> None:
    assert training.compare(traits(100, brightness=float("nan"), contrast=float("nan"))) == []
    unknown = gather([traits(seed, brightness=float("nan")) for seed in range(4)])
    assert unknown.compare(traits(3, brightness=0.9)) == []


def test_features_that_never_changed_do_not_blow_up() -> None:
    dead = np.r_[np.zeros(5), np.ones(NUM_FEATURES - 5)]
    videos = [traits(seed, mean=0.3 * dead * traits(seed).mean, variance=dead) for seed in range(6)]
    training = gather(videos)
    assert np.isfinite(training.distance(np.ones(NUM_FEATURES)))
    assert training.std.min() >= 0.1


def test_traits_are_those_of_the_frames_asked_for(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(9000, 3)).astype(np.float32)
    path = tmp_path / "a.h5"
    with ArrayWriter(path, {}) as writer:
        writer.append(features=features)
        writer.finish()
    colors = Statistics(9, (0.2, 0.3, 0.4), (0.1, 0.1, 0.4))
    with ArrayReader(path) as arrays:
        found = measure_video(arrays, colors, height=4, width=5, fps=6, start=100, stop=8900)
    np.testing.assert_allclose(found.mean, features[100:8900].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.variance, features[100:8900].var(axis=0), atol=1e-5)
    assert (found.brightness, found.contrast) == pytest.approx((0.3, 0.2))


def test_they_survive_being_written(training: TrainingVideos, tmp_path: Path) -> None:
    assert read_training_videos(tmp_path) is None
    write_training_videos(training, tmp_path)
    again = read_training_videos(tmp_path)
    assert again is not None
    for name in ("means", "std", "traits"):
        np.testing.assert_array_equal(getattr(again, name), getattr(training, name))


def test_predict_names_an_unlike_video_once_and_keeps_it(
    trained_project: Project, toy_videos: Path, tmp_path: Path, small_streams: None
) -> None:
    """A bright video of another shape and rate; and one that the project knows."""
    frames, _ = toy_frames(7, 40, 32)
    write_video(np.repeat(255 - frames // 8, 2, axis=2), tmp_path / "odd.mp4", 60.0)
    shutil.copy(toy_videos / "toy 0.mp4", tmp_path / "usual.mp4")
    models = load_models(trained_project.folder, "cpu")
    assert (models.run.folder / FILE_NAME).stat().st_size < 50_000
    found = {
        each.source.stem: each for each in predict_videos(models, [tmp_path], tmp_path / "out")
    }
    said = "\n".join(found["odd"].unlike_training)
    for word in ("brightness", "frame rate is 60", "width / height is 2"):
        assert word in said
    assert found["usual"].unlike_training == []
    record = json.loads((tmp_path / "out" / "odd.mp4.json").read_text("utf-8"))
    assert record["unlike_training"] == found["odd"].unlike_training
    (again,) = predict_videos(models, [tmp_path / "odd.mp4"], tmp_path / "out")
    assert again.status == "skipped" and again.unlike_training == found["odd"].unlike_training
