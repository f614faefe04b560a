"""Recordings and the labels beside them come into a project; a bad one stops no other."""

from __future__ import annotations

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.intake import add_recordings, describe_labels, video_of_labels
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, create_project
from pixelethogram.toy import make_toy_video

NUM_FRAMES = 12


class Listener(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", ("left", "right"))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two videos, labels beside the first, in a folder with a space and an accent."""
    folder = tmp_path / "vidéos du 3 mai"
    folder.mkdir()
    make_toy_video(folder / "mouse 1.mp4", seed=1, num_frames=NUM_FRAMES, size=32)
    make_toy_video(folder / "mouse 2.mp4", seed=2, num_frames=NUM_FRAMES, size=32)
    write_labels(folder / "mouse 1.labels.csv")
    return folder


def write_labels(path: Path, num_frames: int = NUM_FRAMES, value: int = 1) -> None:
    values = np.zeros((num_frames, 2), np.int8)
    values[:3, 0] = value
    values[-4:] = -1
    write_csv(Ethogram(values, ("left", "right"), 30.0), path)


def add(project: Project, *sources: Path, overwrite: bool = False) -> tuple[list[Path], str]:
    listener = Listener()
    failed = add_recordings(project, sources, copy=False, overwrite=overwrite, progress=listener)
    return failed, "\n".join(listener.lines)


def test_a_folder_of_videos_comes_in_with_the_labels_beside_them(
    project: Project, recordings: Path
) -> None:
    failed, said = add(project, recordings)
    assert failed == []
    assert [video.name for video in project.videos()] == ["mouse 1", "mouse 2"]
    assert project.read_labels().keys() == {"mouse 1"}
    assert "mouse 1: 12 frames, 32 x 32, 30 fps" in said
    assert "8 of 12 frames scored; frames present: left 3, right 0" in said


def test_adding_again_says_so_and_takes_new_labels(project: Project, recordings: Path) -> None:
    add(project, recordings)
    write_labels(recordings / "mouse 2.labels.csv")
    failed, said = add(project, recordings)
    assert failed == []
    assert said.count("was there already") == 2
    assert project.read_labels().keys() == {"mouse 1", "mouse 2"}


def test_labels_that_differ_are_replaced_only_when_asked(
    project: Project, recordings: Path
) -> None:
    add(project, recordings)
    write_labels(recordings / "mouse 1.labels.csv", value=-1)
    failed, said = add(project, recordings)
    assert [path.name for path in failed] == ["mouse 1.mp4"]
    assert "--overwrite" in said
    assert (project.read_labels()["mouse 1"].values == 1).sum() == 3
    assert add(project, recordings, overwrite=True)[0] == []
    assert (project.read_labels()["mouse 1"].values == 1).sum() == 0


def test_a_bad_recording_or_labels_file_is_reported_and_the_others_come_in(
    project: Project, recordings: Path
) -> None:
    (recordings / "mouse 0.mp4").write_bytes(b"no video" * 50)
    write_labels(recordings / "mouse 1.labels.csv", num_frames=5)
    failed, said = add(project, recordings)
    assert [path.name for path in failed] == ["mouse 0.mp4", "mouse 1.mp4"]
    assert [video.name for video in project.videos()] == ["mouse 1", "mouse 2"]
    assert "5 rows, but the video has 12 frames" in said
    assert project.read_labels() == {}


def test_image_folders_and_movies_come_in_when_named(project: Project, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (NUM_FRAMES, 32, 32, 3), np.uint8)
    folder = tmp_path / "day 1.5"
    folder.mkdir()
    for number, frame in enumerate(frames):
        (folder / f"{number}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    write_labels(tmp_path / "day 1.5.labels.csv")
    with h5py.File(tmp_path / "day 2.h5", "w") as file:
        file["movie"] = frames
    write_labels(tmp_path / "day 2.labels.csv")
    failed, said = add(project, folder, tmp_path / "day 2.h5")
    assert failed == [], said
    assert project.read_labels().keys() == {"day 1.5", "day 2"}


def test_labels_among_the_sources_are_no_recordings(project: Project, recordings: Path) -> None:
    failed, said = add(project, *sorted(recordings.iterdir()))
    assert failed == [], said
    assert [video.name for video in project.videos()] == ["mouse 1", "mouse 2"]
    assert project.read_labels().keys() == {"mouse 1"}
    with pytest.raises(UsageError, match="holds labels"):
        add(project, recordings / "mouse 1.labels.csv")


def test_a_broken_pose_file_stops_no_other(project: Project, recordings: Path) -> None:
    with h5py.File(recordings / "a.h5", "w") as file:
        file["tracks"] = np.zeros(1000)
    (recordings / "a.h5").write_bytes((recordings / "a.h5").read_bytes()[:900])
    failed, said = add(project, recordings / "a.h5", recordings / "mouse 1.mp4")
    assert [path.name for path in failed] == ["a.h5"]
    assert "cannot be read" in said
    assert [video.name for video in project.videos()] == ["mouse 1"]


def test_a_path_that_does_not_exist_stops_at_once(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        add(project, tmp_path / "missing.mp4")


def test_nothing_is_indexed_for_a_folder_that_is_no_project(
    recordings: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="not a project"):
        add(Project(tmp_path / "nowhere"), recordings)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["mouse 1.5.labels.csv", "mouse 1.5.csv"])
def test_a_labels_file_is_called_after_its_video(name: str) -> None:
    assert video_of_labels(Path("somewhere") / name) == "mouse 1.5"


def test_labels_are_described_in_one_line() -> None:
    values = np.array([[1, 0], [1, -1], [-1, -1]], dtype=np.int8)
    line = describe_labels(Ethogram(values, ("left", "right"), 30.0))
    assert line == "2 of 3 frames scored; frames present: left 2, right 0"
