"""Splits drawn anew keep groups together; each is trained and judged, also on unseen frames."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.lineage import start_stage
from pixelethogram.project import Project
from pixelethogram.repeated_splits import (
    RepeatedScore,
    draw_splits,
    mean_and_error,
    repeat_splits,
    repeated_rows,
)
from pixelethogram.runs import find_runs, finish_run, latest_run
from pixelethogram.stages import Job

FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}


def labels_of(names: list[str]) -> dict[str, np.ndarray]:
    return {name: np.tile(np.array([[0], [1]], np.int8), (20, 1)) for name in names}


def parts_of(splits: Any) -> dict[str, str]:
    return {each.video: part for part, segments in splits.items() for each in segments}


def test_splits_differ_and_every_video_has_a_part() -> None:
    labels = labels_of([f"video {number}" for number in range(8)])
    drawn = [parts_of(draw_splits(labels, FRACTIONS, None, seed)) for seed in range(1, 6)]
    assert all(set(parts) == set(labels) for parts in drawn)
    assert all(set(parts.values()) == {"train", "val", "test"} for parts in drawn)
    assert len({tuple(sorted(parts.items())) for parts in drawn}) > 1
    again = parts_of(draw_splits(labels, FRACTIONS, None, 1))
    assert again == drawn[0]


def test_videos_of_one_subject_stay_together_and_unknown_ones_alone() -> None:
    names = [f"video {number}" for number in range(10)]
    groups = {name: f"m{number // 2}" for number, name in enumerate(names)}
    groups |= {"video 8": "", "video 9": ""}
    together = []
    for seed in range(1, 8):
        parts = parts_of(draw_splits(labels_of(names), FRACTIONS, groups, seed))
        assert all(parts[f"video {k}"] == parts[f"video {k + 1}"] for k in (0, 2, 4, 6))
        together.append(parts["video 8"] == parts["video 9"])
    assert not all(together)


def test_a_rare_behavior_is_in_every_part_where_that_is_possible() -> None:
    labels = labels_of([f"video {number}" for number in range(10)])
    for name, values in labels.items():
        rare = values if name in ("video 1", "video 4", "video 7") else np.zeros_like(values)
        labels[name] = np.concatenate([values, rare], axis=1)
    for seed in range(1, 6):
        parts = parts_of(draw_splits(labels, FRACTIONS, None, seed))
        assert {parts[f"video {number}"] for number in (1, 4, 7)} == {"train", "val", "test"}
    sizes = list(parts.values())
    assert [sizes.count(part) for part in ("train", "val", "test")] == [6, 2, 2]


def test_three_videos_are_too_few() -> None:
    with pytest.raises(InputError, match="too few"):
        draw_splits(labels_of(["a", "b", "c"]), FRACTIONS, None, 1)


def test_mean_and_standard_error() -> None:
    assert mean_and_error(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 1 / np.sqrt(3)))
    assert np.isnan(mean_and_error(np.array([1.0]))[1])
    assert np.isnan(mean_and_error(np.array([]))).all()
    rows = repeated_rows(
        [
            RepeatedScore("all", np.array([[0.5, 1.0], [0.5, 1.0]])),
            RepeatedScore("unseen", np.zeros((0, 2))),
        ]
    )
    assert rows[0] == ["all", 2, "0.750 ± 0.000", "0.500 ± 0.000", "1.000 ± 0.000"]
    absent = RepeatedScore("all", np.array([[0.5, np.nan], [0.7, 0.1]]))
    assert absent.macro == pytest.approx([0.5, 0.4])
    assert repeated_rows([absent])[0][-1] == "0.100"
    json.dumps(absent.to_dict(), allow_nan=False)
    silent = RepeatedScore("unseen", np.array([[0.8, 0.6], [np.nan, np.nan]]))
    assert silent.macro[0] == pytest.approx(0.7) and np.isnan(silent.macro[1])
    assert silent.to_dict()["mean"] == pytest.approx(0.7)
    assert repeated_rows([silent])[0] == ["unseen", 1, "0.700", "0.800", "0.600"]
    json.dumps(silent.to_dict(), allow_nan=False)
    assert rows[1] == ["unseen", 0, "–", "–", "–"]


def test_the_sequence_stage_is_trained_anew_and_leaves_nothing_behind(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    for video in project_copy.videos()[:2]:
        shutil.copytree(video.folder, video.folder.with_name(video.name + " again"))
    before = (project_copy.folder / "project.yaml").read_bytes()
    features_run = latest_run(project_copy.runs, "features")
    newer = start_stage(project_copy, features_run.config, "features", project_copy.runs)
    finish_run(newer, {}, {"weights_sha256": "features that no sequence run learned from"})
    everything, unseen = repeat_splits(make_job(project_copy), 3)
    num_behaviors = len(project_copy.behaviors)
    assert everything.f1.shape == (3, num_behaviors)
    assert (unseen.f1.shape[1], len(unseen.f1) <= 3) == (num_behaviors, True)
    assert ((everything.f1 >= 0) & (everything.f1 <= 1)).all()
    assert len(find_runs(project_copy.runs, "sequence")) == 1
    assert (project_copy.folder / "project.yaml").read_bytes() == before
    with pytest.raises(UsageError, match="two or more"):
        repeat_splits(make_job(project_copy), 1)
