"""Data of sequence trainings: what extraction left and people scored, in the columns of raters."""

from __future__ import annotations

import numpy as np
import pytest

from pixelethogram.cached_features import read_features
from pixelethogram.config import SequenceConfig
from pixelethogram.config_layers import load_config
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, note
from pixelethogram.runs import Run, latest_run
from pixelethogram.sequence_data import open_material
from pixelethogram.splits import Segment

K = 4


@pytest.fixture
def features_run(project_copy: Project) -> Run:
    return latest_run(project_copy.runs, "features")


@pytest.fixture
def labels(project_copy: Project) -> dict[str, np.ndarray]:
    return {name: each.values for name, each in project_copy.read_labels().items()}


SPLITS = {
    "train": [Segment("toy 0", 0, 20), Segment("toy 0", 30, 60), Segment("toy 1", 5, 60)],
    "val": [Segment("toy 2", 0, 60), Segment("nobody scored it", 0, 9)],
}


def settings(*overrides: str) -> SequenceConfig:
    return load_config("fast", {}, overrides).sequence


class Listener(SilentProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def test_stretches_are_those_of_the_splits(
    project_copy: Project, features_run: Run, labels: dict[str, np.ndarray]
) -> None:
    opened = (project_copy, features_run, settings(), labels, SPLITS, SilentProgress())
    data = open_material(*opened).read_parts(SPLITS)
    assert (data.raters, data.behaviors) == ((), project_copy.behaviors)
    assert [len(values) for _, values in data.train] == [20, 30, 55]
    assert [len(values) for _, values in data.val] == [60]
    features, values = data.train[1]
    video = project_copy.video("toy 0")
    np.testing.assert_array_equal(values, labels["toy 0"][30:60])
    np.testing.assert_array_equal(features, read_features(video, features_run, "features", 30, 60))


def test_labels_stand_in_the_columns_of_their_raters(
    project_copy: Project, features_run: Run, labels: dict[str, np.ndarray]
) -> None:
    for name, rater in (("toy 0", "ben"), ("toy 1", "anna"), ("toy 2", "ben")):
        note(project_copy.video(name), {"rater": rater})
    heads = settings("sequence.model.name=multitask_mstcn2")
    opened = (project_copy, features_run, heads, labels, SPLITS, SilentProgress())
    data = open_material(*opened).read_parts(SPLITS)
    assert data.raters == ("anna", "ben")
    annas, bens = (np.s_[:, :K], np.s_[:, K:])
    for (_, values), own, other in zip(
        data.train, (bens, bens, annas), (annas, annas, bens), strict=True
    ):
        assert values.shape[1] == 2 * K
        assert (values[own] >= 0).all() and (values[other] == -1).all()


def test_a_rater_without_labels_to_learn_from_is_named(
    project_copy: Project, features_run: Run, labels: dict[str, np.ndarray]
) -> None:
    note(project_copy.video("toy 1"), {"rater": "anna"})
    note(project_copy.video("toy 2"), {"rater": "carl"})
    progress = Listener()
    splits = {"train": SPLITS["train"], "val": [Segment("toy 1", 0, 5)]}
    heads = settings("sequence.model.name=multitask_mstcn2")
    material = open_material(project_copy, features_run, heads, labels, splits, progress)
    assert material.raters == ("anna", "nobody")
    (said,) = progress.said
    assert said == "no labels of carl are learned from: the head of anna stands in"
    assert (material.labels["toy 2"] == -1).all()
