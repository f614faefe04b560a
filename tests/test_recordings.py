"""Recordings come into projects: once, under their name, whole; poses like videos."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.project import Project, Video, create_project
from pixelethogram.recordings import add_pose, add_video, attach_pose
from pixelethogram.toy import make_toy_video


def make_movie(path: Path, num_frames: int = 6, seed: int = 0) -> Path:
    """An HDF5 movie, the cheapest recording there is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(seed).integers(0, 255, (num_frames, 32, 32, 3), np.uint8)
    with h5py.File(path, "w") as file:
        file["movie"] = frames
        file["movie"].attrs["fps"] = 25.0
    return path


def make_pose(num_frames: int = 6, seed: int = 0) -> Pose:
    positions = np.random.default_rng(seed).uniform(0, 32, (num_frames, 2, 3, 2))
    skeleton = Skeleton(("nose", "neck", "tail"), ((0, 1), (1, 2)))
    confidence = np.ones((num_frames, 2, 3))
    return Pose(positions, confidence, skeleton, ("resident", "intruder"), 32, 48, 30.0)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "my project", ("lick", "groom"))


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    return make_movie(tmp_path / "enregistré hier" / "souris é 1.h5")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "all poses.npy"
    path.write_text("whatever program made it")
    return path


def test_a_recording_is_indexed(project: Project, movie: Path) -> None:
    video, is_new = add_video(project, movie)
    assert is_new
    assert (video.name, video.num_frames, video.fps) == ("souris é 1", 6, 25.0)
    assert video.source == movie
    with video.open() as frames:
        assert frames.read([5, 0]).shape == (2, 32, 32, 3)
    assert [each.name for each in project.videos()] == ["souris é 1"]
    assert project.video("souris é 1") == video


def test_a_video_file_is_counted_by_decoding_and_its_frame_table_kept(
    project: Project, tmp_path: Path
) -> None:
    make_toy_video(tmp_path / "toy 1.mp4", seed=0, num_frames=12, size=32)
    video, _ = add_video(project, tmp_path / "toy 1.mp4")
    assert video.num_frames == 12
    assert (video.folder / "frame_table.npz").is_file()
    with video.open() as frames:
        np.testing.assert_array_equal(frames.read([7])[0], list(frames.iterate())[7])


def test_adding_twice_changes_nothing(project: Project, movie: Path) -> None:
    add_video(project, movie)
    before = (project.folder / "videos/souris é 1/video.yaml").read_bytes()
    video, is_new = add_video(project, movie)
    assert not is_new
    assert (video.folder / "video.yaml").read_bytes() == before
    assert len(project.videos()) == 1


def test_another_recording_of_the_same_name_is_refused(
    project: Project, movie: Path, tmp_path: Path
) -> None:
    add_video(project, movie)
    other = make_movie(tmp_path / "tuesday" / movie.name, seed=1)
    with pytest.raises(InputError, match="already called") as refusal:
        add_video(project, other)
    assert str(movie) in str(refusal.value.why)
    assert project.video("souris é 1").source == movie


def test_a_copy_lives_in_the_project(project: Project, movie: Path) -> None:
    video, _ = add_video(project, movie, copy=True)
    movie.unlink()
    assert video.source.is_relative_to(project.folder.resolve())
    with video.open() as frames:
        assert frames.num_frames == 6


@pytest.mark.parametrize("copy", [False, True])
def test_what_is_no_recording_leaves_nothing_behind(
    project: Project, tmp_path: Path, copy: bool
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video" * 100)
    for source in (tmp_path / "broken.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(InputError) as refusal:
            add_video(project, source, copy=copy)
        assert source.name in str(refusal.value)
    assert list((project.folder / "videos").iterdir()) == []


# poses


def test_one_file_gives_many_recordings_without_pixels(project: Project, source: Path) -> None:
    for seed, name in enumerate(("task1/mouse1", "task1/mouse2")):
        video = add_pose(project, name, make_pose(seed=seed), source)
        assert (video.is_pose, video.num_frames, video.fps) == (True, 6, 30.0)
    assert [video.name for video in project.videos()] == ["task1_mouse1", "task1_mouse2"]
    source.unlink()
    first, second = (Video(video.folder).read_pose() for video in project.videos())
    np.testing.assert_array_equal(first.positions, make_pose(seed=0).positions)
    np.testing.assert_array_equal(second.positions, make_pose(seed=1).positions)
    assert len({video.sha256 for video in project.videos()}) == 2


def test_the_same_pose_again_changes_nothing_and_another_is_refused(
    project: Project, source: Path
) -> None:
    video = add_pose(project, "a", make_pose(), source)
    before = (video.folder / "video.yaml").read_bytes()
    assert add_pose(project, "a", make_pose(), source) == video
    assert (video.folder / "video.yaml").read_bytes() == before
    with pytest.raises(InputError, match='already called "a"'):
        add_pose(project, "a", make_pose(seed=1), source)
    with pytest.raises(InputError, match='already called "a"'):
        add_video(project, make_movie(source.with_name("a.h5")))
    with pytest.raises(InputError, match="another pose already"):
        attach_pose(video, make_pose(seed=1), source, overwrite=True)
    np.testing.assert_array_equal(video.read_pose().positions, make_pose().positions)


def test_a_pose_without_frames_is_no_recording(project: Project, source: Path) -> None:
    with pytest.raises(InputError, match="no frames"):
        add_pose(project, "a", make_pose(0), source)
    assert project.videos() == []


def test_a_video_gets_the_pose_of_exactly_its_frames(
    project: Project, movie: Path, source: Path
) -> None:
    video, _ = add_video(project, movie)
    with pytest.raises(InputError, match="has no pose"):
        video.read_pose()
    for num_frames in (5, 7):
        with pytest.raises(InputError, match=f"{num_frames} frames, souris é 1 has 6"):
            attach_pose(video, make_pose(num_frames), source)
    assert not video.pose_path.exists()
    attach_pose(video, make_pose(), source)
    assert not video.is_pose
    assert video.read_pose().fps == 25.0, "the rate of the video counts"


def test_a_pose_is_replaced_only_when_asked(project: Project, movie: Path, source: Path) -> None:
    video, _ = add_video(project, movie)
    attach_pose(video, make_pose(), source)
    attach_pose(video, dataclasses.replace(make_pose(), fps=1.0), source)
    with pytest.raises(InputError, match="another pose already"):
        attach_pose(video, make_pose(seed=1), source)
    attach_pose(video, make_pose(seed=1), source, overwrite=True)
    np.testing.assert_array_equal(video.read_pose().positions, make_pose(seed=1).positions)
