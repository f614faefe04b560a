"""Raters of a project: found by their files, compared, and the model judged by each."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.ethogram.rater_tables import compare_pairs
from pixelethogram.human_ceiling import (
    find_ceiling,
    judge_raters,
    read_raters,
    read_raters_of_part,
)
from pixelethogram.project import Project
from pixelethogram.project_evaluation import evaluate_project, read_arrays
from pixelethogram.splits import Segment
from pixelethogram.stages import Job


def score_again(project: Project, rater: str, shift: int) -> None:
    """Labels of another rater on every video: the first one's, some frames later."""
    for video in project.videos():
        labels = video.read_labels(project.behaviors)
        assert labels is not None
        values = np.roll(labels.values, shift, axis=0)
        write_csv(Ethogram(values, project.behaviors, video.fps), video.rater_path(rater))


def test_one_rater_has_nobody_to_agree_with(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    with pytest.raises(InputError, match="--rater"):
        judge_raters(make_job(project_copy))


def test_raters_and_the_model_are_compared(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    score_again(project_copy, "anna", 0)
    score_again(project_copy, "ben", 7)
    assert list(read_raters(project_copy)) == ["labels", "anna", "ben"]
    found = judge_raters(make_job(project_copy))
    by_pair = {pair.raters: pair for pair in found.pairs}
    assert by_pair["labels", "anna"].scores.macro_f1 == 1
    assert by_pair["labels", "ben"].scores.macro_f1 < 1
    evaluation = evaluate_project(make_job(project_copy))["sequence"]
    expected = evaluation.parts["test"].scores
    assert found.part == "test"
    assert found.model["labels"].f1.tolist() == expected.f1.tolist()
    assert found.model["anna"].f1.tolist() == expected.f1.tolist()
    agreed, everywhere = found.model["raters agree"].support, expected.support
    assert (agreed <= everywhere).all()
    assert agreed.sum() < everywhere.sum()
    for _, columns, rows in found.tables():
        assert {len(row) for row in rows} == {len(columns)}
    json.dumps(found.to_dict())


def test_where_no_video_that_judges_has_a_second_rater_the_note_names_these_videos(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    score_again(project_copy, "anna", 3)
    (test,) = {each.video for each in project_copy.splits["test"]}
    project_copy.video(test).rater_path("anna").unlink()
    found = judge_raters(make_job(project_copy))
    assert found.model == {} and len(found.pairs) == 1
    assert f"part test: {test}) none was scored by a second rater" in found.note
    assert "train" not in found.note


def test_a_rater_called_labels_is_refused(project_copy: Project) -> None:
    score_again(project_copy, "labels", 3)
    with pytest.raises(InputError, match='no rater can be called "labels"'):
        read_raters(project_copy)


def test_people_and_model_are_judged_on_the_same_frames_of_the_part(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    """A second rater is right on half of the test video, and wrong wherever nothing is judged."""
    (test,) = project_copy.splits["test"]
    middle = (test.start + test.stop) // 2
    for video in project_copy.videos():
        labels = video.read_labels(project_copy.behaviors)
        assert labels is not None
        values = 1 - labels.values
        if video.name == test.video:
            values[test.start : middle] = labels.values[test.start : middle]
            values[middle:] = -1
        write_csv(Ethogram(values, project_copy.behaviors, video.fps), video.rater_path("anna"))
    arrays = read_arrays(make_job(project_copy))
    present = {name: each == 1 for name, each in arrays.labels.items()}
    wrong = {name: each.copy() for name, each in present.items()}
    wrong[test.video][middle:] = ~wrong[test.video][middle:]
    found = find_ceiling(project_copy, arrays, "test", wrong)
    assert found is not None and found.num_frames == middle - test.start
    assert (found.people == found.model).all() and found.people[-1] > 0
    assert compare_pairs(read_raters(project_copy), project_copy.behaviors)[0].scores.macro_f1 < 0.5
    fewer = dataclasses.replace(
        arrays, splits={**arrays.splits, "test": [Segment(test.video, test.start, middle - 10)]}
    )
    raters = read_raters_of_part(project_copy, fewer, "test")
    assert {(each[test.video] >= 0).any(axis=1).sum() for each in raters.values()} == {
        middle - 10 - test.start
    }
    assert find_ceiling(project_copy, arrays, "val", present) is not None


def test_no_ceiling_where_one_person_scored(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    arrays = read_arrays(make_job(project_copy))
    present = {name: each == 1 for name, each in arrays.labels.items()}
    assert find_ceiling(project_copy, arrays, "test", present) is None


def test_without_a_model_people_are_still_compared(
    make_toy_project: Callable[..., Project],
    make_job: Callable[..., Job],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project = make_toy_project(tmp_path_factory.mktemp("untrained") / "project")
    score_again(project, "anna", 3)
    found = judge_raters(make_job(project))
    assert (len(found.pairs), found.model) == (1, {})
    assert "no model" in found.note and "nothing is trained" in found.note
    assert len(found.tables()) == 2
