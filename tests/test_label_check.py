"""Labels of a project are held against its videos; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.alarms import MIN_BOUTS, find_alarms
from pixelethogram.config import Config
from pixelethogram.errors import ResourceError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.ethogram.label_faults import Finding
from pixelethogram.label_check import WHOLE_PROJECT, check_file, check_import, check_project
from pixelethogram.pipeline import split_project
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.runs import read_yaml, write_yaml
from pixelethogram.stages import Job
from pixelethogram.toy import TOY_BEHAVIORS, make_toy_video

SILENT = SilentProgress()
LATE = 12


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A toy video of 10 seconds and its true labels."""
    path = tmp_path_factory.mktemp("check") / "toy é.mp4"
    return path, make_toy_video(path, 3, 300, size=32)


def write_labels(path: Path, values: np.ndarray) -> Path:
    write_csv(Ethogram(values, TOY_BEHAVIORS, 30.0), path)
    return path


def test_a_sound_project_has_no_findings_and_stays_as_it_is(
    make_toy_project: Callable[[Path], Project], tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "project")
    before = {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")}
    found = check_project(project, None, motion=True, progress=SILENT)
    assert [name for name, each in found.items() if each] == [WHOLE_PROJECT]
    assert all("too few to" in each.what for each in found[WHOLE_PROJECT])  # two seconds each
    assert set(found) == {"toy 0", "toy 1", "toy 2", WHOLE_PROJECT}
    assert {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")} == before


def write_bouts(project: Project, number: int) -> None:
    """Labels with so many bouts of two frames of each behavior in every video, of 60 frames."""
    values = np.zeros((60, len(TOY_BEHAVIORS)), np.int8)
    values[np.arange(60) % 3 > 0] = 1
    values[3 * number :] = 0
    for video in project.videos():
        write_labels(video.labels_path, values)


def test_too_few_bouts_are_found_before_training_as_after_it(
    make_toy_project: Callable[[Path], Project], make_job: Callable[..., Job], tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "project")
    write_bouts(project, MIN_BOUTS["train"] - 1)
    before = check_project(project, None, motion=False, progress=SILENT)[WHOLE_PROJECT]
    assert {each.level for each in before} == {"warning"}
    assert f'"{TOY_BEHAVIORS[0]}" has 9 bouts in train: too few to learn from' in [
        each.what for each in before
    ]
    assert project.splits == {}
    split_project(make_job(project))
    alarms = [each for each in find_alarms(project, Config()).alarms if each.kind == "few bouts"]
    assert [each.what for each in before] == [each.what for each in alarms]
    write_bouts(project, MIN_BOUTS["train"])
    assert not check_project(project, None, motion=False, progress=SILENT)[WHOLE_PROJECT]


def test_a_behavior_that_cannot_be_in_every_part_is_named_before_training(
    make_toy_project: Callable[[Path], Project], tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "project")
    write_bouts(project, 20)
    for video in project.videos()[1:]:
        write_labels(video.labels_path, np.zeros((60, len(TOY_BEHAVIORS)), np.int8))
    found = check_project(project, None, motion=False, progress=SILENT)[WHOLE_PROJECT]
    assert found[-1].level == "warning" and "occurs in 1 of 3" in found[-1].what


@pytest.mark.parametrize(
    ("split", "said"), [({"trian": 0.6}, "split.trian"), ({"train": 0.9}, "fractions are")]
)
def test_settings_that_training_refuses_are_a_finding_among_the_others(
    make_toy_project: Callable[[Path], Project], tmp_path: Path, split: dict[str, Any], said: str
) -> None:
    project = make_toy_project(tmp_path / "project")
    write_bouts(project, 0)
    path = project.folder / "project.yaml"
    write_yaml(path, read_yaml(path) | {"settings": {"split": split}})
    found = check_project(Project(project.folder), None, motion=False, progress=SILENT)
    assert [each.what for each in found["toy 1"]] == [f'"{b}" never occurs' for b in TOY_BEHAVIORS]
    refused = found[WHOLE_PROJECT][-1]
    assert refused.level == "warning" and said in refused.what and refused.do


def test_a_solver_that_finds_no_parts_in_time_is_a_finding_among_the_others(
    make_toy_project: Callable[[Path], Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: Any) -> None:
        raise ResourceError("No split was found within 60 s.", do="try again on an idle computer")

    monkeypatch.setattr("pixelethogram.label_check.plan_splits", give_up)
    project = make_toy_project(tmp_path / "project")
    found = check_project(project, None, motion=False, progress=SILENT)
    assert found.keys() == {"toy 0", "toy 1", "toy 2", WHOLE_PROJECT}
    assert found[WHOLE_PROJECT][-1] == Finding(
        "warning", "No split was found within 60 s.", "try again on an idle computer"
    )


def test_labels_that_were_edited_by_hand_and_those_of_other_raters_are_checked(
    make_toy_project: Callable[[Path], Project], tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "project")
    video = project.video("toy 1")
    lines = video.labels_path.read_text("utf-8").splitlines()
    video.labels_path.write_text("\n".join(lines[:-1]), "utf-8")
    (video.folder / "labels.anna.csv").write_text("frame,lefd\n0,1\n", "utf-8")
    found = check_project(project, "toy 1", motion=False, progress=SILENT)
    assert [each.what for each in found["toy 1"]] == ["59 rows, but toy 1 has 60 frames"]
    assert any('"lefd" is no behavior' in each.what for each in found["toy 1, labels.anna.csv"])


def test_labels_that_were_replaced_are_not_checked(
    make_toy_project: Callable[[Path], Project], tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "project")
    video = project.video("toy 1")
    for name in ("labels.anna.csv", "labels.anna.old.csv", "labels.old.csv"):
        (video.folder / name).write_bytes(video.labels_path.read_bytes())
    found = check_project(project, "toy 1", motion=False, progress=SILENT)
    assert set(found) == {"toy 1", "toy 1, labels.anna.csv", WHOLE_PROJECT}


def test_labels_that_are_late_are_found_by_the_motion_in_the_video(
    recording: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    video, labels = recording
    late = np.concatenate([np.full((LATE, 4), -1, np.int8), labels[:-LATE]])
    right = check_file(
        write_labels(tmp_path / "right.csv", labels), video, motion=True, progress=SILENT
    )
    wrong = check_file(
        write_labels(tmp_path / "late.csv", late), video, motion=True, progress=SILENT
    )
    assert right == {"right.csv": []}
    (finding,) = wrong["late.csv"]
    assert finding.what.startswith(f"all labels seem to be {LATE} frames (0.40 s) late")


def test_an_import_is_tried_without_being_done(
    make_toy_project: Callable[[Path], Project], tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "project")
    path = tmp_path / "toy 2.labels.csv"
    path.write_text("frame,lick\n0,1\n", "utf-8")
    labels = project.video("toy 2").labels_path.read_bytes()
    (found,) = check_import(project, path, None, motion=True, progress=SILENT).values()
    said = [each.what for each in found]
    assert "1 row, but toy 2 has 60 frames" in said
    assert '"lick" is no behavior of the project' in said
    assert project.video("toy 2").labels_path.read_bytes() == labels


def test_a_file_alone_is_checked_for_itself(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "a.csv", np.zeros((9, 4), np.int8))
    (found,) = check_file(path, None, motion=True, progress=SILENT).values()
    assert [each.what for each in found] == [f'"{name}" never occurs' for name in TOY_BEHAVIORS]
    with pytest.raises(UsageError, match="no such recording"):
        check_file(path, tmp_path / "none.mp4", motion=True, progress=SILENT)
