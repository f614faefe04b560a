"""The floor to beat: how far colours and frame differences go without any network.

    python tools/floor_baseline.py FOLDER [--exclusive] [--groups FILE.csv] [--json FILE]

FOLDER holds videos `x.mp4` with labels `x.labels.csv`, as tools/make_real_projects.py writes them.
Three sets of pixel features (colours of the frame, differences over ±5 frames, both) and two
scikit-learn classifiers are cross-validated: one video by contiguous blocks of time with a gap
beside the block that is held out; several videos by leaving out one video, or one group of videos,
at a time. Thresholds are chosen by cross-validation inside the training frames; exclusive labels
take the most probable behavior. The scores are those of all held-out frames together.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import read_csv
from pixelethogram.ethogram.scores import Scores, score
from pixelethogram.ethogram.thresholds import apply_thresholds, choose_thresholds
from pixelethogram.frames.source import open_frames

LABELS_SUFFIX = ".labels.csv"
REACH_FRAMES = 5
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
INNER_FOLDS = 3
CLASSIFIERS: dict[str, Callable[[], ClassifierMixin]] = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)),
    "trees": lambda: ExtraTreesClassifier(
        100, min_samples_leaf=5, max_features=0.2, n_jobs=-1, random_state=0
    ),
}


@dataclass(frozen=True)
class Table:
    """Frames of all videos under one another (N rows)."""

    behaviors: tuple[str, ...]
    labels: np.ndarray  # (N, K) int8
    colours: np.ndarray  # (N, 128)
    differences: np.ndarray  # (N, 18)
    video: np.ndarray  # (N,) index of the video
    frame: np.ndarray  # (N,) index of the frame in its video
    group: np.ndarray  # (N,) what is held out together


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="videos with labels beside them")
    parser.add_argument("--exclusive", action="store_true", help="exactly one behavior per frame")
    parser.add_argument("--groups", type=Path, help="CSV with the columns video, group")
    parser.add_argument("--blocks", type=int, default=5, help="blocks of time of a single video")
    parser.add_argument("--guard-frames", type=int, default=30, help="gap beside a held-out block")
    parser.add_argument("--json", type=Path, help="write all scores to this file")
    arguments = parser.parse_args()
    groups = read_groups(arguments.groups) if arguments.groups else {}
    table = read_table(arguments.folder, groups, arguments.blocks)
    results = measure(table, arguments.guard_frames, arguments.exclusive)
    print_results(results, table.behaviors)
    if arguments.json:
        plain = {name: scores.to_dict() for name, scores in results.items()}
        arguments.json.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def read_groups(path: Path) -> dict[str, str]:
    """Group of each video, by the file name of the video."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["video"]: row["group"] for row in csv.DictReader(file)}


def read_table(folder: Path, groups: dict[str, str], num_blocks: int) -> Table:
    """Features and labels of every labelled video of a folder."""
    videos = find_labelled_videos(folder)
    parts: list[tuple[np.ndarray, ...]] = []
    behaviors: tuple[str, ...] | None = None
    for index, (video, labels_path) in enumerate(videos):
        with open_frames(video) as frames:
            colours, differences = pixel_features(frames.iterate())
            ethogram = read_csv(labels_path, behaviors, len(colours), frames.fps)
        behaviors = ethogram.behaviors
        count = np.arange(len(colours))
        held_out = np.full(len(count), groups.get(video.name, video.name), dtype=object)
        if len(videos) == 1:
            held_out = (count * num_blocks // len(count)).astype(object)
        row = np.full(len(count), index)
        parts.append((ethogram.values, colours, differences, row, count, held_out))
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Table(behaviors or (), *columns)


def find_labelled_videos(folder: Path) -> list[tuple[Path, Path]]:
    """Videos and their label files, sorted by name."""
    found = []
    for labels_path in sorted(folder.glob(f"*{LABELS_SUFFIX}")):
        stem = labels_path.name.removesuffix(LABELS_SUFFIX)
        videos = [path for path in folder.glob(f"{stem}.*") if path.suffix != ".csv"]
        if len(videos) != 1:
            raise InputError(f"{len(videos)} videos belong to these labels", where=labels_path)
        found.append((videos[0], labels_path))
    if not found:
        raise InputError("no labelled video", where=folder, do=f"put x{LABELS_SUFFIX} beside x.mp4")
    return found


def pixel_features(frames: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Colours (T, 128) of each frame, and differences (T, 18) to its neighbours in time.

    Colours: shares of 4·4·4 colour bins, and an 8 × 8 grey picture. Differences: the step from the
    frame before, averaged and at its largest over ±5 frames, and the change from 5 frames before to
    5 after, each on an 8 × 8 grid of which six quantiles are kept, so that the place does not
    matter. Edge frames repeat.
    """
    small = [cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in frames]
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]).astype(np.float32)
    bins = np.stack(small) // 64 @ np.array([16, 4, 1], np.uint8)
    histogram = np.stack([np.bincount(frame.ravel(), minlength=64) / 64**2 for frame in bins])
    count = np.arange(len(grey))
    near = (count[:, None] + np.arange(-REACH_FRAMES, REACH_FRAMES + 1)).clip(0, len(grey) - 1)
    step = on_grid(np.abs(grey - grey[(count - 1).clip(0)]))
    change = on_grid(np.abs(grey[near[:, -1]] - grey[near[:, 0]]))
    grids = [step[near].mean(axis=1), step[near].max(axis=1), change]
    differences = np.vstack([np.quantile(grid, QUANTILES, axis=1) for grid in grids]).T
    return np.hstack([histogram, on_grid(grey) / 255]), np.log1p(differences)


def on_grid(pictures: np.ndarray) -> np.ndarray:
    """Means over the cells of an 8 × 8 grid: (T, 64, 64) → (T, 64)."""
    return pictures.reshape(-1, 8, 8, 8, 8).mean(axis=(2, 4)).reshape(-1, 64)


def measure(table: Table, guard_frames: int, exclusive: bool) -> dict[str, Scores]:
    """Scores of every classifier on every set of features, and of answers that never change."""
    feature_sets = {
        "colours": table.colours,
        "differences": table.differences,
        "both": np.hstack([table.colours, table.differences]),
    }
    always = np.ones(table.labels.shape, bool)
    results = {"always positive": score(table.labels, None, always, table.behaviors)}
    if exclusive:
        frequent = (table.labels == 1).sum(axis=0).argmax()
        answer = always & (np.arange(len(table.behaviors)) == frequent)
        results["always the most frequent"] = score(table.labels, None, answer, table.behaviors)
    for classifier, build in CLASSIFIERS.items():
        for name, features in feature_sets.items():
            begin = time.monotonic()
            probabilities, present = cross_validate(table, features, build, guard_frames, exclusive)
            results[f"{classifier}, {name}"] = score(
                table.labels, probabilities, present, table.behaviors
            )
            print(f"{classifier} on {name}: {time.monotonic() - begin:.0f} s", flush=True)
    return results


def cross_validate(
    table: Table,
    features: np.ndarray,
    build: Callable[[], ClassifierMixin],
    guard_frames: int,
    exclusive: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Held-out probabilities and answers, (N, K) each."""
    probabilities = np.zeros(table.labels.shape)
    present = np.zeros(table.labels.shape, bool)
    for test in folds(table, np.ones(len(features), bool), None):
        train = ~test & ~near_to(table, test, guard_frames)
        probabilities[test] = fit_predict(build, features, table.labels, train, test)
        if exclusive:
            winner = probabilities[test].argmax(axis=1)
            present[test] = np.arange(len(table.behaviors)) == winner[:, None]
            continue
        inner = np.full(table.labels.shape, np.nan)
        for inner_test in folds(table, train, INNER_FOLDS):
            inner_train = train & ~inner_test & ~near_to(table, inner_test, guard_frames)
            inner[inner_test] = fit_predict(build, features, table.labels, inner_train, inner_test)
        thresholds = choose_thresholds(inner[train], table.labels[train])
        present[test] = apply_thresholds(probabilities[test], thresholds.values)
    return probabilities, present


def folds(table: Table, among: np.ndarray, num_folds: int | None) -> Iterator[np.ndarray]:
    """Masks (N,) of what to hold out: whole groups, one at a time or in `num_folds` parts."""
    groups = np.unique(table.group[among])
    for held_out in np.array_split(groups, min(num_folds or len(groups), len(groups))):
        yield among & np.isin(table.group, held_out)


def near_to(table: Table, test: np.ndarray, guard_frames: int) -> np.ndarray:
    """Mask (N,) of frames at most `guard_frames` away from a held-out frame of the same video."""
    near = np.zeros(len(test), bool)
    for video in np.unique(table.video[test]):
        rows = np.flatnonzero(table.video == video)
        kernel = np.ones(2 * guard_frames + 1)
        reach = np.convolve(test[rows].astype(float), kernel)[guard_frames:][: len(rows)]
        near[rows] = reach > 0.5
    return near


def fit_predict(
    build: Callable[[], ClassifierMixin],
    features: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """Probabilities (rows of test, K) of one classifier per behavior, fitted on scored frames."""
    columns = []
    for column in labels.T:
        scored = train & (column >= 0)
        if len(np.unique(column[scored])) < 2:  # nothing to learn: all present or all absent
            columns.append(np.full(test.sum(), float(column[scored].any())))
            continue
        fitted = build().fit(features[scored], column[scored])
        columns.append(fitted.predict_proba(features[test])[:, 1])
    return np.stack(columns, axis=1)


def print_results(results: dict[str, Scores], behaviors: tuple[str, ...]) -> None:
    """F1 of each result, one row each, as a Markdown table."""
    print("\n| F1 on held-out frames | macro | " + " | ".join(behaviors) + " |")
    print("|---" * (len(behaviors) + 2) + "|")
    for name, scores in results.items():
        cells = [f"{value:.3f}" for value in (scores.macro_f1, *scores.f1)]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
