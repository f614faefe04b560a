"""Batch inference: recordings in, ethograms out; what fails, is skipped, is left by a kill."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import read_csv
from pixelethogram.inference import (
    PipelineModels,
    find_sequence_run,
    load_models,
    predict_videos,
)
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.project_evaluation import read_probabilities
from pixelethogram.runs import latest_run, read_yaml, write_yaml
from pixelethogram.toy import TOY_BEHAVIORS, make_toy_video
from pixelethogram.video_results import VideoResult

pytestmark = pytest.mark.usefixtures("small_streams")
OUTPUTS = ("bouts.csv", "ethogram.csv", "ethogram.png", "json", "probabilities.csv")


def read_table(path: Path) -> np.ndarray:
    """Numbers of a CSV file without its header."""
    return np.loadtxt(path, delimiter=",", skiprows=1, encoding="utf-8")


@pytest.fixture
def models(trained_project: Project) -> PipelineModels:
    return load_models(trained_project.folder, "cpu")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy video of 12 frames."""
    path = tmp_path_factory.mktemp("recording") / "cage 1 é.mp4"
    make_toy_video(path, 50, num_frames=12, size=32)
    return path


@pytest.fixture
def folder(recording: Path, tmp_path: Path) -> Path:
    """A folder with two recordings, one of them broken, and one in a subfolder."""
    folder = tmp_path / "new videos"
    (folder / "day 2").mkdir(parents=True)
    shutil.copy(recording, folder / "b.mp4")
    shutil.copy(recording, folder / "day 2" / "b.mp4")
    (folder / "a.mp4").write_bytes(recording.read_bytes()[:500])
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def statuses(results: list[VideoResult]) -> list[str]:
    return [result.status for result in results]


class TestOutputs:
    def test_every_recording_gets_tables_and_a_picture_beside_it(
        self, models: PipelineModels, recording: Path, tmp_path: Path
    ) -> None:
        source = Path(shutil.copy(recording, tmp_path))
        (result,) = predict_videos(models, [source], None)
        assert names_in(tmp_path / "ethograms") == [f"cage 1 é.mp4.{end}" for end in OUTPUTS]
        assert result.ethogram_csv == tmp_path / "ethograms" / "cage 1 é.mp4.ethogram.csv"
        ethogram = read_csv(result.ethogram_csv, TOY_BEHAVIORS, 12, 30.0)
        path = tmp_path / "ethograms" / "cage 1 é.mp4.probabilities.csv"
        assert read_table(path).shape == (12, 5)
        header = path.read_text("utf-8").splitlines()[0]
        assert header.split(",") == ["frame", *TOY_BEHAVIORS]
        assert result.num_frames == 12
        shares = dict(zip(TOY_BEHAVIORS, ethogram.values.mean(axis=0).tolist(), strict=True))
        assert result.share == pytest.approx(shares)

    def test_a_video_of_the_project_gets_the_numbers_it_has_there(
        self, models: PipelineModels, trained_project: Project, tmp_path: Path
    ) -> None:
        video = trained_project.video("toy 1")
        (result,) = predict_videos(models, [video.source], tmp_path)
        cached = read_probabilities(video, models.run)
        found = read_table(tmp_path / "toy 1.mp4.probabilities.csv")[:, 1:]
        assert found == pytest.approx(cached, abs=1e-3)
        assert result.ethogram_csv is not None
        assert result.ethogram_csv.read_bytes() == video.ethogram_path.read_bytes()

    def test_folders_keep_their_structure_in_the_output_folder(
        self, models: PipelineModels, folder: Path, tmp_path: Path
    ) -> None:
        predict_videos(models, [folder], tmp_path / "out")
        assert (tmp_path / "out" / "b.mp4.ethogram.csv").is_file()
        assert (tmp_path / "out" / "day 2" / "b.mp4.ethogram.csv").is_file()
        assert not (folder / "ethograms").exists()

    def test_a_video_of_one_frame_works(self, models: PipelineModels, tmp_path: Path) -> None:
        make_toy_video(tmp_path / "one.mp4", 0, num_frames=1, size=32)
        (result,) = predict_videos(models, [tmp_path / "one.mp4"], tmp_path)
        assert (result.status, result.num_frames) == ("done", 1)

    def test_recordings_that_would_overwrite_each_other_are_refused(
        self, models: PipelineModels, folder: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match="two recordings are called b.mp4"):
            predict_videos(models, [folder / "b.mp4", folder / "day 2" / "b.mp4"], tmp_path / "out")


class TestBrokenRecording:
    def test_it_is_reported_and_the_others_go_on(
        self, models: PipelineModels, folder: Path
    ) -> None:
        results = predict_videos(models, [folder], None)
        assert statuses(results) == ["failed", "done", "done"]
        assert str(folder / "a.mp4") in results[0].error
        assert results[0].ethogram_csv is None
        assert names_in(folder / "ethograms") == [f"b.mp4.{end}" for end in OUTPUTS]


class TestAgain:
    @pytest.fixture
    def done(self, models: PipelineModels, recording: Path, tmp_path: Path) -> Path:
        """A recording that was predicted."""
        source = Path(shutil.copy(recording, tmp_path / "cage.mp4"))
        predict_videos(models, [source], None)
        return source

    def test_what_is_done_is_skipped(self, models: PipelineModels, done: Path) -> None:
        csv_path = done.parent / "ethograms" / "cage.mp4.ethogram.csv"
        written = csv_path.stat().st_mtime_ns
        (result,) = predict_videos(models, [done], None)
        assert (result.status, result.num_frames) == ("skipped", 12)
        assert result.share.keys() == set(TOY_BEHAVIORS)
        assert csv_path.stat().st_mtime_ns == written

    def test_overwrite_predicts_it_again(self, models: PipelineModels, done: Path) -> None:
        csv_path = done.parent / "ethograms" / "cage.mp4.ethogram.csv"
        before = csv_path.read_bytes()
        csv_path.write_bytes(b"edited")
        assert statuses(predict_videos(models, [done], None, overwrite=True)) == ["done"]
        assert csv_path.read_bytes() == before

    def test_a_changed_recording_is_predicted_again(
        self, models: PipelineModels, done: Path
    ) -> None:
        make_toy_video(done, 51, num_frames=14, size=32)
        (result,) = predict_videos(models, [done], None)
        assert (result.status, result.num_frames) == ("done", 14)

    def test_a_deleted_table_is_made_again(self, models: PipelineModels, done: Path) -> None:
        (done.parent / "ethograms" / "cage.mp4.ethogram.csv").unlink()
        assert statuses(predict_videos(models, [done], None)) == ["done"]

    def test_results_with_other_thresholds_are_not_mixed_or_replaced_unasked(
        self, done: Path, trained_project: Project
    ) -> None:
        name = TOY_BEHAVIORS[0]
        other = load_models(trained_project.folder, "cpu", [f"{name}=0.999999"])
        (result,) = predict_videos(other, [done], None)
        assert (result.status, "other thresholds" in result.error) == ("failed", True)
        (result,) = predict_videos(other, [done], None, overwrite=True)
        assert (result.status, result.share[name]) == ("done", 0)

    def test_results_in_another_number_format_are_not_taken_for_exact_ones(
        self, models: PipelineModels, done: Path
    ) -> None:
        features = models.config.features.model_copy(update={"precision": "bf16"})
        config = models.config.model_copy(update={"features": features})
        models = dataclasses.replace(models, config=config)
        (rough,) = predict_videos(models, [done], None, overwrite=True)
        (result,) = predict_videos(models, [done], None, exact=True)
        assert (rough.status, result.status) == ("done", "failed")
        assert "without --exact, in bf16" in result.error
        (result,) = predict_videos(models, [done], None, exact=True, overwrite=True)
        assert result.status == "done"
        assert statuses(predict_videos(models, [done], None, exact=True)) == ["skipped"]
        assert statuses(predict_videos(models, [done], None)) == ["failed"]

    def test_results_of_another_run_are_not_mixed_or_replaced_unasked(
        self, models: PipelineModels, done: Path, project_copy: Project
    ) -> None:
        run = latest_run(project_copy.runs, "sequence")
        run.folder.rename(run.folder.with_name("2099-01-01_000000_beef"))
        other = load_models(project_copy.folder, "cpu")
        (result,) = predict_videos(other, [done], None)
        assert result.status == "failed"
        assert models.run.id in result.error
        assert "--overwrite" in result.error
        assert statuses(predict_videos(other, [done], None, overwrite=True)) == ["done"]


class TestInterruption:
    def test_a_kill_leaves_nothing_that_looks_finished_and_the_next_call_cleans_up(
        self,
        trained_project: Project,
        models: PipelineModels,
        recording: Path,
        run_child: Callable[[str], int],
        tmp_path: Path,
    ) -> None:
        for name in ("a.mp4", "b.mp4"):
            shutil.copy(recording, tmp_path / name)
        status = run_child(
            "from pathlib import Path\n"
            "from pixelethogram.inference import load_models, predict_videos\n"
            f"models = load_models(Path({str(trained_project.folder)!r}), 'cpu')\n"
            f"source = Path({str(tmp_path)!r})\n"
            "predict_videos(models, [source], None, progress=Killer('features', 2))\n"
        )
        assert status == -signal.SIGKILL
        left = names_in(tmp_path / "ethograms")
        assert [name for name in left if not name.startswith(".")] == [
            f"a.mp4.{end}" for end in OUTPUTS
        ]
        assert statuses(predict_videos(models, [tmp_path], None)) == ["skipped", "done"]
        both = [f"{name}.{end}" for name in ("a.mp4", "b.mp4") for end in OUTPUTS]
        assert names_in(tmp_path / "ethograms") == both

    def test_ctrl_c_leaves_no_files(
        self, models: PipelineModels, recording: Path, tmp_path: Path
    ) -> None:
        class Interrupt(SilentProgress):
            def advance(self, units: int = 1, note: str = "") -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            predict_videos(models, [recording], tmp_path / "out", progress=Interrupt())
        assert names_in(tmp_path / "out") == []

    def test_a_full_disk_stops_everything_and_leaves_no_stamp(
        self,
        models: PipelineModels,
        recording: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="No space left"):
                predict_videos(models, [recording], tmp_path / "out")
        assert names_in(tmp_path / "out") == []
        assert statuses(predict_videos(models, [recording], tmp_path / "out")) == ["done"]


class TestRuns:
    def test_a_project_means_its_newest_sequence_run(self, trained_project: Project) -> None:
        expected = latest_run(trained_project.runs, "sequence")
        assert find_sequence_run(trained_project.folder) == expected
        assert find_sequence_run(expected.folder) == expected

    def test_a_run_of_another_stage_is_refused(self, trained_project: Project) -> None:
        with pytest.raises(InputError, match="this is a flow run"):
            find_sequence_run(latest_run(trained_project.runs, "flow").folder)

    def test_an_unfinished_run_is_refused(self, project_copy: Project) -> None:
        run = latest_run(project_copy.runs, "sequence")
        (run.folder / "results.yaml").unlink()
        with pytest.raises(InputError, match="unfinished sequence run"):
            find_sequence_run(run.folder)

    def test_an_untrained_project_names_the_command(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="train all"):
            find_sequence_run(tmp_path)

    def test_the_runs_folder_alone_is_enough(
        self, trained_project: Project, models: PipelineModels, recording: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(trained_project.runs, tmp_path / "elsewhere" / "runs")
        copy = load_models(tmp_path / "elsewhere", "cpu")
        results = [
            predict_videos(each, [recording], tmp_path / name)[0]
            for each, name in ((models, "a"), (copy, "b"))
        ]
        assert results[0].share == results[1].share

    def test_a_missing_parent_says_what_was_forgotten(self, project_copy: Project) -> None:
        shutil.rmtree(project_copy.runs / "features")
        with pytest.raises(InputError, match="copy the whole runs/ folder"):
            load_models(project_copy.folder, "cpu")

    def test_the_decision_of_the_run_is_applied(
        self, project_copy: Project, recording: Path, tmp_path: Path
    ) -> None:
        path = latest_run(project_copy.runs, "sequence").folder / "results.yaml"
        results = read_yaml(path)
        thresholds = {"left": 0.0, "right": 0.0, "still": 1.0, "striped": 1.0}
        results["decision"]["thresholds"] = thresholds
        results["decision"]["min_bout_frames"] = dict.fromkeys(thresholds, 0)
        write_yaml(path, results)
        (result,) = predict_videos(load_models(project_copy.folder, "cpu"), [recording], tmp_path)
        assert np.array(list(result.share.values())).tolist() == [1.0, 1.0, 0.0, 0.0]


class TestRaters:
    def test_one_is_chosen_by_name_and_it_is_said_who_answers(
        self, models: PipelineModels, recording: Path, tmp_path: Path
    ) -> None:
        lines: list[str] = []

        class Listen(SilentProgress):
            def message(self, text: str) -> None:
                lines.append(text)

        heads = dataclasses.replace(models, raters=("anna", "ben"), rater="ben")
        predict_videos(heads, [recording], tmp_path, progress=Listen())
        assert lines[0] == "videos are scored as ben would; --rater takes another: anna"
        (result,) = predict_videos(dataclasses.replace(heads, rater="anna"), [recording], tmp_path)
        assert (result.status, "as rater ben" in result.error) == ("failed", True)

    def test_a_model_without_raters_knows_nobody(self, trained_project: Project) -> None:
        with pytest.raises(UsageError, match="anna"):
            load_models(trained_project.folder, "cpu", (), "anna")
