"""Poses are measured on folds of whole videos, with thresholds that never saw what they judge."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pixelethogram.config_layers import load_config
from pixelethogram.lineage import needed_stages
from pixelethogram.splits import Segment


def make_folds(seed: int) -> list[dict[str, np.ndarray]]:
    """Three folds of one behavior; probabilities that mean something, on another scale in each."""
    generator = np.random.default_rng(seed)
    folds = []
    for scale in (1.0, 0.8, 0.9):
        labels = (generator.random((400, 1)) < 0.3).astype(np.int8)
        probabilities = scale * (0.3 * labels + 0.6 * generator.random((400, 1)))
        folds.append(
            {"labels": labels, "probabilities": probabilities, "present": probabilities > 0.5}
        )
    return folds


def test_every_fold_is_judged_once_and_never_learned_from_there(tool: ModuleType) -> None:
    folds = [[Segment(f"video {fold}", 0, 9)] for fold in range(5)]
    placed = [tool.place_folds(folds, fold) for fold in range(5)]
    assert [parts["test"] for parts in placed] == folds
    for parts in placed:
        videos = [each.video for part in parts.values() for each in part]
        assert sorted(videos) == [f"video {fold}" for fold in range(5)]
        assert len(parts["train"]) == 3


def test_best_thresholds_are_never_worse_than_crossed_ones(tool: ModuleType) -> None:
    folds = make_folds(0)
    best, crossed = tool.judge(folds, "best"), tool.judge(folds, "crossed")
    assert 0.4 < crossed[0] < best[0] < 1


def test_thresholds_of_the_project_are_taken_as_they_are(tool: ModuleType) -> None:
    folds = make_folds(1)
    present = np.concatenate([fold["present"] for fold in folds])
    labels = np.concatenate([fold["labels"] for fold in folds]) == 1
    expected = 2 * (present & labels).sum() / (present.sum() + labels.sum())
    assert tool.judge(folds, "val")[0] == expected


def test_the_mean_of_two_rows_is_the_mean_of_their_probabilities(tool: ModuleType) -> None:
    one = make_folds(2)
    other = [{**fold, "probabilities": 1 - fold["probabilities"]} for fold in one]
    ((first, *_),) = tool.average([[one], [other]])
    np.testing.assert_allclose(first["probabilities"], 0.5)


def test_an_answer_that_is_always_yes_is_the_floor(tool: ModuleType) -> None:
    folds = make_folds(0)
    truth = np.concatenate([fold["labels"] for fold in folds])
    expected = f1_score(truth, np.ones_like(truth))
    assert tool.judge_always([folds]) == pytest.approx(np.array([[expected]]))


def test_each_input_says_where_its_flow_comes_from(tool: ModuleType) -> None:
    stages = {
        name: needed_stages(load_config(None, {}, words)) for name, words in tool.INPUTS.items()
    }
    assert stages == {
        "keypoints": ["features", "sequence"],
        "drawn": ["flow", "features", "sequence"],
        "drawn_pose_flow": ["features", "sequence"],
    }
    assert load_config(None, {}, tool.INPUTS["drawn_pose_flow"]).has_pose_flow


def test_a_folder_without_projects_is_no_success(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make them first"):
        tool.run_scores(tool.parse_arguments(["score", str(tmp_path)]))


def test_frames_with_a_pose_and_no_labels_are_not_scored(tool: ModuleType) -> None:
    class FiveFrames:
        num_frames = 5

    _, longer = tool.cut_to(FiveFrames(), np.ones((3, 2), np.int8))
    assert longer[:, 0].tolist() == [1, 1, 1, -1, -1]
    _, shorter = tool.cut_to(FiveFrames(), np.ones((7, 2), np.int8))
    assert len(shorter) == 5


def test_a_real_recording_comes_with_its_gaps_and_its_unscored_frames(
    tool: ModuleType, real_data: Path
) -> None:
    about = json.loads((real_data / "rat_ri" / "meta.json").read_text())
    pose, labels = tool.read_recording(real_data / "rat_ri", about, about["videos"][0])
    assert pose.positions.shape == (14733, 2, 5, 2) and len(labels) == 14733
    assert pose.missing.mean() == pytest.approx(0.40, abs=0.02)
    assert np.nanmin(pose.positions) > -80 and np.nanmax(pose.positions) < 700  # of the arena
    scored = (labels >= 0).all(axis=1)
    assert scored.sum() == 12000 and (labels[~scored] == -1).all()
    assert (labels[scored, :3].sum(axis=1) == 1).all()
