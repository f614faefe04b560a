"""A project whose behavior can be told by the camera raises the alarm, a sound one does not."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.alarms import check_parts, count_bouts, find_alarms, gather_facts, read_scene
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
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
    found = find_alarms(leaky)
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
    found = find_alarms(sound)
    assert [each for each in found.alarms if each.kind == "shortcut"] == []
    assert found.shortcuts is not None and (found.shortcuts.p_value > 0.05).all()


def test_the_empty_scene_does_not_show_the_animal(sound: Project) -> None:
    """The median of a video with and without its animal's stripes is the same arena."""
    video = sound.video("v00")
    with video.open() as source:
        frames = source.read(range(NUM_FRAMES))
    scene = read_scene(video)
    assert scene.shape == (16, 16, 3)
    assert abs(scene.mean() - np.median(frames, axis=0).mean() / 255) < 0.01


def test_columns_that_say_nothing_or_are_no_setup_are_left_out(sound: Project) -> None:
    videos = sound.videos()
    metadata = {
        video.name: {"camera": str(n % 2), "day": "1", "session": str(n), "group": str(n % 2)}
        for n, video in enumerate(videos)
    }
    facts = gather_facts(videos, metadata)
    assert [name for name in facts if name in ("camera", "day", "session", "group")] == ["camera"]
    assert {each.shape[0] for each in facts.values()} == {NUM_VIDEOS}


def test_too_few_videos_are_a_note(sound: Project, tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", BEHAVIORS)
    found = find_alarms(project)
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
