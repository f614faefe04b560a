"""The whole way on recordings that have a pose and no pixels, and on pixels that are drawn over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.config import DrawingConfig, FramesConfig
from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, read_csv, write_csv
from pixelethogram.inference import load_models, predict_videos
from pixelethogram.intake import add_recordings, import_pose
from pixelethogram.lineage import fingerprint
from pixelethogram.pipeline import train_all
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, create_project
from pixelethogram.recordings import add_video
from pixelethogram.runs import latest_run
from pixelethogram.toy import make_toy_video

FACTS = Facts(30.0, 64, 96)
FRAMES = 60


def write_poses(path: Path, seed: int, num_frames: int = FRAMES) -> None:
    """Two mice as a MABe table; the second rears (its nose goes to its tail) in bouts."""
    random = np.random.default_rng(seed)
    rows = []
    for frame in range(num_frames):
        rears = (frame // 10) % 2
        for mouse, x in ((1, 20), (2, 60)):
            nose = 4 if mouse == 2 and rears else 16
            for part, shift in (("nose", nose), ("neck", 3), ("tail_base", 0)):
                along = x + shift + 0.1 * frame + random.normal(0, 0.2)
                rows.append(f"{frame},{mouse},{part},{along:.3f},{30 + random.normal(0, 0.2):.3f}")
    path.write_text("\n".join(["video_frame,mouse_id,bodypart,x,y", *rows]) + "\n")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pose files with labels beside them."""
    folder = tmp_path_factory.mktemp("poses é")
    for seed in range(3):
        write_poses(folder / f"cage {seed}.csv", seed)
        rears = ((np.arange(FRAMES) // 10) % 2).astype(np.int8)
        values = np.stack([rears, 1 - rears], axis=-1)
        labels = Ethogram(values, ("rear", "walk"), 30.0)
        write_csv(labels, folder / f"cage {seed}.labels.csv")
    return folder


def add(project: Project, sources: list[Path], facts: Facts = FACTS) -> list[Path]:
    progress = SilentProgress()
    return add_recordings(
        project, sources, copy=False, overwrite=False, progress=progress, facts=facts
    )


@pytest.fixture
def project(tables: Path, tmp_path: Path) -> Project:
    project = create_project(tmp_path / "drawn", ("rear", "walk"))
    assert add(project, [tables / f"cage {seed}.csv" for seed in range(3)]) == []
    return project


@pytest.fixture
def pixels(tmp_path: Path) -> Project:
    """A project of one toy video."""
    project = create_project(tmp_path / "pixels", ("rear", "walk"))
    make_toy_video(tmp_path / "toy.mp4", seed=0, num_frames=FRAMES, size=64)
    add_video(project, tmp_path / "toy.mp4")
    return project


@pytest.mark.usefixtures("small_streams")
def test_pose_files_become_ethograms(
    project: Project, make_job: Callable[..., Any], tmp_path: Path
) -> None:
    run = train_all(make_job(project, "frames.pose.view=dyad"))
    assert run.finished
    for video in project.videos():
        found = read_csv(video.ethogram_path, project.behaviors, FRAMES, 30.0)
        assert found.values.shape == (FRAMES, 2)
    write_poses(tmp_path / "new.csv", seed=9, num_frames=20)
    models = load_models(project.folder, "cpu")
    assert models.config.frames.pose.view == "dyad"
    (result,) = predict_videos(models, [tmp_path / "new.csv"], tmp_path / "out", facts=FACTS)
    assert (result.status, result.num_frames) == ("done", 20)
    (failed,) = predict_videos(models, [tmp_path / "new.csv"], tmp_path / "other")
    assert failed.status == "failed"
    assert "--size" in failed.error
    assert latest_run(project.runs, "features").results["inputs"] == "drawn"
    make_toy_video(tmp_path / "toy.mp4", seed=5, num_frames=8, size=32)
    (failed,) = predict_videos(models, [tmp_path / "toy.mp4"], tmp_path / "out")
    assert (failed.status, "trained on drawn poses" in failed.error) == ("failed", True)


def test_a_pose_file_that_says_too_little_stops_no_other(tables: Path, tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ("rear", "walk"))
    table = tables / "cage 0.csv"
    assert add(project, [table], Facts()) == [table]
    assert project.videos() == []
    assert add(project, [table]) == add(project, [table]) == []
    (video,) = project.videos()
    assert (video.name, video.is_pose, video.info["width"]) == ("cage 0", True, 96)
    assert project.read_labels().keys() == {"cage 0"}


def test_other_drawings_have_other_proxies_and_other_fingerprints(
    project: Project, make_job: Callable[..., Any]
) -> None:
    video = project.videos()[0]
    looks = [DrawingConfig(), DrawingConfig(view="ego"), DrawingConfig(min_confidence=0.1)]
    settings = [FramesConfig(height=64, width=64, pose=look) for look in looks]
    assert len({video.proxy_path(each) for each in settings}) == 3
    assert len({video.proxy_path(FramesConfig(fit=fit)) for fit in ("pad", "stretch")}) == 1
    jobs = [make_job(project), make_job(project, "frames.pose.view=ego")]
    assert len({fingerprint(project, job.config, "flow") for job in jobs}) == 2
    with video.open(settings[1]) as frames:
        assert (frames.num_frames, frames.height, frames.width) == (FRAMES, 64, 64)


def test_pixels_are_seen_unless_drawing_is_asked_for(pixels: Project, tmp_path: Path) -> None:
    video = pixels.video("toy")
    drawn = FramesConfig(height=64, width=64, pose=DrawingConfig(instead_of_pixels=True))
    with pytest.raises(InputError, match="toy has no pose"):
        video.open(drawn)
    write_poses(tmp_path / "other name.csv", seed=1)
    text = import_pose(video, tmp_path / "other name.csv", Facts(height=64, width=96))
    assert text.startswith("pose: 2 x 3 keypoints")
    with video.open() as frames:
        seen = frames.read([3])
    with video.open(drawn) as frames:
        assert not np.array_equal(frames.read([3]), seen)
    plain = dataclasses.replace(video)
    assert plain.input_sha256(drawn) == plain.pose_sha256
    assert plain.input_sha256(FramesConfig()) == plain.sha256
    assert plain.proxy_path(drawn) != plain.proxy_path(FramesConfig(height=64, width=64))


def test_a_pose_of_another_length_is_not_imported(pixels: Project, tmp_path: Path) -> None:
    write_poses(tmp_path / "short.csv", seed=1, num_frames=FRAMES - 1)
    with pytest.raises(InputError, match="59 frames, toy has 60"):
        import_pose(pixels.video("toy"), tmp_path / "short.csv", FACTS)
    assert not pixels.video("toy").pose_path.exists()


@pytest.mark.usefixtures("small_streams")
def test_networks_that_learned_pixels_refuse_poses(
    trained_project: Project, tables: Path, tmp_path: Path
) -> None:
    assert latest_run(trained_project.runs, "features").results["inputs"] == "pixels"
    models = load_models(trained_project.folder, "cpu")
    (result,) = predict_videos(models, [tables / "cage 0.csv"], tmp_path / "out", facts=FACTS)
    assert (result.status, "trained on pixels" in result.error) == ("failed", True)


@pytest.mark.usefixtures("small_streams")
def test_networks_that_learned_drawings_refuse_pixels(
    trained_project: Project, tmp_path: Path
) -> None:
    models = load_models(trained_project.folder, "cpu")
    look = DrawingConfig(instead_of_pixels=True)
    frames = models.config.frames.model_copy(update={"pose": look})
    config = models.config.model_copy(update={"frames": frames})
    make_toy_video(tmp_path / "new.mp4", seed=5, num_frames=8, size=32)
    (result,) = predict_videos(
        dataclasses.replace(models, config=config), [tmp_path / "new.mp4"], tmp_path / "out"
    )
    assert result.status == "failed"
    assert "drawn poses" in result.error
