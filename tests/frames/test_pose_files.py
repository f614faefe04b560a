"""Pose files are recordings: recognised by content, sized by the video beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.config import FramesConfig
from pixelethogram.errors import InputError, UsageError
from pixelethogram.frames.pose_files import (
    BOTH,
    DRAWN,
    PIXELS,
    find_video_beside,
    holds_pose,
    name_inputs,
    open_pose,
    read_pose_recordings,
    refuse_other_inputs,
)
from pixelethogram.frames.source import open_frames
from pixelethogram.pose.pose_file import write_pose
from pixelethogram.pose.readers import READERS, find_reader, read_poses
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.toy import make_toy_video


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two mice on five frames, in the layout of MABe 2025."""
    rows = [
        f"{frame},{mouse},{part},{10 + 20 * mouse + frame + shift},{30 + shift}"
        for frame in range(5)
        for mouse in (1, 2)
        for part, shift in (("nose", 8), ("tail_base", 0))
    ]
    path = tmp_path / "mouse 1.csv"
    path.write_text("\n".join(["video_frame,mouse_id,bodypart,x,y", *rows]))
    return path


def test_content_decides_and_not_the_name(table: Path, tmp_path: Path) -> None:
    (tmp_path / "mouse 2.csv").write_text("frame,lick\n0,1\n")
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    assert holds_pose(table)
    assert not any(holds_pose(tmp_path / name) for name in ("mouse 2.csv", "other.json", "no.h5"))
    with pytest.raises(InputError, match="no pose file"):
        list(read_poses(tmp_path / "mouse 2.csv", Facts(30.0, 64, 64)))
    assert find_reader(tmp_path) is None
    assert all(not reader.can_read(tmp_path / "missing.h5") for reader in READERS.values())


def test_size_and_rate_are_those_of_the_video_beside(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say how large"):
        next(read_pose_recordings(table, Facts()))
    make_toy_video(tmp_path / "mouse 1.mp4", seed=0, num_frames=5, size=64, fps=25.0)
    ((name, pose),) = read_pose_recordings(table, Facts())
    assert (name, pose.fps, pose.height, pose.width) == ("mouse 1", 25.0, 64, 64)
    ((_, pose),) = read_pose_recordings(table, Facts(fps=50.0, height=100))
    assert (pose.fps, pose.height, pose.width) == (50.0, 100, 64)


def test_a_video_beside_is_found_by_its_whole_name(tmp_path: Path) -> None:
    for name in ("mouse1.mp4", "mouse1_b.avi", "m.mp4"):
        (tmp_path / name).touch()
    expected = {
        "mouse1.csv": "mouse1.mp4",
        "mouse1DLC_resnet50_p1shuffle1_100.csv": "mouse1.mp4",
        "mouse1.analysis.h5": "mouse1.mp4",
        "mouse1_2.csv": None,
        "mouse1-10.csv": None,
        "mouse1.2.csv": None,
        "mouse1 copy.csv": None,
        "mouse1.analysis.2.h5": None,
        "mouse1_bDLC_x.csv": "mouse1_b.avi",
        "mouse10.csv": None,
        "other.csv": None,
    }
    for name, video in expected.items():
        found = find_video_beside(tmp_path / name)
        assert (found.name if found else None) == video


@pytest.mark.parametrize("learned", [DRAWN, PIXELS, BOTH, None])
def test_networks_get_only_what_they_have_seen(
    learned: str | None, table: Path, tmp_path: Path
) -> None:
    make_toy_video(tmp_path / "mouse 1.mp4", seed=0, num_frames=5, size=64)
    for path, kind in ((table, DRAWN), (tmp_path / "mouse 1.mp4", PIXELS)):
        if learned in (kind, BOTH, None):
            refuse_other_inputs(path, learned)
        else:
            with pytest.raises(InputError, match="these networks were trained on"):
                refuse_other_inputs(path, learned)


def test_inputs_are_named_by_what_is_drawn() -> None:
    assert name_inputs([True, True]) == DRAWN
    assert name_inputs([False]) == PIXELS
    assert name_inputs([False, True]) == BOTH


def test_a_pose_opens_like_every_recording(table: Path, tmp_path: Path) -> None:
    facts, settings = Facts(30.0, 64, 96), FramesConfig(height=64, width=96)
    with open_frames(table, settings=settings, facts=facts) as frames:
        drawn = np.stack(list(frames.iterate()))
    assert drawn.shape == (5, 64, 96, 3)
    ((_, pose),) = read_pose_recordings(table, facts)
    write_pose(pose, tmp_path / "pose.h5")
    with open_frames(tmp_path / "pose.h5", settings=settings) as frames:
        np.testing.assert_array_equal(frames.read(range(5)), drawn)


def test_a_file_of_several_recordings_cannot_be_opened_as_one(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Facts(30.0, 64, 96)
    both = [*read_pose_recordings(table, facts)] * 2
    monkeypatch.setattr("pixelethogram.frames.pose_files.read_poses", lambda *_: iter(both))
    with pytest.raises(InputError, match="several recordings"):
        open_pose(table, FramesConfig(), facts)
