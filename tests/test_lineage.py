"""Which run counts: the newest finished one, if it was made of what is there now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.download import hash_file
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.lineage import (
    find_broken_off,
    find_up_to_date,
    fingerprint,
    inherit_settings,
    parent_of,
    select_settings,
    start_stage,
)
from pixelethogram.project import Project
from pixelethogram.runs import STAGES, Run, Stage, finish_run, write_yaml
from pixelethogram.splits import Segment


@pytest.fixture
def project(make_toy_project: Callable[[Path], Project], tmp_path: Path) -> Project:
    return make_toy_project(tmp_path / "project")


def settings(*overrides: str) -> Config:
    return load_config("fast", overrides=overrides)


def start(project: Project, stage: Stage, *overrides: str) -> Run:
    return start_stage(project, settings(*overrides), stage, project.runs)


def finish(project: Project, stage: Stage, *overrides: str) -> Run:
    run = start(project, stage, *overrides)
    finish_run(run, {}, {})
    return run


class TestFingerprint:
    @pytest.mark.parametrize(
        ("change", "touched"),
        [
            ("seed=1", {"flow", "features", "sequence"}),
            ("frames.height=64", {"flow", "features", "sequence"}),
            ("flow.train.steps=7", {"flow", "features", "sequence"}),
            ("features.train.learning_rate=0.5", {"features", "sequence"}),
            ("sequence.window_frames=7", {"sequence"}),
            ("ethogram.bout_percentile=7", {"sequence"}),
            ("split.test=0", set()),
        ],
    )
    def test_a_setting_touches_its_stage_and_those_behind(
        self, change: str, touched: set[str], project: Project
    ) -> None:
        finish(project, "flow")
        finish(project, "features")
        changed = {
            stage
            for stage in STAGES
            if fingerprint(project, settings(), stage)
            != fingerprint(project, settings(change), stage)
        }
        assert changed == touched

    def test_weights_that_are_not_given_leave_older_runs_as_they_were(
        self, project: Project
    ) -> None:
        finish(project, "flow")
        before = fingerprint(project, settings(), "features")
        weighed = settings("features.loss.positive_weights={groom: 2.0}")
        selected = select_settings(settings(), "features")["features"]["loss"]
        assert "positive_weights" not in selected
        assert fingerprint(project, weighed, "features") != before

    def test_animals_that_stay_leave_older_runs_as_they_were(self) -> None:
        drawn = "flow.model.name=pose"
        selected = [
            select_settings(settings(drawn, *more), "features")["features"]["pose_augment"]
            for more in ([], ["features.pose_augment.exchange=1"])
        ]
        assert "exchange" not in selected[0]
        assert selected[1] == {**selected[0], "exchange": 1.0}

    @pytest.mark.parametrize(("num_folds", "matters"), [(1, False), (2, True)])
    def test_the_rules_of_the_split_touch_ensembles_only(
        self, num_folds: int, matters: bool, project: Project
    ) -> None:
        finish(project, "flow")
        finish(project, "features")
        ensemble = f"sequence.ensemble_folds={num_folds}"
        found = {
            fingerprint(project, settings(ensemble, f"split.guard_frames={guard}"), "sequence")
            for guard in (1, 2)
        }
        assert (len(found) == 2) is matters

    @pytest.mark.parametrize("used", ["flow.model.name=pose", "features.augment_poses=true"])
    def test_changes_of_keypoints_count_only_where_clips_are_drawn_anew(
        self, project: Project, used: str
    ) -> None:
        if used.startswith("features"):
            finish(project, "flow")
        change = "features.pose_augment.noise=3"
        plain, changed = (
            fingerprint(project, settings(used, *more), "features") for more in ((), (change,))
        )
        assert plain != changed
        finish(project, "flow")
        still, same = (
            fingerprint(project, settings(*more), "features") for more in ((), (change,))
        )
        assert still == same

    def test_labels_touch_all_but_the_flow(self, project: Project) -> None:
        finish(project, "flow")
        before = {s: fingerprint(project, settings(), s) for s in ("flow", "features")}
        video = project.videos()[0]
        labels = video.read_labels(project.behaviors)
        assert labels is not None
        values = np.where(np.arange(60)[:, None] < 5, 1 - labels.values, labels.values)
        write_csv(Ethogram(values.astype(np.int8), labels.behaviors, 30.0), video.labels_path)
        assert fingerprint(project, settings(), "flow") == before["flow"]
        assert fingerprint(project, settings(), "features") != before["features"]

    def test_splits_touch_every_stage(self, project: Project) -> None:
        before = fingerprint(project, settings(), "flow")
        project.write_splits({"train": [Segment("toy 0", 0, 60)]})
        assert fingerprint(project, settings(), "flow") != before

    def test_a_new_parent_touches_its_children(self, project: Project) -> None:
        finish(project, "flow")
        before = fingerprint(project, settings(), "features")
        finish(project, "flow")
        assert fingerprint(project, settings(), "features") != before


class TestFilesInSettings:
    """Training starts from what is in a file, whatever it is called."""

    @pytest.fixture
    def run_folder(self, project: Project, tmp_path: Path) -> Path:
        folder = start_stage(project, settings(), "flow", tmp_path / "elsewhere").folder
        (folder / "weights.pt").write_bytes(b"one")
        return folder

    @pytest.mark.parametrize("stage", STAGES)
    def test_another_content_under_the_same_name_touches_its_stage(
        self, stage: Stage, project: Project, tmp_path: Path
    ) -> None:
        finish(project, "flow")
        finish(project, "features")
        path = tmp_path / "weights.pt"
        path.write_bytes(b"one")
        config = settings(f"{stage}.start_weights={path}")
        before = {each: fingerprint(project, config, each) for each in STAGES}
        path.write_bytes(b"two")
        changed = [each for each in STAGES if fingerprint(project, config, each) != before[each]]
        assert changed == [stage]

    def test_so_does_another_content_of_a_run(self, project: Project, run_folder: Path) -> None:
        config = settings(f"flow.start_weights={run_folder}")
        before = fingerprint(project, config, "flow")
        (run_folder / "weights.pt").write_bytes(b"two")
        assert fingerprint(project, config, "flow") != before

    @pytest.mark.parametrize(("key", "source"), [("source", "FILE"), ("weights", "r3d_18")])
    def test_so_do_the_files_of_an_external_network(
        self, key: str, source: str, project: Project, tmp_path: Path
    ) -> None:
        finish(project, "flow")
        path = tmp_path / "network.pt"
        path.write_bytes(b"one")
        chosen = ["features.model.name=external", f"features.model.{key}={path}"]
        chosen += [] if source == "FILE" else [f"features.model.source={source}"]
        config = settings(*chosen)
        before = fingerprint(project, config, "features")
        path.write_bytes(b"two")
        assert fingerprint(project, config, "features") != before

    @pytest.mark.parametrize("keyword", ["none", "torchvision"])
    def test_a_file_called_like_a_keyword_is_none(
        self, keyword: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        finish(project, "flow")
        config = settings(f"features.start_weights={keyword}")
        before = fingerprint(project, config, "features")
        monkeypatch.chdir(tmp_path)
        (tmp_path / keyword).write_bytes(b"one")
        assert fingerprint(project, config, "features") == before

    def test_a_finished_run_stays_up_to_date_when_its_start_is_moved_away(
        self, project: Project, tmp_path: Path
    ) -> None:
        path = tmp_path / "weights.pt"
        path.write_bytes(b"one")
        given = f"flow.start_weights={path}"
        run = start(project, "flow", given)
        noted = {"source": str(path), "sha256": hash_file(path)}
        write_yaml(run.folder / "start_weights.yaml", noted)
        finish_run(run, {}, {})
        path.unlink()
        assert find_up_to_date(project, settings(given), "flow") == run
        path.write_bytes(b"two")
        assert find_up_to_date(project, settings(given), "flow") is None


class TestInheritedSettings:
    def test_a_sequence_model_keeps_those_of_its_features(self, project: Project) -> None:
        finish(project, "flow", "frames.height=64")
        finish(project, "features", "frames.height=64", "features.model.name=resnet50")
        given = settings("sequence.window_frames=7", "seed=3")
        config, changed = inherit_settings(project, given, "sequence")
        assert changed[:2] == [
            f"frames.height = 64, not {given.frames.height}",
            "features.model.name = resnet50, not resnet18",
        ]
        assert (config.frames.height, config.features.model.name) == (64, "resnet50")
        assert (config.sequence.window_frames, config.seed) == (7, 3)
        assert inherit_settings(project, config, "sequence") == (config, [])

    @pytest.mark.parametrize("stage", ["flow", "features"])
    def test_the_stages_before_go_by_what_they_are_given(
        self, stage: Stage, project: Project
    ) -> None:
        assert inherit_settings(project, settings(), stage) == (settings(), [])


class TestUpToDate:
    def test_a_finished_run_of_the_same_inputs_is(self, project: Project) -> None:
        run = finish(project, "flow")
        assert find_up_to_date(project, settings(), "flow") == run

    def test_nothing_is_before_the_first_training(self, project: Project) -> None:
        assert [find_up_to_date(project, settings(), stage) for stage in STAGES] == [None] * 3

    def test_an_unfinished_run_is_not(self, project: Project) -> None:
        start(project, "flow")
        assert find_up_to_date(project, settings(), "flow") is None

    def test_only_the_newest_run_counts(self, project: Project) -> None:
        """Later stages build on the newest run, so an older one must not pass for current."""
        finish(project, "flow")
        finish(project, "flow", "flow.train.steps=7")
        assert find_up_to_date(project, settings(), "flow") is None


class TestBrokenOff:
    def test_the_newest_of_the_same_inputs_goes_on(self, project: Project) -> None:
        start(project, "flow")
        run = start(project, "flow")
        start(project, "flow", "flow.train.steps=7")
        assert find_broken_off(project, settings(), "flow") == run

    def test_a_finished_run_does_not(self, project: Project) -> None:
        finish(project, "flow")
        assert find_broken_off(project, settings(), "flow") is None

    def test_one_that_is_older_than_a_finished_run_stays_behind(self, project: Project) -> None:
        start(project, "flow")
        finish(project, "flow", "flow.train.steps=7")
        assert find_broken_off(project, settings(), "flow") is None


class TestParents:
    def test_a_run_names_the_newest_run_before_it(self, project: Project) -> None:
        finish(project, "flow")
        flow = finish(project, "flow")
        features = finish(project, "features")
        sequence = start(project, "sequence")
        assert parent_of(project, features) == flow
        assert parent_of(project, sequence) == features

    @pytest.mark.parametrize("stage", ["features", "sequence"])
    def test_nothing_begins_with_weights_of_unknown_behaviors(
        self, stage: str, project: Project
    ) -> None:
        known = f"{stage}.loss.positive_weights.{project.behaviors[0]}=5"
        start(project, "flow", known)
        before = list(project.runs.rglob("*"))
        with pytest.raises(UsageError, match="no behavior of the project"):
            start(project, "flow", known, f"{stage}.loss.positive_weights.yawn=5")
        assert list(project.runs.rglob("*")) == before

    def test_a_missing_one_is_an_error_with_the_command(self, project: Project) -> None:
        with pytest.raises(InputError, match="pixelethogram train flow"):
            start(project, "features")
