"""Features of a project: exact or not, shared flow or not, and what they were learned from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.cached_features import describe_mismatch, find_precisions, read_features
from pixelethogram.extraction import extract_project
from pixelethogram.features.train import load_features
from pixelethogram.frames.augment import to_float
from pixelethogram.frames.clips import fixed_offset, stretch_indices
from pixelethogram.lineage import fingerprint, load_flow_of
from pixelethogram.pipeline import train_stage
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import write_pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.recordings import add_pose
from pixelethogram.runs import latest_run, read_yaml, write_yaml


class Listen(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def test_what_is_there_is_kept_unless_it_is_to_be_overwritten(
    project_copy: Project, make_job: Any
) -> None:
    job = make_job(project_copy)
    assert extract_project(job) == 0
    assert extract_project(job, overwrite=True) == 3


def test_a_pose_among_pixels_is_warned_of(
    project_copy: Project, make_job: Any, tmp_path: Path
) -> None:
    positions = np.random.default_rng(0).uniform(4, 28, (12, 1, 3, 2))
    skeleton = Skeleton(("nose", "neck", "tail"))
    pose = Pose(positions, np.ones((12, 1, 3)), skeleton, ("a",), 32, 32, 30.0)
    write_pose(pose, tmp_path / "pose.h5")
    add_pose(project_copy, "only a pose", pose, tmp_path / "pose.h5")
    listener = Listen()
    job = dataclasses.replace(make_job(project_copy), progress=listener)
    assert extract_project(job) == 1
    assert [line for line in listener.lines if "learned from pixels, but only a pose" in line]


def test_exact_means_fp32_whatever_the_settings_say(project_copy: Project, make_job: Any) -> None:
    run = latest_run(project_copy.runs, "features")
    settings = read_yaml(run.folder / "config.yaml")
    settings["features"]["precision"] = "bf16"
    write_yaml(run.folder / "config.yaml", settings)
    for exact, found in ((False, ["bf16"]), (True, ["fp32"])):
        extract_project(make_job(project_copy), overwrite=True, exact=exact)
        assert find_precisions(project_copy.videos(), run) == found


def test_features_in_another_format_than_was_learned_from_are_warned_of(
    trained_project: Project,
) -> None:
    run = latest_run(trained_project.runs, "sequence")
    assert run.results["features_precision"] == ["fp32"]
    assert describe_mismatch(["fp32"], run) is None
    warning = describe_mismatch(["bf16"], run)
    assert warning is not None
    assert "learned from fp32 features, these are bf16" in warning


def test_shared_flow_is_trained_and_extracted_alike(project_copy: Project, make_job: Any) -> None:
    """Every frame's features are what the network makes of a stretch such as validation shows."""
    job = make_job(project_copy, "flow.stride=10", "frames.spacing=1")
    train_stage(job, "features")
    assert extract_project(job) == 3
    run = latest_run(project_copy.runs, "features")
    assert run.config.flow.stride == 10
    model = load_features(run, load_flow_of(run))
    video = project_copy.videos()[0]
    found = read_features(video, run, "logits")
    with video.open() as source:
        for frame in (0, 7, 33, video.num_frames - 1):
            offset = fixed_offset(frame, 11)
            images = source.read(stretch_indices(frame, video.num_frames, 11, offset).tolist())
            clips = to_float(_tensor(images[None]))
            logits = model.phase_logits(clips, "joint", _tensor(np.array([offset])))  # type: ignore[arg-type]
            assert found[frame] == pytest.approx(logits[0].detach().numpy(), abs=1e-4)


def test_the_stride_belongs_to_the_features_and_not_to_the_flow(
    project_copy: Project, make_job: Any
) -> None:
    own, shared = (make_job(project_copy, f"flow.stride={stride}").config for stride in (1, 10))
    assert fingerprint(project_copy, own, "flow") == fingerprint(project_copy, shared, "flow")
    for stage in ("features", "sequence"):
        first, second = (fingerprint(project_copy, each, stage) for each in (own, shared))  # type: ignore[arg-type]
        assert first != second


def _tensor(values: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(values)
