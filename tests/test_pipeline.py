"""The whole pipeline on tiny projects: from videos and labels to ethograms, also after a kill."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixelethogram import pipeline
from pixelethogram.errors import InputError
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram, read_csv, write_csv
from pixelethogram.inference import load_models
from pixelethogram.intake import add_recordings
from pixelethogram.pipeline import (
    extract_project,
    predict_project,
    split_project,
    train_all,
    train_one,
    train_stage,
    try_all,
    try_stage,
)
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, create_project
from pixelethogram.project_evaluation import evaluate_project, read_probabilities
from pixelethogram.recordings import add_video
from pixelethogram.runs import STAGES, find_runs, latest_run, write_yaml
from pixelethogram.stages import Job
from pixelethogram.store import ArrayWriter, array_file
from pixelethogram.toy import make_toy_video

MakeJob = Callable[..., Job]


class Messages(SilentProgress):
    """Keeps what is said and which tasks are begun."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def start(self, task: str, total: int | None) -> None:
        self.begun.append(task)


def run_ids(project: Project) -> dict[str, list[str]]:
    """Finished runs of every stage."""
    return {stage: [run.id for run in find_runs(project.runs, stage)] for stage in STAGES}


def change_labels(project: Project, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write other labels for every labelled video."""
    for video in project.videos():
        labels = video.read_labels(project.behaviors)
        assert labels is not None
        values = change(labels.values.copy()).astype(np.int8)
        write_csv(Ethogram(values, project.behaviors, video.fps), video.labels_path)


def labelled_project(
    folder: Path,
    toy_videos: Path,
    behaviors: tuple[str, ...],
    change: Callable[[np.ndarray], np.ndarray],
    *,
    exclusive: bool = False,
) -> Project:
    """A project of the toy videos with other behaviors and labels made of the toy's."""
    project = create_project(folder, behaviors, exclusive=exclusive)
    for path in sorted(toy_videos.glob("*.mp4")):
        video, _ = add_video(project, path)
        toy = read_csv(path.with_name(f"{path.stem}.labels.csv"), None, 60, 30.0).values
        write_csv(Ethogram(change(toy).astype(np.int8), behaviors, 30.0), video.labels_path)
    return project


def test_three_short_videos_become_ethograms_with_the_real_networks(
    make_toy_project: Callable[[Path], Project], make_job: MakeJob, tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "my project")
    run = train_all(make_job(project, "features.phases.joint=0", "features.train.ema_decay=0"))
    assert run.stage == "sequence"
    assert run.finished
    assert run.parent("features").parent("flow").finished
    decision = Decision.from_dict(run.results["decision"])
    for video in project.videos():
        probabilities = read_probabilities(video, run)
        assert probabilities.shape == (60, 4)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        found = read_csv(video.ethogram_path, project.behaviors, 60, 30.0)
        assert np.array_equal(found.values == 1, decision.apply(probabilities))


@pytest.mark.usefixtures("small_streams")
class TestTrainingAgain:
    def test_what_is_up_to_date_is_not_trained_again(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        before = run_ids(project_copy)
        messages = Messages()
        run = train_all(make_job(project_copy, progress=messages))
        assert run_ids(project_copy) == before
        assert run.id == before["sequence"][0]
        assert sum("is up to date" in text for text in messages.said) == 3
        assert messages.begun == []

    def test_other_labels_leave_the_flow_as_it_is(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        def swap_first_frames(values: np.ndarray) -> np.ndarray:
            values[:3] = 1 - values[:3]
            return values

        before = run_ids(project_copy)
        change_labels(project_copy, swap_first_frames)
        run = train_all(make_job(project_copy))
        after = run_ids(project_copy)
        assert after["flow"] == before["flow"]
        assert [len(after[stage]) for stage in STAGES] == [1, 2, 2]
        assert run.parent("features").id == after["features"][-1]

    def test_another_bout_length_trains_the_sequence_only(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        train_all(make_job(project_copy, "ethogram.bout_percentile=50"))
        assert [len(ids) for ids in run_ids(project_copy).values()] == [1, 1, 2]

    def test_going_back_to_old_settings_never_mixes_runs(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        train_all(make_job(project_copy, "flow.train.learning_rate=0.01"))
        run = train_all(make_job(project_copy))
        flow = run.parent("features").parent("flow")
        assert flow.id == latest_run(project_copy.runs, "flow").id
        assert flow.config.flow.train.learning_rate == 1e-4

    def test_no_resume_trains_everything(self, project_copy: Project, make_job: MakeJob) -> None:
        train_all(make_job(project_copy, resume=False))
        assert [len(ids) for ids in run_ids(project_copy).values()] == [2, 2, 2]

    def test_equal_seeds_give_equal_ethograms(
        self, project_copy: Project, trained_project: Project, make_job: MakeJob
    ) -> None:
        old = latest_run(trained_project.runs, "sequence")
        run = train_all(make_job(project_copy, resume=False))
        for video in project_copy.videos():
            expected = read_probabilities(trained_project.video(video.name), old)
            assert np.array_equal(read_probabilities(video, run), expected)

    def test_a_video_added_later_gets_a_part_and_the_others_keep_theirs(
        self, project_copy: Project, make_job: MakeJob, toy_videos: Path, tmp_path: Path
    ) -> None:
        before = {part: list(found) for part, found in project_copy.splits.items()}
        shutil.copy(toy_videos / "toy 1.mp4", tmp_path / "later.mp4")
        shutil.copy(toy_videos / "toy 1.labels.csv", tmp_path / "later.labels.csv")
        sources = [tmp_path / "later.mp4"]
        add_recordings(project_copy, sources, copy=True, overwrite=False, progress=SilentProgress())
        split_project(make_job(project_copy))
        after = project_copy.splits
        assert [part for part in after if any(s.video == "later" for s in after[part])]
        for part, segments in before.items():
            assert set(segments) <= set(after[part])


class FrameMeans(nn.Module):
    """How bright each frame is, in each of three colors."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=[3, 4]).flatten(1)


def test_a_network_that_needs_no_flow_trains_none(
    make_toy_project: Callable[[Path], Project], make_job: MakeJob, tmp_path: Path
) -> None:
    clips = (torch.rand(2, 3, 11, 16, 16),)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(FrameMeans(), clips, dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "encoder.pt2")
    project = make_toy_project(tmp_path / "project")
    size = ("features.model.height=16", "features.model.width=16")
    source = f"features.model.source={tmp_path / 'encoder.pt2'}"
    job = make_job(project, "features.model.name=external", source, *size)
    assert try_all(job) == ["features"]
    run = train_all(job)
    assert [len(ids) for ids in run_ids(project).values()] == [0, 1, 1]
    assert train_all(job).id == run.id
    assert all(video.ethogram_path.is_file() for video in project.videos())
    assert set(evaluate_project(job)) == {"sequence", "features"}
    assert load_models(project.folder, "cpu").run == run


class TestTrainingTheSequenceAlone:
    def test_its_run_names_the_networks_that_made_its_features(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        messages = Messages()
        other = ("features.model.name=resnet50", "frames.height=64", "sequence.window_frames=20")
        run = train_one(make_job(project_copy, *other, progress=messages), "sequence")
        features = run.parent("features").config
        for section in ("frames", "flow", "features"):
            assert getattr(run.config, section) == getattr(features, section)
        assert run.config.sequence.window_frames == 20
        (note,) = [text for text in messages.said if "goes with its features" in text]
        assert "features.model.name = resnet18, not resnet50" in note
        assert "frames.height = 32, not 64" in note

    def test_nothing_is_said_of_equal_settings(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        messages = Messages()
        train_one(
            make_job(project_copy, "sequence.window_frames=20", progress=messages), "sequence"
        )
        assert not any("goes with" in text for text in messages.said)

    def test_a_video_that_came_later_gets_its_ethogram(
        self, project_copy: Project, make_job: MakeJob, tmp_path: Path
    ) -> None:
        shutil.copy(project_copy.video("toy 0").source, tmp_path / "later.mp4")
        video, _ = add_video(project_copy, tmp_path / "later.mp4")
        train_one(make_job(project_copy), "sequence")
        assert video.ethogram_path.is_file()


def test_a_flow_that_explains_nothing_comes_with_a_note(
    project_copy: Project, make_job: MakeJob
) -> None:
    messages = Messages()
    run = train_stage(make_job(project_copy, "seed=3", progress=messages), "flow")
    assert run.results["gain_db"] < 0.5
    assert any("train longer" in text for text in messages.said)


@pytest.mark.usefixtures("small_streams")
class TestDryRun:
    def test_it_leaves_no_run(self, project_copy: Project, make_job: MakeJob) -> None:
        before = sorted(path.name for path in project_copy.runs.glob("*/*"))
        messages = Messages()
        for stage in STAGES:
            try_stage(make_job(project_copy, progress=messages), stage)
        assert sorted(path.name for path in project_copy.runs.glob("*/*")) == before
        assert len(messages.said) == 3

    def test_it_takes_two_steps(self, project_copy: Project, make_job: MakeJob) -> None:
        totals = []

        class Totals(SilentProgress):
            def start(self, task: str, total: int | None) -> None:
                totals.append(total)

        job = make_job(project_copy, "flow.train.steps=5000", progress=Totals())
        try_stage(job, "flow")
        assert totals == [2]

    def test_a_long_training_is_tried_first_but_not_when_it_goes_on(
        self, project_copy: Project, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Break(Messages):
            def start(self, task: str, total: int | None) -> None:
                super().start(task, total)
                if len(self.begun) == 2:
                    raise KeyboardInterrupt

        monkeypatch.setattr(pipeline, "DRY_RUN_ABOVE", 2)
        job = make_job(project_copy, "flow.train.steps=3", progress=Break())
        with pytest.raises(KeyboardInterrupt):
            train_stage(job, "flow")
        said = job.progress.said  # type: ignore[attr-defined]
        assert said[0].startswith("memory: flow training needs")
        assert said[1].startswith("dry run of flow")
        again = make_job(project_copy, "flow.train.steps=3", progress=Messages())
        train_stage(again, "flow")
        assert again.progress.said[1].startswith("going on")  # type: ignore[attr-defined]

    def test_all_stages_are_tried_as_far_as_they_can_be(
        self, make_toy_project: Callable[[Path], Project], make_job: MakeJob, tmp_path: Path
    ) -> None:
        project = make_toy_project(tmp_path / "project")
        messages = Messages()
        try_all(make_job(project, progress=messages))
        assert [text.split(":")[0] for text in messages.said] == [
            "dry run of flow",
            "features is not tried",
            "sequence is not tried",
        ]
        assert not project.runs.exists()


class TestKill:
    def test_a_killed_training_goes_on_with_the_same_run(
        self,
        make_toy_project: Callable[[Path], Project],
        make_job: MakeJob,
        run_child: Callable[[str], int],
        tmp_path: Path,
    ) -> None:
        project = make_toy_project(tmp_path / "project")
        longer = ("flow.train.steps=8", "flow.train.validate_every=2")
        status = run_child(
            "from pathlib import Path\n"
            "from pixelethogram.pipeline import train_stage\n"
            "from pixelethogram.project import Project\n"
            f"project = Project(Path({str(project.folder)!r}))\n"
            f"job = conftest.build_job(project, *{longer}, progress=Killer('train', 5))\n"
            "train_stage(job, 'flow')\n"
        )
        assert status == -signal.SIGKILL
        (broken,) = find_runs(project.runs, "flow", finished=False)
        assert find_runs(project.runs, "flow") == []
        assert not (broken.folder / "weights.pt").exists()
        assert steps_of(broken.folder) == ["2", "4"]

        messages = Messages()
        run = train_stage(make_job(project, *longer, progress=messages), "flow")
        assert run.id == broken.id
        assert f"going on with flow run {run.id}" in messages.said
        assert steps_of(run.folder) == ["2", "4", "6", "8"]
        assert [each.id for each in find_runs(project.runs, "flow")] == [run.id]

    def test_a_killed_extraction_goes_on_with_the_next_video(
        self, project_copy: Project, make_job: MakeJob, run_child: Callable[[str], int]
    ) -> None:
        run = latest_run(project_copy.runs, "features")
        files = [array_file(v.folder, "features", run.id) for v in project_copy.videos()]
        for path in files:
            path.unlink()
        status = run_child(
            "from pathlib import Path\n"
            "from pixelethogram.extraction import extract_project\n"
            "from pixelethogram.project import Project\n"
            f"project = Project(Path({str(project_copy.folder)!r}))\n"
            "extract_project(conftest.build_job(project, progress=Killer('features', 6)))\n"
        )
        assert status == -signal.SIGKILL
        assert [path.exists() for path in files] == [True, False, False]
        assert extract_project(make_job(project_copy)) == 2
        assert all(path.exists() for path in files)
        assert sorted(files[1].parent.iterdir()) == [files[1]]


def steps_of(folder: Path) -> list[str]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [row["step"] for row in csv.DictReader(file)]


@pytest.mark.usefixtures("small_streams")
class TestKindsOfProjects:
    def test_one_video_is_split_by_time(self, make_job: MakeJob, tmp_path: Path) -> None:
        labels = make_toy_video(tmp_path / "long.mp4", 5, num_frames=400, size=32)
        project = create_project(tmp_path / "project", ("striped", "still"))
        video, _ = add_video(project, tmp_path / "long.mp4")
        write_csv(Ethogram(labels[:, [3, 2]], project.behaviors, 30.0), video.labels_path)
        job = make_job(project, "split.guard_frames=2")
        run = train_all(job)
        parts = project.splits
        assert all(parts[part] for part in ("train", "val", "test"))
        assert {segment.video for part in parts.values() for segment in part} == {"long"}
        taken = [f for part in parts.values() for s in part for f in range(s.start, s.stop)]
        assert len(taken) == len(set(taken)) < 400
        assert len(read_csv(video.ethogram_path, project.behaviors, 400, 30.0).values) == 400
        assert set(run.results["scores"]) == {"val", "test"}

    def test_an_exclusive_project_has_one_behavior_per_frame(
        self, make_job: MakeJob, toy_videos: Path, tmp_path: Path
    ) -> None:
        project = labelled_project(
            tmp_path / "project",
            toy_videos,
            ("left", "right", "still"),
            lambda toy: toy[:, :3],
            exclusive=True,
        )
        run = train_all(make_job(project))
        assert run.exclusive
        assert run.results["decision"]["always_one"]
        for video in project.videos():
            values = read_csv(video.ethogram_path, project.behaviors, 60, 30.0).values
            assert (values.sum(axis=1) == 1).all()
            assert (read_probabilities(video, run).sum(axis=1) < 1).all()
        evaluations = evaluate_project(make_job(project))
        assert set(evaluations) == {"sequence", "features", "spatial stream", "flow stream"}

    def test_partly_scored_videos_train_and_only_scored_frames_are_judged(
        self, make_job: MakeJob, toy_videos: Path, tmp_path: Path
    ) -> None:
        def unscore(toy: np.ndarray) -> np.ndarray:
            labels = toy[:, [3, 2]].copy()
            labels[:10] = -1
            labels[50:, 0] = -1
            return labels

        project = labelled_project(tmp_path / "project", toy_videos, ("striped", "still"), unscore)
        run = train_all(make_job(project))
        judged = project.splits["test"][0].video
        labels = project.read_labels()[judged].values
        support = run.results["scores"]["test"]["support"]
        assert support == (labels == 1).sum(axis=0).tolist()

    def test_behaviors_may_have_spaces_accents_and_commas(
        self, make_job: MakeJob, toy_videos: Path, tmp_path: Path
    ) -> None:
        names = ("gauche, vite", "à droite", "im »Stand«", "#striped: yes")
        project = labelled_project(tmp_path / "pröject", toy_videos, names, lambda toy: toy)
        run = train_all(make_job(project))
        assert run.behaviors == names
        assert tuple(run.results["decision"]["thresholds"]) == names
        video = project.videos()[0]
        assert read_csv(video.ethogram_path, names, 60, 30.0).behaviors == names

    def test_an_unlabelled_video_gets_its_ethogram_too(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        video = project_copy.video("toy 2")
        project_copy.write_splits({})
        write_csv(
            Ethogram(np.full((60, 4), -1, np.int8), project_copy.behaviors, 30.0),
            video.labels_path,
        )
        shares = ("split.train=0.5", "split.val=0.5", "split.test=0", "split.by=video")
        train_all(make_job(project_copy, *shares))
        parts = project_copy.splits
        assert "toy 2" not in {s.video for segments in parts.values() for s in segments}
        assert video.ethogram_path.is_file()

    def test_a_moved_project_works_without_training(
        self, project_copy: Project, trained_project: Project, make_job: MakeJob
    ) -> None:
        moved = Project(project_copy.folder.rename(project_copy.folder.with_name("moved è")))
        for video in moved.videos():
            shutil.rmtree(video.folder / "features")
            shutil.rmtree(video.folder / "sequence")
        assert extract_project(make_job(moved)) == 3
        predict_project(make_job(moved))
        found, expected = (evaluate_project(make_job(p)) for p in (moved, trained_project))
        assert found["sequence"].to_dict() == expected["sequence"].to_dict()


class TestEvaluate:
    def test_the_scores_are_those_that_training_left(
        self, trained_project: Project, make_job: MakeJob
    ) -> None:
        run = latest_run(trained_project.runs, "sequence")
        found = evaluate_project(make_job(trained_project))["sequence"].to_dict()
        for part, scores in run.results["scores"].items():
            assert found[part]["macro_f1"] == pytest.approx(scores["macro_f1"])
            assert found[part]["average_precision"] == scores["average_precision"]

    def test_a_video_that_was_not_predicted_names_the_command(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        shutil.rmtree(project_copy.video("toy 0").folder / "sequence")
        with pytest.raises(InputError, match="pixelethogram predict"):
            evaluate_project(make_job(project_copy))

    def test_a_labelled_video_without_a_part_is_left_out(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        before = evaluate_project(make_job(project_copy))
        recording = project_copy.video("toy 0").source
        later = recording.parent / "later.mp4"
        shutil.copy(recording, later)
        video, _ = add_video(project_copy, later)
        later.unlink()
        labels = project_copy.read_labels()["toy 0"]
        write_csv(labels, video.labels_path)
        after = evaluate_project(make_job(project_copy))
        assert after["sequence"].to_dict() == before["sequence"].to_dict()


class TestExtractAndPredict:
    def test_only_missing_features_are_extracted(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        job = make_job(project_copy)
        assert extract_project(job) == 0
        shutil.rmtree(project_copy.video("toy 1").folder / "features")
        assert extract_project(job) == 1
        assert extract_project(job, overwrite=True) == 3

    def test_what_was_predicted_from_features_is_deleted_with_them(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        run = latest_run(project_copy.runs, "sequence")
        files = [array_file(v.folder, "sequence", run.id) for v in project_copy.videos()]
        foreign = files[0].with_name("another run.h5")
        foreign.write_bytes(b"")
        assert extract_project(make_job(project_copy)) == 0
        assert all(path.is_file() for path in files)
        extract_project(make_job(project_copy), overwrite=True)
        assert not any(path.exists() for path in files)
        assert foreign.is_file()

    def test_predictions_are_kept_unless_they_are_to_be_overwritten(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        run = latest_run(project_copy.runs, "sequence")
        video = project_copy.video("toy 0")
        expected = read_probabilities(video, run)
        kept = np.zeros_like(expected)
        path = array_file(video.folder, "sequence", run.id)
        with ArrayWriter(path, {"run": run.id}) as writer:
            writer.append(probabilities=kept)
            writer.finish()
        predict_project(make_job(project_copy))
        assert np.array_equal(read_probabilities(video, run), kept)
        predict_project(make_job(project_copy), overwrite=True)
        assert np.array_equal(read_probabilities(video, run), expected)

    def test_prediction_without_features_names_the_command(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        video = project_copy.video("toy 1")
        shutil.rmtree(video.folder / "features")
        shutil.rmtree(video.folder / "sequence")
        with pytest.raises(InputError, match="pixelethogram extract"):
            predict_project(make_job(project_copy))

    def test_an_untrained_project_names_the_command(
        self, make_toy_project: Callable[[Path], Project], make_job: MakeJob, tmp_path: Path
    ) -> None:
        job = make_job(make_toy_project(tmp_path / "project"))
        with pytest.raises(InputError, match="train features"):
            extract_project(job)
        with pytest.raises(InputError, match="train sequence"):
            predict_project(job)
        with pytest.raises(InputError, match="train flow"):
            train_stage(job, "features")

    def test_a_full_disk_loses_nothing(
        self, project_copy: Project, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        video = project_copy.video("toy 0")
        shutil.rmtree(video.folder / "sequence")
        old_ethogram = video.ethogram_path.read_bytes()

        def fail(_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="No space left"):
                predict_project(make_job(project_copy))
        assert list((video.folder / "sequence").iterdir()) == []
        assert video.ethogram_path.read_bytes() == old_ethogram
        predict_project(make_job(project_copy))
        assert video.ethogram_path.read_bytes() == old_ethogram


class TestSplit:
    def test_parts_are_kept_once_they_are_solved(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        before = project_copy.splits
        split_project(make_job(project_copy, "split.train=0.2", "split.val=0.6"))
        assert project_copy.splits == before

    def test_an_impossible_split_names_the_behavior(
        self, make_toy_project: Callable[[Path], Project], make_job: MakeJob, tmp_path: Path
    ) -> None:
        project = make_toy_project(tmp_path / "project")

        def only_in_toy_0(values: np.ndarray) -> np.ndarray:
            values[:, 3] = 0
            return values

        first = project.video("toy 0").labels_path.read_bytes()
        change_labels(project, only_in_toy_0)
        project.video("toy 0").labels_path.write_bytes(first)
        with pytest.raises(InputError, match="striped"):
            split_project(make_job(project))
        assert project.splits == {}

    def test_a_new_video_in_a_project_split_by_time_is_an_error_with_a_remedy(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        record = {**project_copy.record}
        record["splits"] = {
            "train": {"toy 0": [[0, 30]], "toy 1": [[0, 60]]},
            "val": {"toy 0": [[31, 60]]},
        }
        write_yaml(project_copy.folder / "project.yaml", record)
        with pytest.raises(InputError, match="toy 2 has labels but no part"):
            split_project(make_job(Project(project_copy.folder)))

    def give_all(self, project: Project, part: str, stop: int = 60) -> Project:
        record = {**project.record, "splits": {part: {f"toy {n}": [[0, stop]] for n in range(3)}}}
        write_yaml(project.folder / "project.yaml", record)
        return Project(project.folder)

    def test_val_is_taken_from_train_where_only_train_was_named(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        project = self.give_all(project_copy, "train")
        messages = Messages()
        split_project(make_job(project, progress=messages))
        splits = project.splits
        assert splits["test"] == []
        sizes = {part: sum(each.stop - each.start for each in splits[part]) for part in splits}
        assert min(sizes["train"], sizes["val"]) > 0
        assert 100 < sizes["train"] + sizes["val"] <= 180
        assert [line for line in messages.said if "none of val" in line]
        split_project(make_job(project))
        assert project.splits == splits

    def test_training_goes_on_with_a_val_that_was_taken_from_train(
        self, project_copy: Project, make_job: MakeJob
    ) -> None:
        project = self.give_all(project_copy, "train")
        run = train_all(make_job(project))
        assert run.results["scores"]["val"]

    @pytest.mark.parametrize(("part", "stop"), [("val", 60), ("test", 60), ("train", 50)])
    def test_parts_that_leave_train_or_val_empty_are_refused_before_anything_is_trained(
        self, project_copy: Project, make_job: MakeJob, part: str, stop: int
    ) -> None:
        project = self.give_all(project_copy, part, stop)
        before = run_ids(project)
        with pytest.raises(InputError, match="no labelled video is in the part"):
            train_all(make_job(project))
        assert run_ids(project) == before
