"""Repeated splits: stages trained anew on other divisions into train, val and test.

Mostly that is the sequence stage, and the features stay as they are. Their network has learned from
the labels of the train part of the project, and val chose its best step. Wherever such a video
judges, its features know more about the labels than those of a new video will, so the scores are
too good. Each split is therefore scored twice: on all that judges in it, and on frames of the
project's test part only, which the features network has never seen. A split that judges none of
these has no second score.

Where the features are trained anew on each split too (split_training.py), one score is enough: no
network that learned from labels has seen what judges.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pixelethogram.cached_features import predict_cached
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.scores import score
from pixelethogram.lineage import start_stage
from pixelethogram.metadata import UNKNOWN, read_column
from pixelethogram.progress import format_count, format_seconds
from pixelethogram.runs import Run, latest_run
from pixelethogram.sequence.ensemble import intersect
from pixelethogram.sequence.train import load_sequence
from pixelethogram.split_training import (
    announce_trainings,
    find_untrained,
    open_split,
    refuse_learned_starts,
    split_folder,
    train_split,
)
from pixelethogram.splits import Segment, Splits, hide_other_frames
from pixelethogram.stages import Job, run_stage

Retrained = Literal["sequence", "features"]
"""First stage that is trained anew on each split."""
UNSEEN = "frames no network saw with labels"
DRAWS = 200
WHY: Mapping[Retrained, str] = {
    "sequence": "the sequence stage was trained anew on each split, the features were not: their "
    "network has seen the labels of the project's train part, and val chose its best step, so the "
    "first line is too good; the second judges only frames of the project's test part, which it "
    "never saw (--retrain features trains it anew as well)",
    "features": "features and sequence stage were trained anew on each split: no network that "
    "learned from labels has seen the frames that judge. A flow network was not: it learns without "
    "labels, from the frames of all videos",
}
"""What to say below the scores."""


@dataclasses.dataclass(frozen=True)
class RepeatedScore:
    """F1 over repeated splits, of frames of one kind.

    Args:
        name: Which frames judged.
        f1: (n, K) per split that had such frames; NaN where the behavior did not occur in them.
        retrained: First stage that was trained anew on each split.
    """

    name: str
    f1: np.ndarray
    retrained: Retrained = "sequence"

    @property
    def macro(self) -> np.ndarray:
        """(n,) mean over the behaviors that occurred; NaN where none did."""
        exists = ~np.isnan(self.f1)
        sums = np.where(exists, self.f1, 0.0).sum(axis=1)
        return np.where(exists.any(axis=1), sums / np.maximum(exists.sum(axis=1), 1), np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        mean, error = mean_and_error(self.macro)
        return {
            "retrained": self.retrained,
            "macro_f1": [_plain(value) for value in self.macro.tolist()],
            "f1": [[_plain(value) for value in row] for row in self.f1.tolist()],
            "mean": _plain(mean),
            "sem": _plain(error),
        }


def repeat_splits(
    job: Job, number: int, column: str = "video", retrained: Retrained = "sequence"
) -> list[RepeatedScore]:
    """Train on splits drawn anew, and judge each.

    Args:
        job: Project and settings; those of the newest sequence run are used.
        number: How many splits.
        column: "video", or a column of videos.csv whose equal values stay in one part, such as
            the subject.
        retrained: The sequence stage alone, or the features stage and the sequence stage.

    Raises:
        UsageError: The run is an ensemble, there are fewer than two splits, or the features are to
            be trained anew, but nothing would be left that they have not seen.
        InputError: The labelled videos cannot be divided so.
    """
    run = latest_run(job.project.runs, "sequence")
    fractions = run.config.split.model_dump(include={"train", "val", "test"})
    if number < 2 or run.config.sequence.ensemble_folds > 1:
        raise UsageError(
            "repeated splits need two or more, and a run that is not an ensemble",
            do="--splits 5, after training with --set sequence.ensemble_folds=1",
        )
    labels = {name: each.values for name, each in job.project.read_labels().items()}
    groups = None if column == "video" else read_column(job.project, column)
    drawn = [draw_splits(labels, fractions, groups, seed) for seed in range(1, number + 1)]
    if retrained == "features":
        return [RepeatedScore(UNSEEN, _train_features_too(job, run, drawn, column), retrained)]
    everything, unseen = [], []
    for seed, splits in enumerate(drawn, 1):
        job.progress.message(f"split {seed} of {number}: {describe_splits(splits)}")
        found, of_unseen = _train_and_score(job, run, splits, labels)
        everything.append(found)
        if of_unseen is not None:
            unseen.append(of_unseen)
    num_behaviors = len(run.behaviors)
    return [
        RepeatedScore("all frames that judge", np.array(everything)),
        RepeatedScore("frames the features never saw", np.array(unseen).reshape(-1, num_behaviors)),
    ]


def draw_splits(
    labels: Mapping[str, np.ndarray],
    fractions: Mapping[str, float],
    groups: Mapping[str, str] | None,
    seed: int,
) -> Splits:
    """Whole videos, or groups of them, divided at random.

    The solver of the project's own parts would find the same best division every time. Here the
    division is drawn, and of `DRAWS` draws the first is taken that shows the most behaviors in the
    most parts.

    Args:
        labels: (T, K) per video, 1 / 0 / -1.
        fractions: Share of the videos (or groups) per part; train is what the others leave.
        groups: Video -> value; videos of one value stay together, unknown ones alone. None: every
            video alone.
        seed: Of the draws.

    Raises:
        InputError: There are too few videos to be divided in more than one way.
    """
    members = _group(sorted(labels), groups)
    sizes = {
        part: max(1, round(len(members) * share))
        for part, share in fractions.items()
        if part != "train" and share > 0
    }
    _check_number(len(members), sizes)
    occurs = np.array([_find_occurring([labels[video] for video in videos]) for videos in members])
    generator = np.random.default_rng(seed)
    draws = [_draw(generator, len(members), sizes) for _ in range(DRAWS)]
    shown = [sum(int(occurs[units].any(axis=0).sum()) for units in draw.values()) for draw in draws]
    return {
        part: [Segment(video, 0, len(labels[video])) for unit in units for video in members[unit]]
        for part, units in draws[int(np.argmax(shown))].items()
    }


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean of the values that exist and its standard error; NaN where there are too few."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return math.nan, math.nan
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return float(values.mean()), error


def repeated_rows(scores: Sequence[RepeatedScore]) -> list[list[Any]]:
    """Rows (frames, splits with a score, macro F1 as mean ± s.e.m., the same of each behavior)."""
    rows: list[list[Any]] = []
    for each in scores:
        number = int((~np.isnan(each.macro)).sum())
        rows.append([each.name, number, *map(_show, [each.macro, *each.f1.T])])
    return rows


def describe_splits(splits: Mapping[str, Sequence[Segment]]) -> str:
    """Videos of val and test by name."""
    return "; ".join(
        f"{part} {', '.join(dict.fromkeys(each.video for each in splits[part]))}"
        for part in ("val", "test")
        if splits[part]
    )


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _show(values: np.ndarray) -> str:
    mean, error = mean_and_error(values)
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f}" if math.isnan(error) else f"{mean:.3f} ± {error:.3f}"


def _group(videos: Sequence[str], groups: Mapping[str, str] | None) -> list[list[str]]:
    """Videos that must stay together; one of an unknown group stays alone."""
    found: dict[str, list[str]] = {}
    for video in videos:
        value = UNKNOWN if groups is None else groups[video]
        found.setdefault(f"group {value}" if value != UNKNOWN else f"video {video}", []).append(
            video
        )
    return list(found.values())


def _find_occurring(videos: Sequence[np.ndarray]) -> np.ndarray:
    """(K,) bool: behaviors present in any of the labels (T, K)."""
    return np.any([(values == 1).any(axis=0) for values in videos], axis=0)


def _draw(
    generator: np.random.Generator, number: int, sizes: Mapping[str, int]
) -> dict[str, list[int]]:
    """Units per part; train gets what is left."""
    order = generator.permutation(number).tolist()
    drawn = {}
    for part, size in sizes.items():
        drawn[part], order = sorted(order[:size]), order[size:]
    return {"train": sorted(order), **drawn}


def _check_number(number: int, sizes: Mapping[str, int]) -> None:
    if number <= len(sizes) + 1:
        raise InputError(
            f"{format_count(number, 'labelled video')} (or groups of them): "
            "too few for repeated splits",
            why=f"they are divided into {len(sizes) + 1} parts",
            do="label more videos, or divide by video",
        )


def _train_and_score(
    job: Job, run: Run, splits: Splits, labels: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None]:
    """F1 (K,) of a model trained on other splits: on what judges, and what features never saw."""
    project = job.project.with_splits(splits)
    other = dataclasses.replace(job, project=project, config=run.config, resume=False)
    part = "test" if splits.get("test") else "val"
    with tempfile.TemporaryDirectory() as folder:
        started = start_stage(
            project, run.config, "sequence", Path(folder), parents=run.record["parents"]
        )
        trained = run_stage(other, started)
        everything = _read_f1(trained, part)
        unseen = intersect(splits[part], job.project.splits.get("test", []))
        if not unseen:
            return everything, None
        return everything, _score_unseen(other, trained, run.parent("features"), unseen, labels)


def _train_features_too(job: Job, run: Run, drawn: Sequence[Splits], column: str) -> np.ndarray:
    """F1 (n, K) on the test parts of splits, of features and sequence models trained on each."""
    if not all(splits.get("test") for splits in drawn):
        raise UsageError(
            "the splits have no test part, and val chooses weights and thresholds",
            where="split.test = 0 when the sequence stage was trained",
            do="train with split.test above 0, or evaluate with --retrain sequence",
        )
    refuse_learned_starts(job, run)
    jobs = [open_split(job, run, splits, seed, column) for seed, splits in enumerate(drawn, 1)]
    untrained = [find_untrained(each) for each in jobs]
    announce_trainings(job, run, untrained, split_folder(job.project, 1, column).parent)
    left, longest, f1 = sum(map(bool, untrained)), 0.0, []
    for seed, (splits, each, missing) in enumerate(zip(drawn, jobs, untrained, strict=True), 1):
        job.progress.message(f"split {seed} of {len(drawn)}: {describe_splits(splits)}")
        begun = time.monotonic()
        f1.append(_read_f1(train_split(each), "test"))
        if missing:
            left, longest = left - 1, max(longest, time.monotonic() - begun)
            to_come = f"; {left} to come, about {format_seconds(left * longest)}" if left else ""
            took = format_seconds(time.monotonic() - begun)
            job.progress.message(f"split {seed} took {took}{to_come}")
    return np.array(f1)


def _read_f1(run: Run, part: str) -> np.ndarray:
    """F1 (K,) of a sequence run on a part, as its training left it."""
    scores = run.results["scores"][part]
    return _hide_absent(scores["f1"], scores["support"])


def _score_unseen(
    job: Job,
    run: Run,
    features_run: Run,
    unseen: Sequence[Segment],
    labels: Mapping[str, np.ndarray],
) -> np.ndarray | None:
    """F1 (K,) on these stretches; None where nobody scored them."""
    model, decision = load_sequence(run), Decision.from_dict(run.results["decision"])
    truth, present = [], []
    for name, values in hide_other_frames(labels, unseen).items():
        probabilities = predict_cached(
            job.project.video(name), features_run, model, exclusive=run.exclusive
        )
        truth.append(values)
        present.append(decision.apply(probabilities))
    joined = np.concatenate(truth)
    if not (joined >= 0).any():
        return None
    scores = score(joined, None, np.concatenate(present), run.behaviors)
    return _hide_absent(scores.f1, scores.support)


def _hide_absent(
    f1: Sequence[float] | np.ndarray, support: Sequence[int] | np.ndarray
) -> np.ndarray:
    """F1 (K,), NaN for behaviors that did not occur where it was judged."""
    return np.where(np.asarray(support) > 0, np.asarray(f1, dtype=np.float64), np.nan)
