"""Labels come into a project: in its order, whole, refused with a reason, never lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, read_csv, write_csv
from pixelethogram.label_files import import_labels
from pixelethogram.project import Project, create_project
from pixelethogram.recordings import add_video

BEHAVIORS = ("saut à gauche", "lick, groom")


def make_movie(path: Path, num_frames: int = 6, seed: int = 0) -> Path:
    """An HDF5 movie, the cheapest recording there is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(seed).integers(0, 255, (num_frames, 32, 32, 3), np.uint8)
    with h5py.File(path, "w") as file:
        file["movie"] = frames
        file["movie"].attrs["fps"] = 25.0
    return path


def make_labels(path: Path, values: Any, behaviors: tuple[str, ...] = BEHAVIORS) -> Path:
    write_csv(Ethogram(np.array(values, dtype=np.int8), behaviors, 25.0), path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "Mäuse im Käfig" / "my project", BEHAVIORS)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    return make_movie(tmp_path / "enregistré hier" / "souris é 1.h5")


def test_labels_come_in_the_order_of_the_project(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    video, _ = add_video(project, movie)
    values = [[1, 0]] * 2 + [[0, -1]] * 4
    path = make_labels(tmp_path / "other order.csv", values, BEHAVIORS[::-1])
    ethogram = import_labels(project, video, path)
    assert ethogram.behaviors == BEHAVIORS
    np.testing.assert_array_equal(ethogram.values, np.array(values)[:, ::-1])
    found = project.read_labels()["souris é 1"]
    np.testing.assert_array_equal(found.values, ethogram.values)
    assert found.fps == 25.0


def test_what_nobody_scored_stays_unscored(project: Project, movie: Path, tmp_path: Path) -> None:
    video, _ = add_video(project, movie)
    values = np.array([[1, -1], [0, -1], [-1, 0], [-1, -1], [-1, 1], [0, 0]])
    import_labels(project, video, make_labels(tmp_path / "l.csv", values))
    np.testing.assert_array_equal(project.read_labels()["souris é 1"].values, values)


def test_a_video_that_is_not_scored_at_all_has_no_labels(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    video, _ = add_video(project, movie)
    assert video.read_labels(BEHAVIORS) is None
    import_labels(project, video, make_labels(tmp_path / "l.csv", np.full((6, 2), -1)))
    assert project.read_labels() == {}


@pytest.mark.parametrize("num_frames", [5, 7])
def test_labels_of_another_length_are_refused(
    project: Project, movie: Path, tmp_path: Path, num_frames: int
) -> None:
    video, _ = add_video(project, movie)
    path = make_labels(tmp_path / "l.csv", np.zeros((num_frames, 2)))
    with pytest.raises(InputError, match=f"{num_frames} rows, but the video has 6") as refusal:
        import_labels(project, video, path)
    assert refusal.value.where == path
    assert not video.labels_path.exists()


def test_labels_with_other_columns_are_refused_by_name(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    video, _ = add_video(project, movie)
    path = make_labels(tmp_path / "l.csv", np.zeros((6, 2)), (BEHAVIORS[0], "rear"))
    with pytest.raises(InputError) as refusal:
        import_labels(project, video, path)
    assert "rear" in refusal.value.what and BEHAVIORS[1] in refusal.value.what


def test_other_labels_are_not_replaced_unless_asked_and_then_kept(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    video, _ = add_video(project, movie)
    first = make_labels(tmp_path / "first.csv", np.zeros((6, 2)))
    second = make_labels(tmp_path / "second.csv", np.ones((6, 2)))
    import_labels(project, video, first)
    import_labels(project, video, first)
    with pytest.raises(InputError, match="other labels") as refusal:
        import_labels(project, video, second)
    assert "--overwrite" in str(refusal.value.do)
    assert not (video.folder / "labels.old.csv").exists()
    for _ in range(2):  # the second time nothing is replaced, so the old ones stay
        import_labels(project, video, second, overwrite=True)
        assert read_csv(video.labels_path, BEHAVIORS, 6, 25.0).values.all()
        assert not read_csv(video.folder / "labels.old.csv", BEHAVIORS, 6, 25.0).values.any()


def test_labels_that_cannot_be_read_can_be_replaced(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    video, _ = add_video(project, movie)
    video.labels_path.write_text("half a file")
    path = make_labels(tmp_path / "l.csv", np.ones((6, 2)))
    with pytest.raises(InputError):
        import_labels(project, video, path)
    import_labels(project, video, path, overwrite=True)
    assert (video.folder / "labels.old.csv").read_text() == "half a file"
    assert project.read_labels()["souris é 1"].values.all()


def test_an_exclusive_project_refuses_two_behaviors_at_once(tmp_path: Path, movie: Path) -> None:
    project = create_project(tmp_path / "p", BEHAVIORS, exclusive=True)
    video, _ = add_video(project, movie)
    values = np.zeros((6, 2))
    values[4:] = 1
    path = make_labels(tmp_path / "l.csv", values)
    with pytest.raises(InputError, match="2 frames, first on frame 4") as refusal:
        import_labels(project, video, path)
    assert refusal.value.where == path
    shutil.copy(path, video.labels_path)
    with pytest.raises(InputError, match="two behaviors at once"):
        project.read_labels()


def test_labels_of_a_rater_lie_beside_those_that_train(project: Project, movie: Path) -> None:
    video, _ = add_video(project, movie)
    mine, annas = movie.parent / "mine.csv", movie.parent / "annas.csv"
    write_csv(Ethogram(np.zeros((video.num_frames, 2), np.int8), project.behaviors, 30.0), mine)
    write_csv(Ethogram(np.ones((video.num_frames, 2), np.int8), project.behaviors, 30.0), annas)
    import_labels(project, video, mine)
    import_labels(project, video, mine, rater="anna")
    with pytest.raises(InputError, match=r"labels\.anna\.old\.csv"):
        import_labels(project, video, annas, rater="anna")
    import_labels(project, video, annas, rater="anna", overwrite=True)
    import_labels(project, video, annas, overwrite=True)
    assert video.raters == ("anna",)
    found = video.read_labels(project.behaviors, "anna")
    assert found is not None
    assert (found.values == 1).all()
    assert video.read_labels(project.behaviors, "ben") is None


def test_labels_of_a_rater_may_train(project: Project, movie: Path, tmp_path: Path) -> None:
    video, _ = add_video(project, movie)
    path = make_labels(tmp_path / "l.csv", np.ones((6, 2)))
    with pytest.raises(UsageError, match="who scored"):
        import_labels(project, video, path, trains=True)
    import_labels(project, video, path, rater="anna", trains=True)
    video = project.video(video.name)
    assert (video.rater, video.raters) == ("anna", ())
    assert project.read_labels()[video.name].values.all()


@pytest.mark.parametrize("name", ["old", "new", "labels", "", "a.b", "../x", " anna"])
def test_a_rater_whose_name_is_no_name_of_a_file_is_refused(
    project: Project, movie: Path, name: str
) -> None:
    video, _ = add_video(project, movie)
    with pytest.raises(UsageError, match="name of a rater"):
        import_labels(project, video, movie, rater=name)
