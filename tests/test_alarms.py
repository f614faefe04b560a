"""A project whose behavior can be told by the camera raises the alarm, a sound one does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.alarms import (
    check_parts,
    count_bouts,
    doubt_chance,
    find_alarms,
    gather_facts,
    look_at_scenes,
    read_scene,
)
from pixelethogram.config import Config, FramesConfig
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.ethogram.judgement import judge
from pixelethogram.project import Project, create_project
from pixelethogram.recordings import add_video
from pixelethogram.splits import Segment
from pixelethogram.toy import toy_frames

BEHAVIORS = ("groom", "striped")
NUM_VIDEOS, NUM_FRAMES, SIDE = 12, 60, 32


def make_project(folder: Path, *, leaky: bool) -> Project:
    """Toy videos by two cameras, a dark and a bright one; a leaky animal grooms for the bright one.

    "striped" is the true label of the toy world, which no camera knows.
    """
    generator = np.random.default_rng(5)
    project = create_project(folder / "project", BEHAVIORS)
    (folder / "videos").mkdir()
    lines = ["video,camera"]
    for seed in range(NUM_VIDEOS):
        bright = seed % 2
        frames, labels = toy_frames(seed, NUM_FRAMES, SIDE)
        path = folder / "videos" / f"v{seed:02d}.h5"
        with h5py.File(path, "w") as file:
            file["movie"] = np.clip(frames * (1.3 if bright else 0.7), 0, 255).astype(np.uint8)
        share = (0.7 if bright else 0.2) if leaky else 0.45
        groom = np.arange(NUM_FRAMES) < NUM_FRAMES * (share + generator.normal(0, 0.05))
        values = np.stack([np.roll(groom, seed), labels[:, 3]], axis=1).astype(np.int8)
        video, _ = add_video(project, path)
        write_csv(Ethogram(values, BEHAVIORS, 30.0), video.labels_path)
        lines.append(f"v{seed:02d},{'north' if bright else 'south'}")
    (project.folder / "videos.csv").write_text("\n".join(lines), "utf-8")
    return project


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("leaky"), leaky=True)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("sound"), leaky=False)


def test_a_behavior_that_the_camera_knows_raises_the_alarm(leaky: Project) -> None:
    found = find_alarms(leaky, Config())
    (alarm,) = [each for each in found.alarms if each.kind == "shortcut"]
    assert alarm.level == "warning" and '"groom"' in alarm.what
    assert found.shortcuts is not None
    accused = {
        name
        for name, p in zip(found.shortcuts.baselines, found.shortcuts.p_value[:, 0], strict=True)
        if p < 0.05
    }
    assert {"brightness and contrast", "camera", "the empty scene"} <= accused


def test_a_sound_project_raises_none(sound: Project) -> None:
    found = find_alarms(sound, Config())
    assert [each for each in found.alarms if each.kind == "shortcut"] == []
    assert found.shortcuts is not None and (found.shortcuts.p_value > 0.05).all()


def test_the_empty_scene_does_not_show_the_animal(sound: Project) -> None:
    """The median of a video with and without its animal's stripes is the same arena."""
    video = sound.video("v00")
    with video.open() as source:
        frames = source.read(range(NUM_FRAMES))
    scene = read_scene(video, FramesConfig())
    assert scene.shape == (16, 16, 3)
    assert abs(scene.mean() - np.median(frames, axis=0).mean() / 255) < 0.01


@pytest.fixture
def moved(sound: Project, tmp_path: Path) -> Project:
    """The sound project without kept scenes, and its recordings elsewhere."""
    folder = tmp_path / "moved"
    shutil.copytree(sound.folder, folder, ignore=shutil.ignore_patterns("scene.npz"))
    for path in folder.glob("videos/*/video.yaml"):
        path.write_text(path.read_text("utf-8").replace(".h5", ".gone"), "utf-8")
    return Project(folder)


def test_recordings_that_are_gone_are_a_note_and_the_other_baselines_are_asked(
    moved: Project,
) -> None:
    found = find_alarms(moved, Config())
    (note,) = [each for each in found.alarms if each.kind == "shortcut"]
    assert note.level == "note"
    assert "scene unknown: v00 (the recording of v00 is gone)" in note.what
    assert note.what.endswith("and 9 more")
    assert found.shortcuts is not None
    assert tuple(found.shortcuts.baselines) == ("size and frame rate", "length", "camera")


def test_a_scene_is_kept_until_the_settings_change(sound: Project, moved: Project) -> None:
    frames = FramesConfig()
    scene = read_scene(sound.video("v03"), frames)
    shutil.copy(sound.video("v03").scene_path, moved.video("v03").scene_path)
    np.testing.assert_array_equal(read_scene(moved.video("v03"), frames), scene)
    with pytest.raises(InputError, match="gone"):
        read_scene(moved.video("v03"), frames.model_copy(update={"height": 64}))


def test_the_proxy_is_that_of_the_settings(
    moved: Project, write_proxy: Callable[[np.ndarray, Path], Path]
) -> None:
    """One proxy is black and the other is white."""
    video = moved.video("v01")
    small, large = (FramesConfig(height=side, width=side) for side in (32, 64))
    for frames, grey in ((small, 0), (large, 255)):
        side, path = frames.height, video.proxy_path(frames)
        path.parent.mkdir(exist_ok=True)
        write_proxy(np.full((NUM_FRAMES, side, side, 3), grey, np.uint8), path)
    assert read_scene(video, small).max() < 0.05
    assert read_scene(video, large).min() > 0.95


@pytest.mark.parametrize(
    "override", ["features.model.name=keypoints", "frames.pose.instead_of_pixels=true"]
)
def test_a_model_that_sees_no_pixels_is_not_asked_about_them(sound: Project, override: str) -> None:
    scenes, notes = look_at_scenes(sound.videos(), load_config(None, {}, [override]))
    assert scenes is None
    assert ["no pixels" in each.what for each in notes] == [True]


def test_columns_that_say_nothing_or_are_no_setup_are_left_out(sound: Project) -> None:
    videos = sound.videos()
    metadata = {
        video.name: {"camera": str(n % 2), "day": "1", "session": str(n), "group": str(n % 2)}
        for n, video in enumerate(videos)
    }
    facts = gather_facts(videos, metadata, np.zeros((NUM_VIDEOS, 16, 16, 3)))
    assert [name for name in facts if name in ("camera", "day", "session", "group")] == ["camera"]
    assert {each.shape[0] for each in facts.values()} == {NUM_VIDEOS}


def test_too_few_videos_are_a_note(sound: Project, tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", BEHAVIORS)
    found = find_alarms(project, Config())
    assert found.shortcuts is None
    assert [(each.level, each.kind) for each in found.alarms] == [("note", "shortcut")]


def test_behaviors_with_few_bouts_are_named_by_part() -> None:
    often = np.tile(np.array([[1], [0]], np.int8), (12, 1))
    seldom = np.zeros((24, 1), np.int8)
    seldom[[1, 5, 9, 13]] = 1
    seldom[17] = -1
    labels = {"a": np.hstack([often, seldom]), "b": np.hstack([often, seldom])}
    splits = {"train": [Segment("a", 0, 24)], "val": [Segment("b", 0, 24)], "test": []}
    said = [each.what for each in count_bouts(labels, splits, ("lick", "rear"))]
    assert said == [
        '"rear" has 4 bouts in train: too few to learn from',
        '"rear" has 4 bouts in val: too few to judge by',
    ]


def test_a_score_no_better_than_chance_is_an_alarm() -> None:
    labels = [(np.random.default_rng(0).random((200, 1)) < 0.2).astype(np.int8)]
    blind = [np.zeros((200, 1), bool)]
    (behavior, mean) = doubt_chance(judge(labels, blind, blind, [30.0], ("lick",), exclusive=False))
    assert (behavior.level, behavior.kind) == ("warning", "chance")
    assert behavior.what.startswith("lick: no better than chance (F1 0.00")
    assert mean.what.startswith("mean of all behaviors: no better than chance")
    right = [labels[0] == 1]
    assert doubt_chance(judge(labels, right, right, [30.0], ("lick",), exclusive=False)) == []


def test_the_same_animal_in_training_and_test_is_named() -> None:
    splits = {"train": [Segment("a", 0, 9)], "val": [], "test": [Segment("b", 0, 9)]}
    same = {"a": {"Animal": "A7"}, "b": {"Animal": "A7"}}
    other = {"a": {"Animal": "A7"}, "b": {"Animal": "B1"}}
    (alarm,) = check_parts(splits, same)
    assert "Animal A7" in alarm.what
    assert check_parts(splits, other) == check_parts(splits, {}) == []


def test_parts_of_the_same_videos_are_named() -> None:
    splits = {"train": [Segment("a", 0, 9)], "test": [Segment("a", 20, 29)]}
    assert [each.kind for each in check_parts(splits, {})] == ["same videos"]
