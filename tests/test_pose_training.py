"""Flow that is computed from keypoints: trained on, extracted and predicted with, refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.extraction import extract_project
from pixelethogram.features.train import load_features
from pixelethogram.frames.augment import to_float
from pixelethogram.frames.pose_clips import PoseClips
from pixelethogram.inference import load_models, predict_videos
from pixelethogram.label_files import import_labels
from pixelethogram.lineage import load_flow_of, needed_stages
from pixelethogram.memory_plan import Training, plan_memory
from pixelethogram.pipeline import split_project, train_all, train_one, try_all
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import write_pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose_training import find_layout, gather_pose_clips
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, Video, create_project
from pixelethogram.recordings import add_pose, add_video
from pixelethogram.runs import find_runs, latest_run
from pixelethogram.splits import Segment
from pixelethogram.stages import Job
from pixelethogram.store import ArrayReader, array_file
from pixelethogram.toy import make_toy_video

FRAMES = 60
SETTINGS = (
    *("frames.height=32", "frames.width=48", "flow.model.name=pose", "flow.model.clip_length=5"),
    *("features.start_weights=none", "features.train.batch_size=2", "features.precision=fp32"),
    *("features.phases.spatial=2", "features.phases.flow=2", "features.phases.joint=2"),
    *("features.train.precision=fp32", "features.validation_frames=8"),
    *("sequence.window_frames=30", "sequence.train.steps=4", "sequence.train.validate_every=2"),
    *("sequence.train.batch_size=2", "ethogram.chance_repetitions=2"),
)


def make_pose(seed: int, num_animals: int = 2, num_frames: int = FRAMES) -> Pose:
    """Animals that walk; the noses of all rear in bouts."""
    random = np.random.default_rng(seed)
    time = np.arange(num_frames)
    points = np.zeros((num_frames, num_animals, 3, 2))
    rears = (time // 10) % 2
    for animal in range(num_animals):
        x = 15 + 25 * animal + 0.1 * time
        points[:, animal, :, 0] = x[:, None] + np.stack([12 - 9 * rears, 0 * x + 5, 0 * x], axis=-1)
    points[..., 1] = 24
    points += random.normal(0, 0.2, points.shape)
    skeleton = Skeleton(("nose", "neck", "tail"), ((0, 1), (1, 2)), (), 0, 2)
    names = tuple("abc"[:num_animals])
    return Pose(points, np.ones(points.shape[:3]), skeleton, names, 48, 72, 25.0)


def take_in(project: Project, name: str, pose: Pose) -> Video:
    """The pose as a recording of the project."""
    path = project.folder.parent / f"{name}.h5"
    write_pose(pose, path)
    return add_pose(project, name, pose, path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three poses with labels."""
    project = create_project(tmp_path / "posed", ("rear", "walk"))
    rears = ((np.arange(FRAMES) // 10) % 2).astype(np.int8)
    for seed in range(3):
        video = take_in(project, f"cage {seed}", make_pose(seed))
        labels = tmp_path / f"{seed}.csv"
        write_csv(Ethogram(np.stack([rears, 1 - rears], axis=-1), ("rear", "walk"), 25.0), labels)
        import_labels(project, video, labels)
    return project


def build_job(project: Project, *overrides: str) -> Job:
    return Job(project, load_config("fast", {}, [*SETTINGS, *overrides]), "cpu", SilentProgress())


@pytest.mark.usefixtures("small_streams")
def test_poses_become_ethograms_without_a_flow_stage(project: Project, tmp_path: Path) -> None:
    job = build_job(project)
    assert needed_stages(job.config) == ["features", "sequence"]
    assert train_all(job).finished
    assert find_runs(project.runs, "flow") == []
    run = latest_run(project.runs, "features")
    assert run.record["parents"] == {}
    assert not list(project.folder.glob("videos/*/proxy/*")), "nothing is drawn beforehand"
    write_pose(make_pose(9, num_frames=20), tmp_path / "new.h5")
    write_pose(make_pose(9, num_animals=3, num_frames=20), tmp_path / "three.h5")
    make_toy_video(tmp_path / "pixels.mp4", seed=5, num_frames=8, size=32)
    models = load_models(project.folder, "cpu")
    sources = [tmp_path / name for name in ("new.h5", "three.h5", "pixels.mp4")]
    results = predict_videos(models, sources, tmp_path / "out")
    done, pixels, three = sorted(results, key=lambda result: result.source.name)
    assert (done.status, done.num_frames, done.error) == ("done", 20, "")
    assert three.status == pixels.status == "failed"
    assert "3 animals" in three.error
    assert "flow.model.name=pose" in pixels.error


@pytest.mark.usefixtures("small_streams")
@pytest.mark.parametrize(
    ("view", "spacing", "precision", "near"),
    [("composite", 1, "fp32", 2e-3), ("ego", 3, "fp32", 2e-3), ("composite", 3, "bf16", 3e-2)],
)
def test_extraction_sees_what_training_sees(
    project: Project, view: str, spacing: int, precision: str, near: float
) -> None:
    job = build_job(
        project,
        f"frames.pose.view={view}",
        f"frames.spacing={spacing}",
        f"features.precision={precision}",
    )
    run = train_one(job, "features")
    extract_project(job)
    model = load_features(run, load_flow_of(run))
    video = project.video("cage 1")
    frames = [(0, frame) for frame in range(FRAMES)]
    clips = PoseClips(
        [video.open_drawn(job.config.frames)],
        frames,
        5,
        [np.zeros((FRAMES, 2), np.int8)],
        spacing=spacing,
    )
    items = [clips[frame] for frame in range(FRAMES)]
    with torch.no_grad():
        expected = model.forward_features(  # type: ignore[call-arg]
            to_float(torch.stack([item["clip"] for item in items])),
            torch.stack([item["pose"] for item in items]),
        )
    with ArrayReader(array_file(video.folder, "features", run.id)) as arrays:
        found = arrays.read("features", 0, None)
    np.testing.assert_allclose(found, expected.numpy(), atol=near)
    assert np.ptp(found[:, 8:], axis=0).max() > 1e-2, "the flow stream sees that something moves"


def test_a_skeleton_that_moves_has_its_velocity_in_the_input_of_the_flow_stream(
    tmp_path: Path,
) -> None:
    project = create_project(tmp_path / "moving", ("walk",))
    points = np.array([[12.0, 0], [5, 0], [0, 0]]) + [20.0, 24.0]
    steps = np.arange(FRAMES)[:, None, None, None] * np.array([0.5, -0.25])
    pose = Pose(
        points + steps, np.ones((FRAMES, 1, 3)), make_pose(0).skeleton, ("a",), 48, 72, 25.0
    )
    video = take_in(project, "only", pose)
    write_csv(Ethogram(np.ones((FRAMES, 1), np.int8), ("walk",), 25.0), tmp_path / "l.csv")
    import_labels(project, video, tmp_path / "l.csv")
    spans = {"train": [(0, 40)], "val": [(40, 60)]}
    config = build_job(project, "frames.pose.view=arena", "frames.width=48").config
    project.write_splits(
        {part: [Segment("only", *span) for span in found] for part, found in spans.items()}
    )
    data, flow = gather_pose_clips(project, config)
    assert flow is not None
    network = config.features.model.build(  # type: ignore[union-attr]
        flow, 1, (0.5,) * 3, (0.2,) * 3, clip_length=5
    )
    seen = {}
    network.motion.forward_features = lambda images: seen.setdefault("input", images)
    network.motion_features(data.val[5]["pose"][None])
    (stack,) = seen["input"]
    scale = 32 / 48  # pixels of the picture per pixel of the recording
    moves = (stack != 0).any(dim=0)
    assert stack.shape == (8, 16, 24) and moves.sum() > 10
    for pair in range(4):
        there = (stack[2 * pair : 2 * pair + 2] != 0).any(dim=0)
        for axis, step in enumerate((0.5, -0.25)):
            torch.testing.assert_close(
                stack[2 * pair + axis][there],
                torch.full_like(stack[0][there], step * scale / 2),
                atol=1e-5,
                rtol=1e-4,
            )


@pytest.mark.usefixtures("small_streams")
def test_keypoints_can_be_changed_before_drawing_with_a_learned_flow_too(
    project: Project, make_job: Callable[..., Any]
) -> None:
    job = make_job(project, "features.augment_poses=true")
    assert needed_stages(job.config) == ["flow", "features", "sequence"]
    split_project(job)
    data, flow = gather_pose_clips(project, job.config)
    assert flow is None and "pose" not in data.train[0]
    assert train_all(job).finished


def test_pixels_and_other_animals_are_refused_before_training(
    project: Project, tmp_path: Path
) -> None:
    odd = take_in(project, "odd", make_pose(4, num_animals=1))
    with pytest.raises(InputError, match="1 animal "):
        train_one(build_job(project), "features")
    for file in sorted(odd.folder.iterdir()):
        file.unlink()
    make_toy_video(tmp_path / "toy.mp4", seed=0, num_frames=FRAMES, size=32)
    add_video(project, tmp_path / "toy.mp4")
    with pytest.raises(InputError, match="toy has pixels") as caught:
        train_one(build_job(project), "features")
    assert "instead_of_pixels" in str(caught.value)
    assert find_runs(project.runs, "features", finished=False) == []


def test_there_is_no_flow_to_train(project: Project) -> None:
    with pytest.raises(UsageError, match="nothing to train"):
        train_one(build_job(project), "flow")
    assert find_runs(project.runs, "flow", finished=False) == []


def test_a_flow_of_keypoints_is_never_shared(project: Project, make_job: Any) -> None:
    with pytest.raises(UsageError, match="stride must be 1"):
        build_job(project, "flow.stride=4")
    job = make_job(project, "features.augment_poses=true", "flow.stride=10")
    with pytest.raises(UsageError, match="do not go together"):
        gather_pose_clips(project, job.config)


@pytest.mark.usefixtures("small_streams")
def test_a_dry_run_tries_what_is_there(project: Project) -> None:
    assert try_all(build_job(project)) == ["features"]


def test_memory_is_known_without_a_flow_network(project: Project) -> None:
    config: Config = build_job(project).config
    layout = find_layout(project, config)
    plan = plan_memory(Training("features", config, ("a", "b"), False, None, layout), "cpu")
    assert plan is not None
    assert plan.activations > 0
