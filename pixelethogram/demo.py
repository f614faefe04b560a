"""`pixelethogram demo`: the whole pipeline on a toy project with a known answer.

Three behaviors need motion (left, right and still look alike in one frame), one needs appearance
(striped). The scores are those on held-out videos that are in no project.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.ethogram.ethogram import Ethogram, read_csv, write_csv
from pixelethogram.ethogram.plots import plot_scores
from pixelethogram.ethogram.scores import chance_scores, score
from pixelethogram.inference import VideoResult, load_models, predict_videos
from pixelethogram.intake import LABELS_SUFFIX, add_recordings
from pixelethogram.pipeline import Job, train_all
from pixelethogram.progress import Progress, format_seconds
from pixelethogram.project import Project, create_project
from pixelethogram.terminal import build_progress, build_table
from pixelethogram.toy import TOY_BEHAVIORS, make_toy_video
from pixelethogram.training.device import choose_device

NUM_TRAINING_VIDEOS = 12
NUM_NEW_VIDEOS = 2
NUM_FRAMES = 300
FPS = 30.0

DEMO_SETTINGS = (
    "frames.height=64",
    "frames.width=64",
    "flow.train.steps=600",
    "flow.train.validate_every=200",
    "flow.augment.rotation_degrees=0",
    "flow.augment.color_probability=0",
    "flow.augment.flip_horizontal=0",
    "flow.train.batch_size=8",
    "flow.train.learning_rate=1e-3",
    "flow.validation_clips=64",
    "features.start_weights=none",
    "features.augment.flip_horizontal=0",
    "features.phases.spatial=200",
    "features.phases.flow=700",
    "features.phases.joint=0",
    "features.train.batch_size=16",
    "features.train.learning_rate=1e-3",
    "features.train.schedule=cosine",
    "features.train.validate_every=100",
    "features.validation_frames=300",
    "sequence.train.steps=120",
    "sequence.train.validate_every=30",
    "sequence.train.batch_size=16",
    "sequence.train.learning_rate=1e-3",
    "sequence.train.schedule=cosine",
    "split.test=0",
    "split.train=0.75",
    "split.val=0.25",
)


def run_demo(folder: Path, device: str, console: Console) -> dict[str, Any]:
    """Make toy videos, train on them, predict new ones, and say how well it went.

    Called again after a kill it goes on where it stopped.

    Args:
        folder: Made when missing.
        device: auto, cpu, cuda or mps.
        console: Where to say what happens.

    Returns:
        macro_f1 on the new videos, seconds, and paths of ethogram, scores and plot.
    """
    started = time.monotonic()
    progress = build_progress(console)
    project = _prepare_project(folder, progress)
    device = choose_device(device)
    job = Job(project, demo_config(project), device, progress)
    train_all(job)
    models = load_models(project.folder, device)
    results = predict_videos(models, [folder / "new videos"], folder / "results", progress=progress)
    summary = _judge(results, folder)
    summary["seconds"] = round(time.monotonic() - started, 1)
    console.print(
        build_table("new videos", ["F1", *TOY_BEHAVIORS, "macro", "chance"], [summary.pop("row")])
    )
    console.print(f"finished in {format_seconds(summary['seconds'])}")
    for name in ("ethogram", "scores", "plot"):
        console.print(f"{name:9}{summary[name]}", soft_wrap=True, highlight=False, markup=False)
    return summary


def demo_config(project: Project) -> Config:
    """The fast preset with small frames and few steps."""
    return load_config("fast", project.settings, DEMO_SETTINGS)


def _prepare_project(folder: Path, progress: Progress) -> Project:
    for name, first_seed, number in (
        ("videos", 0, NUM_TRAINING_VIDEOS),
        ("new videos", 100, NUM_NEW_VIDEOS),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in range(first_seed, first_seed + number):
            _make_labelled_video(folder / name / f"toy {seed:03d}.mp4", seed)
    project = Project(folder / "project")
    if not (project.folder / "project.yaml").exists():
        project = create_project(folder / "project", TOY_BEHAVIORS)
    add_recordings(project, [folder / "videos"], copy=False, overwrite=False, progress=progress)
    return project


def _make_labelled_video(path: Path, seed: int) -> None:
    labels_path = path.with_name(path.stem + LABELS_SUFFIX)
    if path.exists() and labels_path.exists():
        return
    labels = make_toy_video(path, seed, NUM_FRAMES, fps=FPS)
    write_csv(Ethogram(labels, TOY_BEHAVIORS, FPS), labels_path)


def _judge(results: list[VideoResult], folder: Path) -> dict[str, Any]:
    """Compare predicted ethograms of the new videos with their true labels."""
    labels, present = [], []
    for result in results:
        assert result.ethogram_csv is not None
        truth = result.source.with_name(result.source.stem + LABELS_SUFFIX)
        labels.append(read_csv(truth, TOY_BEHAVIORS, result.num_frames, FPS))
        present.append(read_csv(result.ethogram_csv, TOY_BEHAVIORS, result.num_frames, FPS))
    scores = score(
        np.concatenate([each.values for each in labels]),
        None,
        np.concatenate([each.values == 1 for each in present]),
        TOY_BEHAVIORS,
    )
    chance = chance_scores([each.values for each in labels], [each.values == 1 for each in present])
    output = folder / "results"
    plot_scores(scores, chance, output / "scores.png")
    first = results[0]
    assert first.ethogram_csv is not None
    return {
        "macro_f1": scores.macro_f1,
        "f1": dict(zip(TOY_BEHAVIORS, scores.f1.tolist(), strict=True)),
        "chance": chance["macro_f1"],
        "row": ["new videos", *scores.f1.tolist(), scores.macro_f1, chance["macro_f1"]],
        "ethogram": str(first.ethogram_csv),
        "scores": str(output / "scores.png"),
        "plot": str(first.ethogram_csv.with_suffix(".png")),
    }
