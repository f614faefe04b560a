"""How much more to label: the sequence model trained on ever more of the training videos.

Features are cached, so a training takes seconds to minutes. The judging videos stay the same. Note
that the features network has seen all training videos, also those that a small training leaves out:
the curve tells what more labels bring to the sequence model on these features.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.cached_features import predict_cached
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.ethogram.bouts import find_runs
from pixelethogram.ethogram.power_law import PowerLaw, fit_power_law
from pixelethogram.evaluation import evaluate
from pixelethogram.lineage import start_stage
from pixelethogram.progress import SilentProgress, format_count
from pixelethogram.runs import Run, latest_run
from pixelethogram.sequence.train import train_sequence
from pixelethogram.sequence_data import open_material
from pixelethogram.splits import Segment
from pixelethogram.stages import Job

SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
MEAN = "mean"
OUTLOOK = (2.0, 4.0)  # times the labels


@dataclasses.dataclass(frozen=True, eq=False)
class Training:
    """One training on some of the videos.

    Args:
        repeat: Number of the draw of videos.
        num_videos: How many.
        positives: (K,) frames with each behavior among them.
        bouts: (K,) bouts among them.
        f1: (K,) on the part that judges.
    """

    repeat: int
    num_videos: int
    positives: np.ndarray
    bouts: np.ndarray
    f1: np.ndarray


@dataclasses.dataclass(frozen=True)
class LearningCurve:
    """All trainings, and what follows from them."""

    behaviors: tuple[str, ...]
    part: str
    trainings: list[Training]
    laws: dict[str, PowerLaw]
    """By behavior, and `mean`; absent where too few trainings had the behavior."""

    def points(self) -> dict[str, list[tuple[float, float]]]:
        """Behavior, and `mean`, -> (positive frames, F1) of each training."""
        found: dict[str, list[tuple[float, float]]] = {}
        for column, name in enumerate(self.behaviors):
            found[name] = [
                (float(each.positives[column]), float(each.f1[column])) for each in self.trainings
            ]
        found[MEAN] = [
            (float(each.positives.mean()), float(each.f1.mean())) for each in self.trainings
        ]
        return found

    def fits(self) -> dict[str, tuple[np.ndarray, ...]]:
        """Positive frames, score, lower and upper end of each law, to four times the labels."""
        found: dict[str, tuple[np.ndarray, ...]] = {}
        points = self.points()
        for name, law in self.laws.items():
            known = np.array([frames for frames, _ in points[name] if frames > 0])
            frames = np.geomspace(known.min(), OUTLOOK[-1] * known.max(), 100)
            found[name] = (frames, *law.predict(frames))
        return found


def open_curve_job(job: Job, overrides: Sequence[str]) -> Job:
    """The job with the settings of the newest sequence run, and changes to them.

    Raises:
        InputError: No sequence model is trained yet.
    """
    run = latest_run(job.project.runs, "sequence")
    settings = run.config.model_dump(mode="json")
    config = load_config(None, settings, [*overrides, "sequence.ensemble_folds=1"])
    return dataclasses.replace(job, config=config)


def measure_learning(job: Job, *, repeats: int) -> LearningCurve:
    """Train on 1, 2, 4, 8, … and on all training videos, several times each.

    Args:
        job: With the settings to train with. Learned from are the features that the newest
            sequence run learned from, whose settings these are.
        repeats: Draws of videos; in each, a larger training holds the videos of the smaller ones.

    Raises:
        InputError: Fewer than two training videos, or no features.
    """
    project = job.project
    sequence_run = latest_run(project.runs, "sequence")
    labels = {name: each.values for name, each in project.read_labels().items()}
    splits = {
        part: [each for each in segments if each.video in labels]
        for part, segments in project.splits.items()
    }
    videos = sorted({each.video for each in splits.get("train", [])})
    if len(videos) < 2:
        raise InputError(
            f"{format_count(len(videos), 'training video')}; a learning curve needs two or more",
            where=project.folder,
            do="label more videos and train again",
        )
    sizes = [size for size in SIZES if size < len(videos)] + [len(videos)]
    generator = np.random.default_rng(job.config.seed)
    orders = [generator.permutation(len(videos)) for _ in range(repeats)]
    part = "test" if splits.get("test") else "val"
    job.progress.start("trainings", len(sizes) * repeats)
    trainings = []
    for repeat, order in enumerate(orders):
        for size in sizes:
            chosen = {videos[index] for index in order[:size]}
            found = _train(job, sequence_run, labels, splits, chosen, part, seed=repeat)
            trainings.append(dataclasses.replace(found, repeat=repeat))
            job.progress.advance(1, f"{format_count(size, 'video')}: F1 {found.f1.mean():.2f}")
    job.progress.finish()
    curve = LearningCurve(project.behaviors, part, trainings, {})
    laws = {
        name: law
        for name, points in curve.points().items()
        if (law := fit_power_law(*np.array(points).T)) is not None
    }
    return dataclasses.replace(curve, laws=laws)


def outlook_rows(curve: LearningCurve, target: float) -> list[list[Any]]:
    """Rows (behavior, positive frames, F1, F1 with twice and four times, frames for the target)."""
    rows: list[list[Any]] = []
    largest = max(each.num_videos for each in curve.trainings)
    whole = [each for each in curve.trainings if each.num_videos == largest]
    now = {
        name: (int(whole[0].positives[column]), float(np.mean([each.f1[column] for each in whole])))
        for column, name in enumerate(curve.behaviors)
    }
    now[MEAN] = (
        int(whole[0].positives.mean()),
        float(np.mean([each.f1 for each in whole])),
    )
    for name, (frames, f1) in now.items():
        law = curve.laws.get(name)
        if law is None or frames == 0:
            rows.append([name, frames, f1, None, None, "too few trainings with it"])
            continue
        later = [_describe(law.predict(np.array([times * frames]))) for times in OUTLOOK]
        rows.append([name, frames, f1, *later, _describe_need(law, frames, target)])
    return rows


def write_trainings(curve: LearningCurve, path: Path) -> None:
    """One CSV row per training and behavior."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("repeat", "videos", "behavior", "positive_frames", "bouts", "f1")
    writer.writerow([*columns, "part"])
    for each in curve.trainings:
        for column, name in enumerate(curve.behaviors):
            numbers = (int(each.positives[column]), int(each.bouts[column]))
            f1 = f"{each.f1[column]:.6f}"
            writer.writerow([each.repeat, each.num_videos, name, *numbers, f1, curve.part])
    write_bytes(path, text.getvalue().encode())


def _train(
    job: Job,
    sequence_run: Run,
    labels: Mapping[str, np.ndarray],
    splits: Mapping[str, Sequence[Segment]],
    chosen: set[str],
    part: str,
    *,
    seed: int,
) -> Training:
    """Train on the chosen videos and judge on the part; nothing is kept."""
    project, features_run = job.project, sequence_run.parent("features")
    config = job.config.model_copy(update={"seed": job.config.seed + seed})
    train = [each for each in splits["train"] if each.video in chosen]
    parts = {**splits, "train": train}
    material = open_material(
        project, features_run, config.sequence, labels, parts, SilentProgress()
    )
    data = material.read_parts(parts)
    with tempfile.TemporaryDirectory() as folder:
        parents = sequence_run.record["parents"]
        run = start_stage(project, config, "sequence", Path(folder), parents=parents)
        trained = train_sequence(run, data, config, device=job.device, progress=SilentProgress())
    judged = {each.video for name in {"val", part} for each in splits[name]}
    probabilities = {
        name: predict_cached(
            project.video(name), features_run, trained.model, exclusive=project.exclusive
        )
        for name in sorted(judged)
    }
    evaluation = evaluate(
        labels,
        probabilities,
        parts,
        project.behaviors,
        exclusive=project.exclusive,
        settings=config.ethogram.model_copy(update={"chance_repetitions": 1}),
        seed=0,
    )
    inside = [labels[each.video][each.start : each.stop] == 1 for each in train]
    return Training(
        0,
        len(chosen),
        np.sum([each.sum(axis=0) for each in inside], axis=0),
        np.sum([[len(find_runs(column)) for column in each.T] for each in inside], axis=0),
        evaluation.parts[part].scores.f1,
    )


def _describe(predicted: tuple[np.ndarray, ...]) -> str:
    middle, low, high = (float(each[0]) for each in predicted)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _describe_need(law: PowerLaw, frames: int, target: float) -> str:
    """How many more positive frames reach the target, in words."""
    need, low, high = law.frames_for(target)
    if need <= frames:
        return "reached"
    if math.isinf(need):
        return "not in reach with these features"
    ends = [f"{max(each - frames, 0):,.0f}" if math.isfinite(each) else "∞" for each in (low, high)]
    return f"{need - frames:,.0f} more ({ends[0]} to {ends[1]})"
