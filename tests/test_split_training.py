"""Networks of a division: what they saw, what is left, and that a broken-off one goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixelethogram.errors import UsageError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.repeated_splits import UNSEEN, draw_splits, repeat_splits
from pixelethogram.runs import Stage, find_runs, latest_run, read_yaml, write_yaml
from pixelethogram.split_training import (
    announce_trainings,
    find_untrained,
    open_split,
    refuse_learned_starts,
    split_folder,
    train_split,
)
from pixelethogram.splits import Splits
from pixelethogram.stages import Job

MakeJob = Callable[..., Job]
FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}


class BrokenOffError(Exception):
    """What a listener raises."""


class Listener(SilentProgress):
    """Remembers what was begun and said; breaks off when a task is begun for the n-th time."""

    def __init__(self, task: str = "", times: int = 0) -> None:
        self.tasks: list[str] = []
        self.lines: list[str] = []
        self.stop = (task, times)

    def start(self, task: str, total: int | None) -> None:
        self.tasks.append(task)
        if self.stop[0] and self.count(self.stop[0]) == self.stop[1]:
            raise BrokenOffError

    def message(self, text: str) -> None:
        self.lines.append(text)

    def count(self, begin: str) -> int:
        return sum(task.startswith(begin) for task in self.tasks)


@pytest.fixture
def project(project_copy: Project) -> Project:
    """Five trained videos."""
    for video in project_copy.videos()[:2]:
        shutil.copytree(video.folder, video.folder.with_name(video.name + " again"))
    return project_copy


def draw(project: Project, seed: int) -> Splits:
    labels = {name: each.values for name, each in project.read_labels().items()}
    return draw_splits(labels, FRACTIONS, None, seed)


def names(splits: Splits, part: str) -> list[str]:
    return sorted({each.video for each in splits[part]})


def hash_files(project: Project) -> dict[Path, str]:
    """Every file of a project but those of divisions."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.folder.rglob("*"))
        if path.is_file() and "splits" not in path.relative_to(project.folder).parts
    }


def turn_labels(project: Project, name: str) -> None:
    """Labels of a video from its end to its beginning."""
    video = project.video(name)
    ethogram = video.read_labels(project.behaviors)
    assert ethogram is not None
    turned = Ethogram(ethogram.values[::-1].copy(), ethogram.behaviors, ethogram.fps)
    write_csv(turned, video.labels_path)


def train_features(job: Job, splits: Splits, number: int) -> str:
    """Hash of the weights that the features network of a division ends with."""
    run = latest_run(job.project.runs, "sequence")
    sequence = train_split(open_split(job, run, splits, number))
    return sequence.parent("features").results["weights_sha256"]


def test_labels_that_judge_change_nothing_in_the_features_network(
    project: Project, make_job: MakeJob
) -> None:
    job, splits = make_job(project), draw(project, 1)
    before = train_features(job, splits, 1)
    (judging,), (learned, *_) = names(splits, "test"), names(splits, "train")
    turn_labels(project, judging)
    assert train_features(job, splits, 2) == before
    turn_labels(project, learned)
    assert train_features(job, splits, 3) != before


def test_each_split_has_its_own_networks_and_the_project_stays_as_it_is(
    project: Project, make_job: MakeJob
) -> None:
    before, listener = hash_files(project), Listener()
    (only,) = repeat_splits(make_job(project, progress=listener), 2, retrained="features")
    assert hash_files(project) == before
    assert (only.name, only.retrained, len(only.f1)) == (UNSEEN, "features", 2)
    assert only.to_dict()["retrained"] == "features"
    assert "4 trainings to come: features on 2 and sequence on 2 of 2 splits; " in listener.lines[0]
    own_flow = latest_run(project.runs, "flow")
    for number in (1, 2):
        splits, folder = draw(project, number), split_folder(project, number)
        (features,) = find_runs(folder / "runs", "features")
        (sequence,) = find_runs(folder / "runs", "sequence")
        for run in (features, sequence):
            assert run.record["videos"] == {part: names(splits, part) for part in splits}
            assert not {*run.record["videos"]["train"], *run.record["videos"]["val"]} & set(
                run.record["videos"]["test"]
            )
        assert sequence.record["parents"] == {"features": features.id}
        assert features.record["parents"] == {"flow": own_flow.id}
        scores = sequence.results["scores"]["test"]
        exists = [value > 0 for value in scores["support"]]
        assert only.f1[number - 1][exists].tolist() == [
            value for value, there in zip(scores["f1"], exists, strict=True) if there
        ]
        assert not (folder / "arrays").exists()


def test_a_broken_off_evaluation_goes_on_and_trains_no_split_twice(
    project: Project, make_job: MakeJob
) -> None:
    first, last = Listener("train features, joint", 2), Listener()
    with pytest.raises(BrokenOffError):
        repeat_splits(make_job(project, progress=first), 2, retrained="features")
    assert (first.count("train features, joint"), first.count("train sequence")) == (2, 1)
    done = hash_files_of(split_folder(project, 1))
    (broken,) = find_runs(split_folder(project, 2) / "runs", "features", finished=False)

    (found,) = repeat_splits(make_job(project, progress=last), 2, retrained="features")
    assert "features on 1 and sequence on 1 of 2 splits (1 trained already)" in last.lines[0]
    assert f"going on with features run {broken.id}" in last.lines
    assert (last.count("train features, spatial"), last.count("train features, joint")) == (0, 1)
    assert last.count("train sequence") == 1
    assert hash_files_of(split_folder(project, 1)) == done
    assert [each.id for each in find_runs(split_folder(project, 2) / "runs", "features")] == [
        broken.id
    ]
    again = Listener()
    (same,) = repeat_splits(make_job(project, progress=again), 2, retrained="features")
    assert again.tasks == []
    assert again.lines[0] == "all 2 splits are trained already"
    assert same.to_dict() == found.to_dict()


def hash_files_of(folder: Path) -> dict[Path, str]:
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_killed_extraction_of_a_split_keeps_the_videos_that_are_done(
    project: Project, make_job: MakeJob
) -> None:
    splits, run = draw(project, 1), latest_run(project.runs, "sequence")
    broken = open_split(make_job(project, progress=Listener("features of", 3)), run, splits, 1)
    with pytest.raises(BrokenOffError):
        train_split(broken)
    assert find_untrained(broken) == ["sequence"]
    arrays = split_folder(project, 1) / "arrays"
    kept = len(list(arrays.rglob("*.h5")))
    assert 0 < kept < 5
    listener = Listener()
    train_split(open_split(make_job(project, progress=listener), run, splits, 1))
    assert listener.count("features of") == 5 - kept
    assert not arrays.exists()


def test_splits_by_another_column_leave_those_by_video_as_they_are(
    project: Project, make_job: MakeJob
) -> None:
    rows = [f"{video.name},m{max(number, 1)}" for number, video in enumerate(project.videos())]
    (project.folder / "videos.csv").write_text("\n".join(["video,mouse / id", *rows]), "utf-8")
    job, first = make_job(project), draw(project, 1)
    (before,) = repeat_splits(job, 2, retrained="features")
    run = latest_run(project.runs, "sequence")
    with pytest.raises(BrokenOffError):
        repeat_splits(
            make_job(project, progress=Listener("train sequence", 1)), 2, "mouse / id", "features"
        )
    assert len(find_runs(project.folder / "splits" / "mouse___id" / "1" / "runs", "features")) == 1
    assert find_untrained(open_split(job, run, first, 1)) == []
    listener = Listener()
    (after,) = repeat_splits(make_job(project, progress=listener), 2, retrained="features")
    assert (listener.tasks, after.to_dict()) == ([], before.to_dict())


def test_after_another_flow_everything_is_to_be_trained(
    project: Project, make_job: MakeJob
) -> None:
    job, splits, run = make_job(project), draw(project, 1), latest_run(project.runs, "sequence")
    train_features(job, splits, 1)
    assert find_untrained(open_split(job, run, splits, 1)) == []
    flow, features = latest_run(project.runs, "flow"), run.parent("features")
    newer = shutil.copytree(flow.folder, flow.folder.with_name("2999-01-01_00-00-00_0000"))
    parents = {"parents": {"flow": newer.name}}
    write_yaml(features.folder / "run.yaml", features.record | parents)
    jobs = open_split(job, run, splits, 1)
    assert find_untrained(jobs) == ["features", "sequence"]
    assert [each.id for each in find_runs(jobs["features"].project.runs, "flow")] == [newer.name]


def test_other_labels_are_trained_on_anew(project: Project, make_job: MakeJob) -> None:
    job, splits = make_job(project), draw(project, 1)
    train_features(job, splits, 1)
    jobs = open_split(job, latest_run(project.runs, "sequence"), splits, 1)
    assert find_untrained(jobs) == []
    turn_labels(project, names(splits, "train")[0])
    assert find_untrained(jobs) == ["features", "sequence"]


@pytest.mark.parametrize("stage", ["flow", "features"])
def test_networks_that_start_from_what_the_project_learned_are_refused(
    project: Project, make_job: MakeJob, stage: str, tmp_path: Path
) -> None:
    run = latest_run(project.runs, "sequence")
    flow = latest_run(project.runs, "flow").folder
    older_flow = shutil.copytree(flow, flow.with_name("2000-01-01_00-00-00_0000"))
    path = latest_run(project.runs, stage).folder / "config.yaml"  # type: ignore[arg-type]
    settings: Any = read_yaml(path)

    def start_from(given: Path) -> list[str]:
        settings[stage]["start_weights"] = str(given)
        write_yaml(path, settings)
        listener = Listener()
        refuse_learned_starts(dataclasses.replace(make_job(project), progress=listener), run)
        return listener.lines

    assert start_from(older_flow) == []
    (line,) = start_from(tmp_path / "weights.pth")
    assert "weights.pth; if that was made with labels" in line
    with pytest.raises(UsageError, match="starts from a run of this project"):
        start_from(latest_run(project.runs, "features").folder)


def test_starts_of_the_flow_runs_that_a_flow_run_starts_from_count(
    project: Project, make_job: MakeJob, tmp_path: Path
) -> None:
    run, own = latest_run(project.runs, "sequence"), latest_run(project.runs, "flow").folder
    features = latest_run(project.runs, "features").folder
    first, second = (shutil.copytree(own, tmp_path / name) for name in ("first", "second"))

    def start_from(flow: Path, given: Path) -> None:
        settings: Any = read_yaml(flow / "config.yaml")
        settings["flow"]["start_weights"] = str(given)
        write_yaml(flow / "config.yaml", settings)

    start_from(own, second)
    start_from(second, first)
    refuse_learned_starts(make_job(project), run)
    start_from(first, features)
    with pytest.raises(UsageError, match="flow model starts from a run of this") as refused:
        refuse_learned_starts(make_job(project), run)
    assert refused.value.where == first / "config.yaml"


def test_a_network_from_a_file_is_no_start_weights(
    project: Project, make_job: MakeJob, tmp_path: Path
) -> None:
    path = latest_run(project.runs, "features").folder / "config.yaml"
    settings: Any = read_yaml(path)
    settings["features"]["model"] = {"name": "external", "source": str(tmp_path / "net.pt")}
    write_yaml(path, settings)
    listener = Listener()
    run = latest_run(project.runs, "sequence")
    refuse_learned_starts(make_job(project, progress=listener), run)
    (line,) = listener.lines
    assert "the features model is the network in" in line and "starts from" not in line


@pytest.mark.parametrize(
    ("untrained", "said"),
    [
        ([["sequence"], []], "1 training to come: sequence on 1 of 2 splits (1 trained already); "),
        (
            [["features", "sequence"], ["sequence"]],
            "3 trainings to come: features on 1 and sequence on 2 of 2 splits; ",
        ),
        ([[], []], "all 2 splits are trained already"),
    ],
)
def test_what_is_missing_is_announced(
    project: Project, make_job: MakeJob, untrained: list[list[Stage]], said: str, tmp_path: Path
) -> None:
    listener, run = Listener(), latest_run(project.runs, "sequence")
    announce_trainings(make_job(project, progress=listener), run, untrained, tmp_path)
    (line,) = listener.lines
    assert line.startswith(said)
    for stage in ("features", "sequence"):
        assert (f" for {stage}" in line) == (stage in said)


def test_a_project_without_a_test_part_has_nothing_unseen(
    project: Project, make_job: MakeJob
) -> None:
    path = latest_run(project.runs, "sequence").folder / "config.yaml"
    settings: Any = read_yaml(path)
    settings["split"] |= {"train": 0.8, "val": 0.2, "test": 0.0}
    write_yaml(path, settings)
    with pytest.raises(UsageError, match="no test part"):
        repeat_splits(make_job(project), 2, retrained="features")
    assert not split_folder(project, 1).exists()
