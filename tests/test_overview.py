"""`status`: a table of videos, and the next command for every state of a project."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.overview import build_overview
from pixelethogram.project import Project, create_project
from pixelethogram.recordings import add_video
from pixelethogram.runs import Run, Stage, start_run, write_yaml
from pixelethogram.splits import Segment
from pixelethogram.store import ArrayWriter, array_file

BEHAVIORS = ("lick", "groom")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "my project", BEHAVIORS)


def add_movie(project: Project, name: str, *, labelled: bool) -> None:
    path = project.folder.parent / f"{name}.h5"
    with h5py.File(path, "w") as file:
        file["movie"] = np.full((10, 32, 32), len(name), np.uint8)
    video, _ = add_video(project, path)
    if labelled:
        values = np.zeros((10, 2), np.int8)
        values[:4, 0] = 1
        values[8:] = -1
        write_csv(Ethogram(values, BEHAVIORS, video.fps), video.labels_path)


def make_run(project: Project, stage: Stage, *, finished: bool = True) -> Run:
    run = start_run(
        project.runs,
        stage,
        load_config("fast"),
        behaviors=BEHAVIORS,
        exclusive=False,
        parents={},
        videos={},
        fingerprint="0",
    )
    if finished:
        write_yaml(run.folder / "results.yaml", {"finished": "now"})
    return run


def predict(project: Project, run: Run) -> None:
    for video in project.videos():
        with ArrayWriter(array_file(video.folder, "sequence", run.id), {}) as writer:
            writer.append(probabilities=np.zeros((video.num_frames, 2), np.float32))
            writer.finish()


def test_an_empty_project_asks_for_videos(project: Project) -> None:
    overview = build_overview(project)
    assert overview.rows == []
    assert overview.next_command == f'pixelethogram add "{project.folder}" VIDEO_OR_FOLDER'


def test_videos_without_labels_ask_for_labels(project: Project) -> None:
    add_movie(project, "mouse 1", labelled=False)
    overview = build_overview(project)
    assert overview.rows == [["mouse 1", None, 10, 0, None, None]]
    assert overview.next_command.startswith("pixelethogram import ")


def test_labelled_videos_ask_for_training(project: Project) -> None:
    add_movie(project, "mouse 1", labelled=True)
    add_movie(project, "mouse 10", labelled=False)
    overview = build_overview(project)
    assert overview.columns == ["video", "part", "frames", "scored", "lick", "groom"]
    assert overview.rows == [
        ["mouse 1", None, 10, 8, 4, 0],
        ["mouse 10", None, 10, 0, None, None],
    ]
    assert overview.next_command.startswith("pixelethogram train all ")


def test_a_broken_off_training_asks_for_the_same_command_again(project: Project) -> None:
    add_movie(project, "mouse 1", labelled=True)
    make_run(project, "flow", finished=False)
    overview = build_overview(project)
    assert overview.next_command.startswith("pixelethogram train all ")
    assert "flow: 0 finished; 1 broken off (the same command goes on with it)" in overview.lines


def test_a_trained_project_with_new_videos_asks_for_their_ethograms(project: Project) -> None:
    add_movie(project, "mouse 1", labelled=True)
    run = make_run(project, "sequence")
    overview = build_overview(project)
    assert f"sequence: 1 finished, newest {run.id}" in overview.lines
    assert "pixelethogram extract" in overview.next_command
    assert "pixelethogram predict" in overview.next_command


def test_a_project_that_is_done_invites_new_videos(project: Project) -> None:
    add_movie(project, "mouse 1", labelled=True)
    predict(project, make_run(project, "sequence"))
    overview = build_overview(project)
    assert overview.next_command == f'pixelethogram predict "{project.folder}" NEW_VIDEOS'


def test_the_last_line_is_the_next_command(project: Project) -> None:
    overview = build_overview(project)
    assert overview.lines[-1] == f"next: {overview.next_command}"


def test_the_parts_of_each_video_are_shown(project: Project) -> None:
    for name in ("mouse 1", "mouse 10"):
        add_movie(project, name, labelled=True)
    splits = {
        "train": [Segment("mouse 1", 0, 4), Segment("mouse 1", 6, 8)],
        "val": [Segment("mouse 1", 4, 6)],
        "test": [Segment("mouse 10", 0, 10)],
    }
    project.write_splits(splits)
    assert [row[1] for row in build_overview(project).rows] == ["train+val", "test"]


def test_an_overview_can_be_written_as_json(project: Project) -> None:
    add_movie(project, "mouse 1", labelled=True)
    plain = json.loads(json.dumps(build_overview(project).to_dict()))
    assert plain["rows"] == [["mouse 1", None, 10, 8, 4, 0]]
    assert plain["next_command"].startswith("pixelethogram")


def test_labels_are_checked_on_the_way(project: Project) -> None:
    add_movie(project, "mouse 1", labelled=True)
    labels = project.video("mouse 1").labels_path
    labels.write_text(labels.read_text().replace("9,-1,-1", "9,-1,2"))
    with pytest.raises(InputError, match='"2"'):
        build_overview(project)
