"""What each stage is trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram import stages
from pixelethogram.config import load_config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.train import FeaturesData
from pixelethogram.flow.train import FlowData
from pixelethogram.frames.statistics import pool_statistics
from pixelethogram.lineage import start_stage
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, create_project
from pixelethogram.runs import latest_run
from pixelethogram.sequence.train import SequenceData
from pixelethogram.splits import Segment
from pixelethogram.stages import Job, prepare_proxies, read_features, reload_stage, run_stage

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

    def test_other_frames_than_the_flow_was_trained_on_are_refused(
        self, divided: Project, make_job: MakeJob
    ) -> None:
        job = make_job(divided, "frames.height=64")
        run = start_stage(divided, job.config, "features", divided.runs)
        with pytest.raises(UsageError, match="32 x 32.*now they are 64 x 32"):
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

    def test_features_of_an_older_run_cannot_be_extracted_any_more(self, divided: Project) -> None:
        old = latest_run(divided.runs, "features")
        start_and_finish(divided, "features")
        (divided.video("toy 0").folder / "features" / f"{old.id}.h5").unlink()
        with pytest.raises(InputError, match="pixelethogram train sequence"):
            read_features(divided.video("toy 0"), old, "features")


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
