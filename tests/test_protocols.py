"""What the challenge counts, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score

from pixelethogram.protocols import COLUMNS, judged_behaviors, score_calms21

BEHAVIORS = ("attack", "investigation", "mount")


def one_hot(classes: np.ndarray, number: int = 3) -> np.ndarray:
    """(N, number); what is not below `number` is other."""
    return classes[:, None] == np.arange(number)


def test_f1_and_precision_are_those_of_scikit_learn_over_three_classes() -> None:
    random = np.random.default_rng(0)
    truth, guess = random.integers(0, 4, (2, 500))
    found = score_calms21(one_hot(truth).astype(np.int8), one_hot(guess), BEHAVIORS)
    options = {"labels": [0, 1, 2], "average": "macro"}
    assert found.macro_f1 == pytest.approx(f1_score(truth, guess, **options))
    assert found.macro_precision == pytest.approx(precision_score(truth, guess, **options))
    assert (found.num_frames, found.average_precision) == (500, None)


def test_answering_other_everywhere_scores_nothing() -> None:
    truth = np.array([3] * 90 + [0, 1, 2])
    found = score_calms21(one_hot(truth).astype(np.int8), np.zeros((93, 3), bool), BEHAVIORS)
    assert (found.macro_f1, found.macro_precision) == (0, 0)


def test_other_is_not_judged_even_where_it_is_a_behavior() -> None:
    truth = np.array([3, 3, 0, 1, 2])
    behaviors = ("attack", "investigation", "mount", "other")
    present = one_hot(truth, 4)
    present[:, 3] = False
    found = score_calms21(one_hot(truth, 4).astype(np.int8), present, behaviors)
    assert (found.behaviors, found.macro_f1) == (BEHAVIORS, 1.0)


@pytest.mark.parametrize(
    ("behaviors", "judged"),
    [
        (("mount", "sniff", "investigation", "attack"), BEHAVIORS),
        (("groom", "other", "approach"), ("groom", "approach")),
    ],
)
def test_which_behaviors_are_judged(behaviors: tuple[str, ...], judged: tuple[str, ...]) -> None:
    assert judged_behaviors(behaviors) == judged


def test_frames_that_nobody_scored_are_not_judged() -> None:
    labels = np.array([[1, -1], [0, -1], [-1, 1]], np.int8)
    found = score_calms21(labels, np.ones((3, 2), bool), ("a", "b"))
    assert found.f1 == pytest.approx((2 / 3, 1.0))
    assert found.num_frames == 3


def test_the_mean_average_precision_leaves_out_what_does_not_occur() -> None:
    labels = np.array([[1, 0]], np.int8)
    present = np.array([[True, False]])
    precision = {"a": 0.5, "b": float("nan")}
    found = score_calms21(labels, present, ("a", "b"), precision)
    assert found.average_precision == 0.5
    assert found.to_row("all")[: len(COLUMNS)] == ["all", 0.5, 0.5, 0.5, 1]
    assert found.to_dict()["macro_f1"] == 0.5
    nothing = {"a": float("nan"), "b": float("nan")}
    assert score_calms21(labels, present, ("a", "b"), nothing).average_precision is None


def test_a_trained_project_is_judged_on_its_test_part(trained_project: object) -> None:
    from pixelethogram.config_layers import load_config
    from pixelethogram.progress import SilentProgress
    from pixelethogram.project import Project
    from pixelethogram.project_evaluation import evaluate_project
    from pixelethogram.protocols import evaluate_calms21
    from pixelethogram.stages import Job

    assert isinstance(trained_project, Project)
    job = Job(trained_project, load_config(None, {}, ()), "cpu", SilentProgress())
    rows = evaluate_calms21(job)
    scores = evaluate_project(job)["sequence"].parts["test"].scores
    assert list(rows) == ["all"]
    assert rows["all"].macro_f1 == pytest.approx(scores.macro_f1)
    assert rows["all"].average_precision == pytest.approx(scores.macro_average_precision)
