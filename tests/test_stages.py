"""What each stage is trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram import stages
from pixelethogram.cached_features import predict_cached, predict_unlearned, read_features
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.decision import Decision, choose_decision
from pixelethogram.features.train import FeaturesData
from pixelethogram.flow.train import FlowData
from pixelethogram.frames.statistics import pool_statistics
from pixelethogram.inference import load_models
from pixelethogram.lineage import start_stage
from pixelethogram.pipeline import (
    predict_project,
    train_stage,
)
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, create_project
from pixelethogram.project_evaluation import evaluate_project, read_probabilities
from pixelethogram.runs import Run, find_runs, latest_run, read_yaml
from pixelethogram.sequence.ensemble import folds_from_dict
from pixelethogram.sequence.train import SequenceData, load_ensemble, train_ensemble
from pixelethogram.splits import Segment
from pixelethogram.stages import (
    Job,
    prepare_proxies,
    reload_stage,
    run_stage,
)
from pixelethogram.store import ArrayWriter, array_file

MakeJob = Callable[..., Job]


class Stop(Exception):
    """Ends a stage when its data is assembled."""


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The data that a stage was called with."""
    found: list[Any] = []

    def keep(run: Any, data: Any, *_: Any, **__: Any) -> None:
        found.append(data)
        raise Stop

    for name in ("train_flow", "train_features", "train_sequence"):
        monkeypatch.setattr(stages, name, keep)
    return found


def assemble(job: Job, stage: Any, assembled: list[Any]) -> Any:
    with pytest.raises(Stop):
        run_stage(job, start_stage(job.project, job.config, stage, job.project.runs))
    return assembled.pop()


@pytest.fixture
def divided(project_copy: Project) -> Project:
    """Toy 0 trains, toy 1 validates on its second half, toy 2 belongs to nothing."""
    project_copy.write_splits(
        {"train": [Segment("toy 0", 0, 60)], "val": [Segment("toy 1", 30, 60)], "test": []}
    )
    return project_copy


class TestFlow:
    def test_videos_without_a_part_are_learned_from_too(
        self, divided: Project, make_job: MakeJob, assembled: list[Any]
    ) -> None:
        data: FlowData = assemble(make_job(divided), "flow", assembled)
        assert len(data.train) == 60 + 60
        assert len(data.val) == 2

    def test_without_labels_the_last_fifth_of_every_video_validates(
        self, divided: Project, make_job: MakeJob, assembled: list[Any]
    ) -> None:
        divided.write_splits({})
        job = make_job(divided, "flow.validation_clips=1000")
        data: FlowData = assemble(job, "flow", assembled)
        assert (len(data.train), len(data.val)) == (3 * 48, 3 * 12)

    def test_colors_are_those_of_the_training_videos(
        self, divided: Project, make_job: MakeJob, assembled: list[Any]
    ) -> None:
        job = make_job(divided)
        data: FlowData = assemble(job, "flow", assembled)
        proxies = prepare_proxies(job, divided.videos())
        expected = pool_statistics(stages.ProxyFile(proxies[i]).statistics for i in (0, 2))
        assert data.statistics == expected

    def test_a_project_without_videos_says_what_to_do(
        self, tmp_path: Path, make_job: MakeJob
    ) -> None:
        project = create_project(tmp_path / "empty", ("a",))
        job = make_job(project)
        with pytest.raises(InputError, match="pixelethogram add"):
            run_stage(job, start_stage(project, job.config, "flow", project.runs))


class TestFeatures:
    def test_each_part_gives_the_clips_of_its_scored_frames(
        self, divided: Project, make_job: MakeJob, assembled: list[Any]
    ) -> None:
        job = make_job(divided, "features.validation_frames=1000")
        data: FeaturesData = assemble(job, "features", assembled)
        labels = divided.read_labels()
        assert np.array_equal(data.train_labels, labels["toy 0"].values)
        assert [len(data.train), len(data.val)] == [60, 30]
        shown = np.stack([data.val[number]["labels"].numpy() for number in range(30)])
        assert np.array_equal(shown, labels["toy 1"].values[30:])

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ("frames.height=64", "frames.height = 32, not 64"),
            ("frames.spacing=2", "frames.spacing = 1, not 2"),
            ("frames.fit=pad", "frames.fit = stretch, not pad"),
            ("flow.model.width=0.2", "flow.model.width = 0.1, not 0.2"),
        ],
    )
    def test_other_frames_than_the_flow_was_trained_on_are_refused(
        self, change: str, expected: str, divided: Project, make_job: MakeJob
    ) -> None:
        job = make_job(divided, change)
        run = start_stage(divided, job.config, "features", divided.runs)
        with pytest.raises(UsageError, match=f"the flow network was trained with {expected}\n"):
            run_stage(job, run)

    def test_without_labels_there_is_an_error_with_the_command(
        self, divided: Project, make_job: MakeJob
    ) -> None:
        for video in divided.videos():
            video.labels_path.unlink()
        job = make_job(divided)
        run = start_stage(divided, job.config, "features", divided.runs)
        with pytest.raises(InputError, match="pixelethogram import"):
            run_stage(job, run)


class TestSequence:
    def test_each_part_gives_its_stretches_of_features_and_labels(
        self, divided: Project, make_job: MakeJob, assembled: list[Any]
    ) -> None:
        data: SequenceData = assemble(make_job(divided), "sequence", assembled)
        features_run = latest_run(divided.runs, "features")
        ((features, labels),) = data.val
        video = divided.video("toy 1")
        assert np.array_equal(features, read_features(video, features_run, "features")[30:60])
        assert np.array_equal(labels, divided.read_labels()["toy 1"].values[30:60])
        assert [len(features) for features, _ in data.train] == [60]

    def test_missing_features_name_the_command_that_makes_them(
        self, divided: Project, make_job: MakeJob
    ) -> None:
        run = latest_run(divided.runs, "features")
        (divided.video("toy 0").folder / "features" / f"{run.id}.h5").unlink()
        job = make_job(divided)
        with pytest.raises(InputError, match='pixelethogram extract ".*copy of the project"'):
            run_stage(job, start_stage(divided, job.config, "sequence", divided.runs))

    def test_behaviors_without_a_usable_threshold_are_named(
        self, project_copy: Project, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Notes(SilentProgress):
            lines: list[str] = []

            def message(self, text: str) -> None:
                self.lines.append(text)

        first, *_ = project_copy.behaviors
        monkeypatch.setattr(Decision, "unusable_behaviors", (first,))
        progress = Notes()
        job = make_job(project_copy, progress=progress)
        run_stage(job, start_stage(project_copy, job.config, "sequence", project_copy.runs))
        assert any(line.startswith(f"no usable threshold: {first};") for line in progress.lines)

    def test_features_of_an_older_run_cannot_be_extracted_any_more(self, divided: Project) -> None:
        old = latest_run(divided.runs, "features")
        start_and_finish(divided, "features")
        (divided.video("toy 0").folder / "features" / f"{old.id}.h5").unlink()
        with pytest.raises(InputError, match="pixelethogram train sequence"):
            read_features(divided.video("toy 0"), old, "features")


class TestEnsemble:
    """Features that say nothing about the labels, so that whoever is right has seen the frame."""

    FOLDS = ("sequence.ensemble_folds=2", "sequence.model.name=linear", "sequence.weight_decay=0")
    LONG = ("sequence.train.steps=150", "sequence.train.validate_every=150")
    FAST = ("sequence.train.learning_rate=0.03", "sequence.train.schedule=cosine")

    @pytest.fixture
    def project(self, project_copy: Project) -> Project:
        run = latest_run(project_copy.runs, "features")
        generator = np.random.default_rng(0)
        weights = run.results["weights_sha256"]
        for video in project_copy.videos():
            path = array_file(video.folder, "features", run.id)
            origin = {"video_sha256": video.sha256, "weights_sha256": weights}
            with ArrayWriter(path, origin) as writer:
                noise = generator.normal(size=(60, 200))
                writer.append(features=noise.astype(np.float16))
                for name in ("logits", "spatial_logits", "flow_logits"):
                    writer.append(**{name: generator.normal(size=(60, 4)).astype(np.float32)})
                writer.finish()
        return project_copy

    def train(self, project: Project, make_job: MakeJob, *more: str) -> Run:
        job = make_job(project, *self.FOLDS, *self.LONG, *self.FAST, *more)
        return run_stage(job, start_stage(project, job.config, "sequence", project.runs))

    def test_frames_are_judged_by_members_that_have_not_learned_from_them(
        self, project: Project, make_job: MakeJob
    ) -> None:
        run = self.train(project, make_job)
        model, features_run = load_ensemble(run), run.parent("features")
        left_out = model.pair(folds_from_dict(run.results["folds"]))
        known = {segment.video for part in ("train", "val") for segment in project.splits[part]}
        for video in project.videos():
            labels = project.read_labels()[video.name].values
            seen = predict_cached(video, features_run, model, exclusive=False)
            unseen = predict_unlearned(video, features_run, model, left_out, exclusive=False)
            learned = area_under_curve(labels, seen)
            assert 0.3 < area_under_curve(labels, unseen) < 0.7
            if video.name in known:
                assert learned > 0.9
            else:
                assert np.array_equal(seen, unseen)

    def test_features_that_know_the_train_labels_choose_no_threshold_and_no_step(
        self, project: Project, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On train they shout the labels, on val they whisper them."""
        splits = project.splits
        loud = {each.video for each in splits["train"]}
        labels = {name: each.values for name, each in project.read_labels().items()}
        features_run = latest_run(project.runs, "features")
        for video in project.videos():
            strength, hiss = (3, 0.1) if video.name in loud else (0.3, 0.5)
            signal = strength * labels[video.name]
            path = array_file(video.folder, "features", features_run.id)
            noise = np.random.default_rng(1).normal(0, hiss, signal.shape)
            weights = features_run.results["weights_sha256"]
            origin = {"video_sha256": video.sha256, "weights_sha256": weights}
            with ArrayWriter(path, origin) as writer:
                writer.append(features=(signal + noise).astype(np.float16))
                writer.finish()
        validated: list[int] = []

        def keep(run: Run, data: list[SequenceData], *rest: Any, **options: Any) -> Any:
            validated.extend(len(features) for each in data for features, _ in each.val)
            return train_ensemble(run, data, *rest, **options)

        monkeypatch.setattr(stages, "train_ensemble", keep)
        run = self.train(project, make_job)
        assert validated == [60, 60]
        model = load_ensemble(run)
        left_out = model.pair(folds_from_dict(run.results["folds"]))
        unseen = {
            video.name: predict_unlearned(video, features_run, model, left_out, exclusive=False)
            for video in project.videos()
        }

        def choose(*parts: str) -> list[float]:
            names = [each.video for part in parts for each in splits[part]]
            found = choose_decision(
                np.concatenate([unseen[name] for name in names]),
                np.concatenate([labels[name] for name in names]),
                [labels[name] for name in loud],
                project.behaviors,
                exclusive=False,
                threshold_floor=run.config.ethogram.threshold_floor,
                bout_percentile=run.config.ethogram.bout_percentile,
            )
            return found.to_dict()["thresholds"]

        assert run.results["decision"]["thresholds"] == choose("val") != choose("train", "val")

    def test_the_best_step_is_chosen_on_the_val_frames_of_a_fold_where_it_has_some(
        self, project: Project, make_job: MakeJob
    ) -> None:
        name = project.videos()[0].name
        project.write_splits(
            {"train": [Segment(name, 0, 30)], "val": [Segment(name, 30, 60)], "test": []}
        )
        labels = {name: project.read_labels()[name].values}
        job = make_job(project)
        both, train = [Segment(name, 20, 50)], [Segment(name, 0, 20)]
        assert stages._choose_validation(job, labels, both) == [Segment(name, 30, 50)]
        assert stages._choose_validation(job, labels, train) == train

    def test_val_frames_between_folds_are_judged_by_nobody(
        self, project: Project, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = project.videos()[0].name
        project.write_splits(
            {"train": [Segment(name, 0, 20)], "val": [Segment(name, 20, 60)], "test": []}
        )
        folds = [[Segment(name, 0, 35)], [Segment(name, 45, 60)]]
        monkeypatch.setattr(stages, "divide_folds", lambda *_, **__: folds)
        run = self.train(project, make_job)
        labels = project.read_labels()[name].values
        judged = np.concatenate([labels[20:35], labels[45:60]])
        support = (judged == 1).sum(axis=0).tolist()
        assert run.results["scores"]["val"]["support"] == support
        found = evaluate_project(make_job(project))["sequence"].to_dict()
        assert found["val"]["support"] == support

    def test_val_frames_in_no_fold_at_all_are_refused_before_training(
        self, project: Project, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = project.videos()[0].name
        project.write_splits(
            {"train": [Segment(name, 0, 30)], "val": [Segment(name, 30, 40)], "test": []}
        )
        folds = [[Segment(name, 0, 28)], [Segment(name, 42, 60)]]
        monkeypatch.setattr(stages, "divide_folds", lambda *_, **__: folds)
        with pytest.raises(InputError, match="no scored frame of val is inside of a fold"):
            self.train(project, make_job)

    def test_the_test_part_is_in_no_fold_and_the_folds_share_no_frame(
        self, project: Project, make_job: MakeJob
    ) -> None:
        folds = folds_from_dict(self.train(project, make_job).results["folds"])
        assert {each.video for fold in folds for each in fold} == {
            each.video for part in ("train", "val") for each in project.splits[part]
        }
        assert len(folds) == 2
        assert not {*folds[0]} & {*folds[1]}

    def test_evaluation_gives_what_training_left_and_prediction_is_the_mean_of_the_members(
        self, project: Project, make_job: MakeJob
    ) -> None:
        run = self.train(project, make_job)
        predict_project(make_job(project))
        found = evaluate_project(make_job(project))["sequence"].to_dict()
        for part, scores in run.results["scores"].items():
            assert found[part]["f1"] == pytest.approx(scores["f1"])
        assert 0.3 < found["val"]["macro_auroc"] < 0.7
        video = project.videos()[0]
        mean = predict_cached(video, run.parent("features"), load_ensemble(run), exclusive=False)
        assert np.allclose(read_probabilities(video, run), mean)
        assert load_models(project.folder, "cpu").run == run

    def test_a_broken_off_ensemble_keeps_its_folds_and_its_finished_members(
        self, project: Project, make_job: MakeJob
    ) -> None:
        class Break(SilentProgress):
            begun: list[str] = []

            def start(self, task: str, total: int | None) -> None:
                self.begun.append(task)
                if len(self.begun) == 2:
                    raise KeyboardInterrupt

        progress = Break()
        job = make_job(project, *self.FOLDS, progress=progress)
        with pytest.raises(KeyboardInterrupt):
            train_stage(job, "sequence")
        (broken,) = find_runs(project.runs, "sequence", finished=False)
        folds = read_yaml(broken.checkpoints / "folds.yaml")
        run = train_stage(job, "sequence")
        assert run == broken
        first, second = "train sequence, member 1", "train sequence, member 2"
        assert progress.begun == [first, second, second]
        assert run.results["folds"] == folds
        assert [path for path in run.checkpoints.rglob("*") if path.is_file()] == []


def area_under_curve(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over behaviors of how often a present frame is above an absent one."""
    columns = [column for column in range(labels.shape[1]) if 0 < labels[:, column].mean() < 1]
    areas = []
    for column in columns:
        values, present = probabilities[:, column], labels[:, column] == 1
        areas.append((values[present][:, None] > values[~present]).mean())
    return float(np.mean(areas))


def start_and_finish(project: Project, stage: Any) -> None:
    from pixelethogram.runs import finish_run

    finish_run(start_stage(project, load_config("fast"), stage, project.runs), {}, {})


class TestProxies:
    def test_they_are_made_once_per_size(self, project_copy: Project, make_job: MakeJob) -> None:
        class Names(SilentProgress):
            seen: list[str] = []

            def start(self, task: str, total: int | None) -> None:
                self.seen.append(task)

        progress = Names()
        videos = project_copy.videos()
        prepare_proxies(make_job(project_copy, progress=progress), videos)
        assert progress.seen == []
        larger = make_job(project_copy, "frames.height=64", progress=progress)
        paths = prepare_proxies(larger, videos)
        assert progress.seen == ["proxy of toy 0", "proxy of toy 1", "proxy of toy 2"]
        assert all(path.is_file() for path in paths)


def test_every_stage_can_be_read_back(project_copy: Project, make_job: MakeJob) -> None:
    for stage in ("flow", "features", "sequence"):
        reload_stage(make_job(project_copy), latest_run(project_copy.runs, stage))  # type: ignore
