"""Trainings on ever more videos, nested in each draw, and what they foretell."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram import learning_curve
from pixelethogram.errors import InputError
from pixelethogram.ethogram.power_law import fit_power_law
from pixelethogram.learning_curve import (
    MEAN,
    LearningCurve,
    Training,
    measure_learning,
    open_curve_job,
    outlook_rows,
    write_trainings,
)
from pixelethogram.lineage import start_stage
from pixelethogram.project import Project, note
from pixelethogram.runs import Run, finish_run, latest_run
from pixelethogram.sequence.train import SequenceData, train_sequence


def test_small_trainings_are_nested_and_judged_on_the_same_videos(
    make_large_project: Callable[..., Project], make_job: Callable, tmp_path: Path
) -> None:
    project = make_large_project(tmp_path / "six", 8, 120)
    runs = sorted(project.runs.rglob("run.yaml"))
    job = open_curve_job(make_job(project), ["sequence.train.steps=4"])
    assert job.config.sequence.train.steps == 4
    curve = measure_learning(job, repeats=2)
    assert [each.num_videos for each in curve.trainings] == [1, 2, 4] * 2
    assert curve.part == "test"
    counts = np.array([each.positives for each in curve.trainings]).reshape(2, 3, -1)
    assert (np.diff(counts, axis=1) > 0).any(axis=2).all()
    np.testing.assert_array_equal(counts[0, -1], counts[1, -1])
    assert (np.array([each.bouts for each in curve.trainings]) > 0).all()
    assert sorted(project.runs.rglob("run.yaml")) == runs
    write_trainings(curve, tmp_path / "curve.csv")
    with (tmp_path / "curve.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * 4
    assert int(rows[0]["positive_frames"]) == int(curve.trainings[0].positives[0])


def test_raters_have_heads_as_in_the_training_of_the_project(
    make_large_project: Callable[..., Project],
    make_job: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Learned from are the features of the sequence run, though newer ones are there.

    A training on videos of one rater has one head, as it has where a project has no others.
    """
    project = make_large_project(tmp_path / "six", 8, 120)
    features_run = latest_run(project.runs, "features")
    for number, video in enumerate(project.videos()):
        note(video, {"rater": ("anna", "ben")[number % 2]})
    newer = start_stage(project, features_run.config, "features", project.runs)
    finish_run(newer, {}, {"weights_sha256": "another"})
    given = []

    def train(run: Run, data: SequenceData, *others: Any, **options: Any) -> Any:
        given.append((run.record["parents"]["features"], data))
        return train_sequence(run, data, *others, **options)

    monkeypatch.setattr(learning_curve, "train_sequence", train)
    settings = ["sequence.model.name=multitask_mstcn2", "sequence.train.steps=2"]
    curve = measure_learning(open_curve_job(make_job(project), settings), repeats=1)
    assert [each.num_videos for each in curve.trainings] == [1, 2, 4]
    assert given[-1][1].raters == ("anna", "ben")
    assert {data.raters for _, data in given} <= {(), ("anna", "ben")}
    assert [parent for parent, _ in given] == [features_run.id] * 3
    values = np.concatenate([values for _, values in given[-1][1].train])
    assert values.shape[1] == 2 * len(project.behaviors)
    assert ((values >= 0).sum(axis=1) == len(project.behaviors)).all()


def test_one_training_video_is_refused(trained_project: Project, make_job: Callable) -> None:
    with pytest.raises(InputError, match="1 training video;"):
        measure_learning(make_job(trained_project), repeats=1)


def test_the_outlook_follows_the_law() -> None:
    """lick = 0.9 − 2 / √frames, so twice 400 frames give 0.829, and 0.85 needs 1600."""
    sizes = {1: 25, 2: 50, 4: 100, 8: 200, 16: 400}
    trainings = [
        Training(
            repeat,
            size,
            np.array([frames, 0]),
            np.array([3, 0]),
            np.array([0.9 - 2 * frames**-0.5, 0.0]),
        )
        for repeat in range(3)
        for size, frames in sizes.items()
    ]
    curve = LearningCurve(("lick", "never"), "test", trainings, {})
    points = np.array(curve.points()["lick"]).T
    law = fit_power_law(*points)
    assert law is not None
    curve = LearningCurve(("lick", "never"), "test", trainings, {"lick": law})
    lick, never, mean = outlook_rows(curve, 0.85)
    assert lick[:2] == ["lick", 400] and lick[2] == pytest.approx(0.8)
    assert lick[3].startswith("0.83 (") and lick[4].startswith("0.85 (")
    assert abs(int(lick[5].split()[0].replace(",", "")) - 1200) < 60
    assert never[-1] == mean[-1] == "too few trainings with it"
    assert outlook_rows(curve, 0.5)[0][-1] == "reached"
    assert "not in reach" in outlook_rows(curve, 0.97)[0][-1]
    assert list(curve.points()) == ["lick", "never", MEAN]
    assert curve.fits()["lick"][0].max() == pytest.approx(1600)
