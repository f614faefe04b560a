"""Sequences of a challenge in a project: labels, raters, what is held out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.interop.calms21 import (
    Imported,
    import_calms21,
    sequences_of,
    to_labels,
    vocabularies_of,
)
from pixelethogram.label_files import import_labels
from pixelethogram.pose.readers.calms21 import read_sequences
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.spans import flow_spans
from pixelethogram.splits import Segment

VOCABULARY = ["attack", "investigation", "mount", "other"]


def keypoints(num_frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(100, 500, (num_frames, 2, 2, 7))


def save(path: Path, content: Any) -> Path:
    np.save(path, content)
    return path


@pytest.fixture
def train(tmp_path: Path) -> Path:
    sequences = {
        f"task1/s{n}": {
            "keypoints": keypoints(8 + n, n),
            "annotations": np.arange(8 + n) % 4,
            "annotator_id": n,
        }
        for n in range(2)
    }
    return save(tmp_path / "train.npy", {"vocabulary": VOCABULARY, "sequences": sequences})


@pytest.fixture
def test(tmp_path: Path) -> Path:
    return save(tmp_path / "test.npy", {"u0": {"keypoints": keypoints(9, 7), "annotator_id": 1}})


@pytest.fixture
def rare(tmp_path: Path) -> Path:
    """Task 3: one sequence has annotations of both behaviors."""
    groups = {
        name: {
            "vocabulary": [name, "other"],
            "sequences": {
                key: {"keypoints": keypoints(6, seed), "annotations": [number, 1, 0, 0, 1, 1]}
                for seed, key in enumerate(keys)
            },
        }
        for number, (name, keys) in enumerate({"groom": ["a", "b"], "approach": ["a"]}.items())
    }
    return save(tmp_path / "rare.npy", groups)


def bring(folder: Path, *paths: Path, **options: Any) -> Imported:
    given = {"task": None, "part": None, "overwrite": False, "progress": SilentProgress()}
    return import_calms21(folder, paths, **{**given, **options})


def test_sequences_become_pose_recordings_with_labels(
    tmp_path: Path, train: Path, test: Path
) -> None:
    found = bring(tmp_path / "p", train, test)
    project = found.project
    assert (found.labelled, found.held_out) == (["task1_s0", "task1_s1"], ["u0"])
    assert project.behaviors == ("attack", "investigation", "mount")
    assert project.exclusive
    labels = project.read_labels()
    assert set(labels) == {"task1_s0", "task1_s1"}
    expected = np.arange(9)[:, None] % 4 == np.arange(3)
    np.testing.assert_array_equal(labels["task1_s1"].values, expected)
    assert [project.video(name).rater for name in ("task1_s1", "u0")] == ["annotator 1"] * 2
    assert sequences_of(project)["task1/s0"].name == "task1_s0"
    assert vocabularies_of(project) == {"": tuple(VOCABULARY)}
    np.testing.assert_allclose(
        project.video("u0").read_pose().positions,
        keypoints(9, 7).transpose(0, 1, 3, 2),
        rtol=0,
        atol=1e-4,
    )


def test_what_is_held_out_teaches_the_flow_and_is_never_scored(
    tmp_path: Path, train: Path, test: Path
) -> None:
    project = bring(tmp_path / "p", train, test).project
    video = project.video("u0")
    assert video.held_out and not project.video("task1_s0").held_out
    csv = tmp_path / "u0.csv"
    csv.write_text("frame,attack,investigation,mount\n" + "".join(f"{n},0,0,0\n" for n in range(9)))
    with pytest.raises(InputError, match="u0 is held out"):
        import_labels(project, video, csv)
    project.write_splits({"train": [Segment("task1_s0", 0, 8)], "val": [Segment("task1_s1", 0, 9)]})
    videos = project.videos()
    spans, _ = flow_spans(project, videos)
    assert "u0" in {videos[number].name for number, *_ in spans}


def test_importing_again_changes_nothing(tmp_path: Path, train: Path, test: Path) -> None:
    def snapshot() -> dict[str, bytes]:
        files = (tmp_path / "p").rglob("*")
        return {str(path): path.read_bytes() for path in files if path.is_file()}

    bring(tmp_path / "p", train, test)
    before = snapshot()
    bring(tmp_path / "p", train, test)
    assert snapshot() == before


def test_task_3_gives_a_column_per_behavior_and_does_not_score_the_others(
    tmp_path: Path, rare: Path
) -> None:
    project = bring(tmp_path / "p", rare, task=3).project
    assert (project.behaviors, project.exclusive) == (("groom", "approach"), False)
    labels = project.read_labels()
    assert labels["a"].values.tolist() == [[1, 0], [0, 0], [1, 1], [1, 1], [0, 0], [0, 0]]
    assert labels["b"].values[:, 1].tolist() == [-1] * 6
    assert vocabularies_of(project) == {
        "groom": ("groom", "other"),
        "approach": ("approach", "other"),
    }


def test_a_file_of_one_behavior_leaves_the_labels_of_the_others(tmp_path: Path, rare: Path) -> None:
    """Task 3 again, of "groom" alone and scored anew: "approach" of sequence a stays."""
    bring(tmp_path / "p", rare)
    sequence = {"keypoints": keypoints(6, 0), "annotations": [1, 1, 1, 0, 0, 0]}
    group = {"vocabulary": ["groom", "other"], "sequences": {"a": sequence}}
    again = save(tmp_path / "again.npy", {"groom": group})
    with pytest.raises(InputError, match="other labels"):
        bring(tmp_path / "p", again)
    project = bring(tmp_path / "p", again, overwrite=True).project
    expected = [[0, 0], [0, 0], [0, 1], [1, 1], [1, 0], [1, 0]]
    assert project.read_labels()["a"].values.tolist() == expected
    assert set(vocabularies_of(project)) == {"groom", "approach"}
    assert set(project.video("a").info["calms21"]["vocabularies"]) == {"groom", "approach"}


def test_labels_of_names_that_the_annotator_does_not_have_are_not_scored(rare: Path) -> None:
    labels = to_labels(read_sequences(rare)[0], ("approach", "groom"))
    assert labels.tolist() == [[-1, 1], [-1, 0], [-1, 1], [-1, 1], [-1, 0], [-1, 0]]


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("train", 3, "all behaviors of a frame together"),
        ("rare", 2, "a behavior per group"),
        ("train", 1, "there are 2 annotators"),
    ],
)
def test_another_task_than_said_is_refused_before_anything_is_made(
    name: str, task: int, message: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(UsageError, match=message):
        bring(tmp_path / "p", request.getfixturevalue(name), task=task)
    assert not (tmp_path / "p").exists()


def test_the_test_file_alone_does_not_say_the_behaviors(tmp_path: Path, test: Path) -> None:
    with pytest.raises(InputError, match="does not name its behaviors"):
        bring(tmp_path / "p", test)


def test_files_of_two_tasks_do_not_go_into_one_project(
    tmp_path: Path, train: Path, rare: Path
) -> None:
    bring(tmp_path / "p", train)
    with pytest.raises(InputError, match="does not have: groom, approach"):
        bring(tmp_path / "p", rare)


def test_two_sequences_of_one_name_are_refused(tmp_path: Path) -> None:
    sequences = {
        key: {"keypoints": keypoints(5, seed), "annotations": [0] * 5}
        for seed, key in enumerate(("a/b", "a_b"))
    }
    path = save(tmp_path / "t.npy", {"vocabulary": VOCABULARY, "sequences": sequences})
    with pytest.raises(InputError, match='2 different sequences are called "a_b"'):
        bring(tmp_path / "p", path)


def test_labelled_sequences_can_be_given_a_part(tmp_path: Path, train: Path) -> None:
    project = bring(tmp_path / "p", train, part="test").project
    whole = [Segment("task1_s0", 0, 8), Segment("task1_s1", 0, 9)]
    assert Project(project.folder).splits == {"test": whole}
    bring(tmp_path / "p", train, part="train")
    assert Project(project.folder).splits == {"test": [], "train": whole}
