"""The features stage on keypoints: statistics, components, head; a whole project without pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pixelethogram.cached_features import list_features, read_features
from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, read_csv, write_csv
from pixelethogram.features.keypoints import (
    column_statistics,
    describe_all,
    find_components,
    load_keypoints,
    put_in_order,
)
from pixelethogram.features.models.keypoints import Keypoints, KeypointsConfig
from pixelethogram.inference import load_models, predict_videos
from pixelethogram.label_files import import_labels
from pixelethogram.pipeline import train_all
from pixelethogram.pose.features.columns import Columns
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import write_pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, create_project
from pixelethogram.project_evaluation import evaluate_project
from pixelethogram.recordings import add_pose
from pixelethogram.runs import find_runs, latest_run
from pixelethogram.stages import Job

SKELETON = Skeleton(("nose", "body", "tail"), ((0, 1), (1, 2)))
BODY = np.array([[10.0, 0], [0.0, 0], [-10.0, 0]])
SETTINGS = (
    "features.model.name=keypoints",
    "features.model.context_radii=[3]",
    "features.phases.spatial=150",
    "features.train.batch_size=64",
    "features.train.learning_rate=3e-2",
    "features.train.validate_every=75",
    "sequence.model.name=linear",
    "sequence.train.steps=150",
    "sequence.train.validate_every=75",
    "sequence.train.learning_rate=3e-2",
)


def make_pose(seed: int, num_frames: int = 240) -> tuple[Pose, np.ndarray]:
    """Two animals, and labels (T, 1): the second comes near, and both forget who is who."""
    generator = np.random.default_rng(seed)
    near = (np.arange(num_frames) % 60 + seed > 40).astype(int)
    near[100:108] = 1 - near[100:108]  # shorter bouts, which the filter must let pass
    distance = np.where(near, 25.0, 90.0)
    positions = np.stack([np.tile(BODY, (num_frames, 1, 1))] * 2, axis=1) + 150
    positions[:, 1, :, 1] += distance[:, None]
    positions += generator.normal(0, 2, positions.shape)
    swap = generator.random(num_frames) < 0.5
    positions[swap] = positions[swap, ::-1]
    positions[generator.random(positions.shape[:3]) < 0.2] = np.nan
    shape = positions.shape[:3]
    pose = Pose(positions, np.ones(shape), SKELETON, ("a", "b"), 300, 300, 30.0)
    return pose, near[:, None].astype(np.int8)


@pytest.fixture(scope="module")
def trained(
    make_job: Callable[..., Job], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, Job]:
    """Five recordings that are poses, trained to the end."""
    folder = tmp_path_factory.mktemp("poses")
    project = create_project(folder / "project", ["near"])
    for seed in range(5):
        pose, labels = make_pose(seed)
        write_pose(pose, folder / "pose.h5")
        video = add_pose(project, f"pair {seed}", pose, folder / "pose.h5")
        write_csv(Ethogram(labels, ("near",), 30.0), folder / "labels.csv")
        import_labels(project, video, folder / "labels.csv")
    job = make_job(project, *SETTINGS)
    train_all(job)
    return project, job


def test_a_project_of_poses_needs_no_flow_and_learns(trained: tuple[Project, Job]) -> None:
    project, job = trained
    assert find_runs(project.runs, "flow") == []
    evaluations = evaluate_project(job)
    assert set(evaluations) == {"sequence", "features"}
    for evaluation in evaluations.values():
        assert evaluation.final.scores.macro_f1 > 0.9


def test_extraction_leaves_scaled_features_and_the_opinion_of_the_head(
    trained: tuple[Project, Job],
) -> None:
    project, _ = trained
    run = latest_run(project.runs, "features")
    video = project.videos()[0]
    assert sorted(list_features(video, run)) == ["features", "logits"]
    features = read_features(video, run, "features")
    assert features.shape == (240, len(run.results["columns"])) and features.dtype == np.float16
    assert np.isfinite(features).all() and np.abs(features).max() <= 8


def test_statistics_are_those_of_the_training_part_alone(trained: tuple[Project, Job]) -> None:
    project, _ = trained
    run = latest_run(project.runs, "features")
    settings = run.config.features.model
    assert isinstance(settings, KeypointsConfig)
    rows = np.concatenate(
        [
            settings.describe(project.video(each.video).read_pose()).values
            for each in project.splits["train"]
        ]
    )
    weights = run.load_weights()
    np.testing.assert_allclose(weights["mean"], np.nanmean(rows, axis=0), rtol=1e-4, atol=1e-5)
    expected = np.nanstd(rows.astype(np.float64), axis=0).clip(1e-3)
    np.testing.assert_allclose(weights["std"], expected, rtol=1e-3)


def test_a_new_pose_file_is_predicted(trained: tuple[Project, Job], tmp_path: Path) -> None:
    project, _ = trained
    pose, labels = make_pose(11)
    write_pose(pose, tmp_path / "new.h5")
    models = load_models(project.folder, "cpu")
    (result,) = predict_videos(models, [tmp_path / "new.h5"], tmp_path / "out")
    assert result.status == "done", result.error
    found = read_csv(result.ethogram_csv, ("near",), 240, 30.0).values  # type: ignore[arg-type]
    assert (found == labels).mean() > 0.9


def test_a_pose_of_other_animals_is_refused(trained: tuple[Project, Job], tmp_path: Path) -> None:
    project, _ = trained
    pose, _ = make_pose(3)
    alone = Pose(
        pose.positions[:, :1], pose.confidence[:, :1], SKELETON, ("a",), 300, 300, pose.fps
    )
    write_pose(alone, tmp_path / "one.h5")
    models = load_models(project.folder, "cpu")
    (result,) = predict_videos(models, [tmp_path / "one.h5"], tmp_path / "out")
    assert result.status == "failed" and "the model learned from" in result.error


def test_as_many_columns_under_other_names_are_refused(
    trained: tuple[Project, Job], tmp_path: Path
) -> None:
    project, _ = trained
    pose, _ = make_pose(3)
    other = dataclasses.replace(SKELETON, keypoints=("nose", "body", "ear"))
    write_pose(dataclasses.replace(pose, skeleton=other), tmp_path / "ears.h5")
    models = load_models(project.folder, "cpu")
    (result,) = predict_videos(models, [tmp_path / "ears.h5"], tmp_path / "out")
    assert result.status == "failed"
    assert "share of ear seen" in result.error and "share of tail seen" in result.error


def test_columns_are_put_in_order_by_their_names() -> None:
    pose, _ = make_pose(0, num_frames=4)
    columns = Columns(np.arange(12.0).reshape(4, 3), ("a", "b", "c"))
    np.testing.assert_array_equal(put_in_order(columns, ("a", "b", "c"), pose), columns.values)
    mixed = put_in_order(columns, ("c", "a", "b"), pose)
    np.testing.assert_array_equal(mixed, columns.values[:, [2, 0, 1]])
    with pytest.raises(InputError, match='only here: "c"; only there: "d"'):
        put_in_order(columns, ("a", "b", "d"), pose)
    with pytest.raises(InputError, match='3 columns, the model learned from 2; only here: "c"'):
        put_in_order(columns, ("a", "b"), pose)


def test_poses_of_which_only_one_states_edges_are_told_apart_by_name() -> None:
    pose, _ = make_pose(0)
    guessed = dataclasses.replace(SKELETON, guessed_edges=True)
    poses = [pose, dataclasses.replace(pose, skeleton=guessed)]
    with pytest.raises(InputError, match='only there: "symmetric: least bend at body') as refusal:
        describe_all(KeypointsConfig(), poses, SilentProgress())
    assert "which keypoints are joined" in str(refusal.value.why)


def test_a_finished_run_says_that_it_began_without_start_weights(
    trained: tuple[Project, Job],
) -> None:
    run = latest_run(trained[0].runs, "features")
    assert run.results["start_weights"]["kind"] == ""
    assert load_keypoints(run).columns == tuple(run.results["columns"])


def test_features_of_another_pose_are_refused(
    trained: tuple[Project, Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = trained
    video = project.videos()[0]
    pose = video.read_pose()
    old = video.pose_path.read_bytes()
    write_pose(dataclasses.replace(pose, positions=pose.positions + 1), video.pose_path)
    try:
        with pytest.raises(InputError, match="another pose|another recording"):
            read_features(video, latest_run(project.runs, "features"), "features")
    finally:
        video.pose_path.write_bytes(old)


def test_statistics_leave_out_what_is_missing() -> None:
    first, second = np.array([[1.0, np.nan], [3.0, np.nan]]), np.array([[np.nan, np.nan]])
    mean, std = column_statistics([first, second])
    assert mean.tolist() == [2, 0] and std.tolist() == [1, 1]


def test_components_keep_the_share_of_variance_asked_for() -> None:
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(500, 2))
    columns = (hidden @ generator.normal(size=(2, 6)) + 3).astype(np.float32)
    mean, std = column_statistics([columns])
    components = find_components(columns, mean, std, 0.999)
    assert components is not None and components.shape == (2, 6)
    np.testing.assert_allclose(components @ components.T, np.eye(2), atol=1e-5)
    assert find_components(columns, mean, std, 1.0) is None


def test_an_unknown_value_counts_as_the_mean() -> None:
    model = Keypoints(KeypointsConfig(), 3, 3, 1)
    model.mean, model.std = torch.tensor([5.0, 5.0, 5.0]), torch.tensor([2.0, 2.0, 2.0])
    found = model.forward_features(torch.tensor([[7.0, float("nan"), 1e9]]))
    assert found.tolist() == [[1.0, 0.0, 8.0]]


def test_the_head_may_be_the_perceptron_of_sturman() -> None:
    model = KeypointsConfig(hidden=(256, 128)).build(1364, 1364, 5)
    sizes = [tuple(weight.shape) for name, weight in model.named_parameters() if "weight" in name]
    assert sorted(sizes) == [(5, 128), (128, 256), (256, 1364)]
    assert model(torch.zeros(4, 1364)).shape == (4, 5)


@pytest.mark.parametrize("sets", [["nonsense"], [], ["epfl", "epfl"]])
def test_sets_that_are_not_there_are_refused(sets: list[str]) -> None:
    with pytest.raises(ValidationError, match="choose from epfl"):
        KeypointsConfig.model_validate({"sets": sets})


def test_all_means_every_set_that_fits_any_skeleton() -> None:
    chosen = KeypointsConfig.model_validate({"sets": "all"}).sets
    assert chosen == ("epfl", "egocentric", "symmetric")
