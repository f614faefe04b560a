"""Projects: what they take, what they refuse, and that they can be moved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.project import Project, create_project
from pixelethogram.recordings import add_video
from pixelethogram.splits import Segment

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


@pytest.fixture
def edit(project: Project) -> Callable[..., Project]:
    """Change keys of project.yaml by hand and open it again."""

    def edit_record(**changes: Any) -> Project:
        path = project.folder / "project.yaml"
        record = yaml.safe_load(path.read_text("utf-8")) | changes
        path.write_text(yaml.safe_dump(record, allow_unicode=True), "utf-8")
        return Project(project.folder)

    return edit_record


# new


def test_a_new_project_is_empty_and_knows_its_behaviors(project: Project) -> None:
    opened = Project(project.folder)
    assert opened.behaviors == BEHAVIORS
    assert opened.exclusive is False
    assert (opened.videos(), opened.read_labels(), opened.splits) == ([], {}, {})
    assert dict(opened.settings) == {}


def test_project_yaml_is_written_for_people(project: Project) -> None:
    assert "saut à gauche" in (project.folder / "project.yaml").read_text("utf-8")


def test_spaces_around_typed_names_go_away(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["lick", " groom "], exclusive=True)
    assert project.behaviors == ("lick", "groom")
    assert Project(project.folder).exclusive


@pytest.mark.parametrize(
    "names",
    [[], [""], ["lick", ""], ["frame"], ["background"], ["lick", "lick"], ["lick", " lick"]],
)
def test_impossible_names_of_behaviors_make_no_project(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UsageError) as refusal:
        create_project(tmp_path / "p", names)
    assert refusal.value.do
    assert not (tmp_path / "p").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("precious")
    for folder in (tmp_path, tmp_path / "thesis.doc"):
        with pytest.raises(InputError, match="already"):
            create_project(folder, ["lick"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_an_empty_folder_may_become_a_project(tmp_path: Path) -> None:
    assert create_project(tmp_path, ["lick"]).behaviors == ("lick",)


# project.yaml


def test_a_folder_that_is_no_project_is_refused_with_the_command_that_makes_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match="not a project") as refusal:
        _ = Project(tmp_path).behaviors
    assert "pixelethogram new" in str(refusal.value.do)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"behaviours": ["lick"]}, "behaviours"),
        ({"behaviors": []}, "behaviors"),
        ({"behaviors": "lick"}, "behaviors"),
        ({"behaviors": ["lick", True]}, "True"),
        ({"behaviors": ["lick", " groom"]}, "' groom'"),
        ({"behaviors": ["frame"]}, "'frame'"),
        ({"behaviors": ["lick", "lick"]}, "same name"),
        ({"exclusive": "sometimes"}, "exclusive"),
        ({"settings": ["frames.height=3"]}, "settings"),
    ],
)
def test_a_mistake_in_project_yaml_is_named_with_the_file(
    edit: Callable[..., Project], changes: dict[str, Any], named: str
) -> None:
    edited = edit(**changes)
    with pytest.raises(InputError) as refusal:
        _ = edited.behaviors
    assert named in refusal.value.what
    assert refusal.value.where == edited.folder / "project.yaml"
    assert refusal.value.do


@pytest.mark.parametrize("splits", [{"train": ["a"]}, {"train": {"a": [[0]]}}, {"train": {"a": 3}}])
def test_splits_that_make_no_sense_are_refused(
    edit: Callable[..., Project], splits: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="splits") as refusal:
        _ = edit(splits=splits).splits
    assert "delete" in str(refusal.value.do)


def test_yaml_that_cannot_be_read_is_named(project: Project) -> None:
    (project.folder / "project.yaml").write_text("behaviors: [lick")
    with pytest.raises(InputError, match="project.yaml"):
        _ = Project(project.folder).behaviors


def test_splits_are_kept(project: Project) -> None:
    splits = {"train": [Segment("é 1", 0, 5), Segment("é 1", 9, 12)], "val": [Segment("b", 0, 4)]}
    project.write_splits(splits)
    assert project.splits == splits
    assert Project(project.folder).splits == splits
    assert project.behaviors == BEHAVIORS


def test_an_unknown_video_is_refused_with_the_known_ones(project: Project, movie: Path) -> None:
    add_video(project, movie)
    with pytest.raises(InputError, match="souris é 2") as refusal:
        project.video("souris é 2")
    assert "souris é 1" in str(refusal.value.do)


# moving


def test_a_project_moved_alone_finds_its_recordings(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    add_video(project, movie)
    moved = Path(shutil.move(project.folder, tmp_path / "elsewhere" / "deeper" / "p"))
    assert Project(moved).video("souris é 1").source == movie


def test_a_project_moved_together_with_its_recordings_finds_them(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    add_video(project, movie)
    moved = tmp_path / "new computer"
    for folder in (project.folder.parent, movie.parent):
        shutil.move(folder, moved / folder.name)
    opened = Project(moved / project.folder.relative_to(tmp_path))
    found = opened.video("souris é 1").source
    assert found == (moved / movie.relative_to(tmp_path)).resolve()
    with opened.video("souris é 1").open() as frames:
        assert frames.num_frames == 6


def test_a_recording_that_is_gone_is_told_with_both_places(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    add_video(project, movie)
    moved = Path(shutil.move(project.folder, tmp_path / "elsewhere" / "deeper" / "p"))
    movie.unlink()
    with pytest.raises(InputError, match="souris é 1 is gone") as refusal:
        _ = Project(moved).video("souris é 1").source
    assert str(movie) in str(refusal.value.where)
    assert "add" in str(refusal.value.do)


def test_another_recording_in_its_place_is_not_taken_for_it(project: Project, movie: Path) -> None:
    video, _ = add_video(project, movie)
    make_movie(movie, seed=7)
    with pytest.raises(InputError, match="another one"):
        video.open()


def test_of_two_recordings_in_reach_the_right_one_is_taken(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    add_video(project, movie)
    decoy = make_movie(tmp_path / "copy" / movie.relative_to(tmp_path), seed=7)
    moved = shutil.copytree(
        project.folder, tmp_path / "copy" / project.folder.relative_to(tmp_path)
    )
    video = Project(moved).video("souris é 1")
    assert (video.folder / video.info["relative_source"]).resolve() == decoy.resolve()
    assert video.source == movie


def test_a_recording_that_moved_is_found_again_by_adding_it(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    video, _ = add_video(project, movie)
    make_labels(video.labels_path, np.zeros((6, 2)))
    moved = Path(shutil.move(movie, tmp_path / "archive.h5"))
    renamed = moved.rename(tmp_path / movie.name)
    again, is_new = add_video(project, renamed)
    assert not is_new
    assert again.source == renamed
    assert project.video("souris é 1").source == renamed
    assert project.read_labels().keys() == {"souris é 1"}


# labels


# raters


def test_other_splits_are_written_nowhere(project: Project) -> None:
    other = project.with_splits({"train": [Segment("a", 0, 5)], "val": []})
    assert other.splits == {"train": [Segment("a", 0, 5)], "val": []}
    assert other.behaviors == project.behaviors
    assert project.splits == {}
    assert Project(project.folder).splits == {}


def test_a_division_keeps_its_folder_and_never_writes_into_project_yaml(
    project: Project, tmp_path: Path
) -> None:
    before = (project.folder / "project.yaml").read_bytes()
    division = project.with_splits({"train": [Segment("a", 0, 5)]}, tmp_path / "division")
    other = division.with_splits({"val": [Segment("a", 0, 5)]})
    assert (other.elsewhere, other.runs) == (division.elsewhere, tmp_path / "division" / "runs")
    assert other.with_splits({}, tmp_path / "b").elsewhere == tmp_path / "b"
    with pytest.raises(ValueError, match="division has its splits"):
        other.write_splits({"train": [Segment("a", 0, 2)]})
    assert (project.folder / "project.yaml").read_bytes() == before
