"""SLEAP's project files: tables as sleap-io 0.9 writes them (format 1.4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.readers import sleap_labels
from pixelethogram.pose.readers.assembly import Facts

PARTS = ("nose", "left_ear", "right_ear", "tail_base")
FRAME = [("frame_id", "<u8"), ("video", "<u4"), ("frame_idx", "<u8")]
FRAME += [("instance_id_start", "<u8"), ("instance_id_end", "<u8")]
INSTANCE = [("instance_id", "<i8"), ("instance_type", "u1"), ("frame_id", "<u8")]
INSTANCE += [("skeleton", "<u4"), ("track", "<i4"), ("from_predicted", "<i8"), ("score", "<f4")]
INSTANCE += [("point_id_start", "<u8"), ("point_id_end", "<u8"), ("tracking_score", "<f4")]
POINT = [("x", "<f8"), ("y", "<f8"), ("visible", "?"), ("complete", "?")]
KINDS = [{"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [kind]}]} for kind in (1, 2)]
LINKS = [
    {"source": 2, "target": 0, "type": KINDS[0]},
    {"source": 0, "target": 1, "type": KINDS[1]},
    {"source": 2, "target": 3, "type": {"py/id": 1}},
]


def write(
    path: Path, points: np.ndarray, likelihood: np.ndarray, *, tracked: bool = True, version=1.4
) -> Path:
    """Predicted instances of all frames but the last; on frame 1 a person mended animal 0."""
    frames, instances, predicted, mended = [], [], [], []
    for frame in range(len(points) - 1):
        first = len(instances)
        for animal in range(2):
            track = animal if tracked else -1
            start = len(predicted)
            instances.append((first, 1, frame, 0, track, -1, 0.9, start, start + 4, 0))
            for (x, y), score in zip(points[frame, animal], likelihood[frame, animal], strict=True):
                predicted.append((x, y, not np.isnan(x), False, score))
        if frame == 1:
            instances.append((first, 0, frame, 0, 0 if tracked else -1, -1, 0, 0, 4, 0))
            mended += [(*xy, True, True) for xy in points[1, 0] + 5]
        frames.append((frame, 0, frame, first, len(instances)))
    about = {
        "skeletons": [{"nodes": [{"id": 1}, {"id": 2}, {"id": 0}, {"id": 3}], "links": LINKS}],
        "nodes": [{"name": name} for name in (PARTS[2], PARTS[0], PARTS[1], PARTS[3])],
    }
    video = {"filename": "x.mp4", "backend": {"shape": [len(points), 200, 300, 1]}}
    with h5py.File(path, "w") as file:
        file["frames"], file["instances"] = np.array(frames, FRAME), np.array(instances, INSTANCE)
        file["points"] = np.array(mended, POINT)
        file["pred_points"] = np.array(predicted, [*POINT, ("score", "<f8")])
        file["tracks_json"] = [json.dumps([0, name]).encode() for name in ("one", "two")]
        file["videos_json"] = [json.dumps(video).encode()]
        group = file.create_group("metadata")
        group.attrs["json"], group.attrs["format_id"] = json.dumps(about), version
    return path


def test_all_comes_back_and_a_person_overrules_the_network(
    points: np.ndarray, likelihood: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.slp", points, likelihood)
    assert sleap_labels.can_read(path)
    ((name, pose),) = sleap_labels.read(path, Facts(fps=30.0))
    assert (name, pose.individuals, pose.skeleton.keypoints) == ("a", ("one", "two"), PARTS)
    assert pose.skeleton.edges == ((1, 2), (1, 3)), "symmetries are no limbs"
    assert (pose.num_frames, pose.height, pose.width) == (len(points), 200, 300)
    expected = points.copy()
    expected[1, 0] += 5
    expected[-1] = np.nan
    np.testing.assert_allclose(pose.positions, expected, rtol=1e-5)
    assert (pose.confidence[1, 0] == 1).all()
    np.testing.assert_allclose(pose.confidence[0], likelihood[0], atol=1e-6)


def test_old_formats_count_pixels_from_their_corners(
    points: np.ndarray, likelihood: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.slp", points, likelihood, version=1.0)
    ((_, pose),) = sleap_labels.read(path, Facts(fps=30.0))
    np.testing.assert_allclose(pose.positions[0], points[0] - 0.5, rtol=1e-5)


def test_animals_that_no_track_tells_apart_are_refused(
    points: np.ndarray, likelihood: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.slp", points, likelihood, tracked=False)
    with pytest.raises(InputError, match="no track tells apart"):
        list(sleap_labels.read(path, Facts(fps=30.0)))


def add_second_video(path: Path, **described: Any) -> None:
    """Frames 4 and later become frames of another video."""
    with h5py.File(path, "r+") as file:
        frames = file["frames"][()]
        frames["video"][4:] = 1
        del file["frames"], file["videos_json"]
        file["frames"] = frames
        shape = {"shape": [8, 200, 300, 1]}
        videos = [{"filename": "day 1/a.b.mp4", "backend": shape}, {"backend": shape} | described]
        file["videos_json"] = [json.dumps(video).encode() for video in videos]


@pytest.mark.parametrize("name", ["c.mp4", "/data/day 2/c.mp4", "D:\\day 2\\c.avi"])
def test_videos_are_called_after_their_files_wherever_these_are_named(
    name: str, points: np.ndarray, likelihood: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.slp", points, likelihood)
    add_second_video(path, backend={"shape": [8, 200, 300, 1], "filename": name})
    assert [name for name, _ in sleap_labels.read(path, Facts(fps=30.0))] == ["a.b", "c"]


@pytest.mark.parametrize("described", [{}, {"backend": None}, {"filename": ["1.png", "2.png"]}])
def test_a_video_without_a_name_is_refused(
    described: dict[str, Any], points: np.ndarray, likelihood: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.slp", points, likelihood)
    add_second_video(path, **described)
    with pytest.raises(InputError, match="what one of its videos is called"):
        list(sleap_labels.read(path, Facts(30.0, 200, 300)))


@pytest.mark.parametrize("table", [*sleap_labels.TABLES, *sleap_labels.TEXTS])
def test_a_file_without_one_of_the_tables_is_no_such_file(
    table: str, points: np.ndarray, likelihood: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.slp", points, likelihood)
    with h5py.File(path, "r+") as file:
        del file[table]
    assert not sleap_labels.can_read(path)


def test_damaged_descriptions_and_unknown_tracks_are_refused(
    points: np.ndarray, likelihood: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.slp", points, likelihood)
    with h5py.File(path, "r+") as file:
        del file["tracks_json"]
        file["tracks_json"] = [json.dumps([0, "one"]).encode()]
    with pytest.raises(InputError, match="names 1 track\n"):
        list(sleap_labels.read(path, Facts(fps=30.0)))
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["json"] = "{}"
    with pytest.raises(InputError, match="lacks a part"):
        list(sleap_labels.read(path, Facts(fps=30.0)))


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.slp").write_text("no HDF5")
    assert not sleap_labels.can_read(tmp_path / "a.slp")
