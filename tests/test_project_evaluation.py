"""A trained project is judged: every predictor, only the frames of the part, the table's rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pixelethogram.errors import InputError
from pixelethogram.ethogram.judgement import ALL
from pixelethogram.project import Project
from pixelethogram.project_evaluation import (
    evaluate_arrays,
    evaluate_project,
    judge_arrays,
    read_arrays,
    read_probabilities,
)
from pixelethogram.runs import latest_run
from pixelethogram.stages import Job
from pixelethogram.store import array_file


def test_every_predictor_is_judged_and_the_sequence_model_first(
    trained_project: Project, make_job: Callable[..., Job]
) -> None:
    arrays = read_arrays(make_job(trained_project))
    evaluations = evaluate_arrays(arrays)
    names = ["sequence", "features", "spatial stream", "flow stream"]
    assert list(evaluations) == names
    for name, evaluation in evaluations.items():
        judged = judge_arrays(arrays, evaluation, "test", name)
        assert judged is not None
        scores = evaluation.parts["test"].scores
        assert judged.scores.to_dict() == scores.to_dict()
        (macro,) = [row.value for row in judged.rows() if (row.metric, row.behavior) == ("f1", ALL)]
        assert macro == pytest.approx(scores.macro_f1)
    found = evaluate_project(make_job(trained_project))
    assert {name: each.to_dict() for name, each in found.items()} == {
        name: each.to_dict() for name, each in evaluations.items()
    }


def test_only_chosen_videos_are_judged(
    trained_project: Project, make_job: Callable[..., Job]
) -> None:
    arrays = read_arrays(make_job(trained_project))
    evaluation = evaluate_arrays(arrays)["sequence"]
    (video,) = {each.video for each in arrays.splits["test"]}
    assert judge_arrays(arrays, evaluation, "test", videos=["another"]) is None
    judged = judge_arrays(arrays, evaluation, "test", videos=[video])
    assert judged is not None
    assert judged.num_videos == 1


def test_probabilities_that_are_not_there_say_which_command_makes_them(
    project_copy: Project,
) -> None:
    run = latest_run(project_copy.runs, "sequence")
    video = project_copy.videos()[0]
    array_file(video.folder, "sequence", run.id).unlink()
    with pytest.raises(InputError, match="pixelethogram predict"):
        read_probabilities(video, run)
