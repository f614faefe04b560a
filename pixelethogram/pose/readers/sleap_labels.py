"""SLEAP's project file, .slp: HDF5 with tables of frames, instances and points.

Read here and not by sleap-io, which brings 22 packages along that nothing else needs. On a frame
that a person mended, the person's instance of a track counts and not the network's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.pose.hdf5_files import look_into, open_to_read
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts, build_pose
from pixelethogram.progress import format_count

TABLES = ("frames", "instances", "points", "pred_points")
TEXTS = ("metadata", "tracks_json", "videos_json")
BY_PERSON = 0  # instance_type; 1 is predicted
BODY_EDGE = 1  # 2 is a symmetry
CENTRED = 1.1  # format from which on pixel centres are whole numbers
ALONE = "animal"


def can_read(path: Path) -> bool:
    """True for an HDF5 file with SLEAP's tables."""
    return bool(look_into(path, lambda file: set(file) >= {*TABLES, *TEXTS}))


def read(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """One pose per video of the file; a single one is named like the file.

    Frames go up to the length of the video where the file tells it, else to the last instance.
    """
    with open_to_read(path) as file:
        tables = {name: file[name][()] for name in TABLES}
        about = json.loads(file["metadata"].attrs["json"])
        shift = 0.0 if float(file["metadata"].attrs["format_id"]) >= CENTRED else -0.5
        tracks = [json.loads(text)[1] for text in file["tracks_json"][()]]
        videos = [json.loads(text) for text in file["videos_json"][()]]
        if len(about["skeletons"]) != 1:
            raise InputError(
                f"the file has {len(about['skeletons'])} skeletons, expected one",
                where=path,
                do="keep one kind of animal per file",
            )
        keypoints, edges = read_skeleton(about)
    for number, video in enumerate(videos):
        shape = (video.get("backend") or {}).get("shape") or [None] * 4
        found = _read_video(path, tables, number, tracks, len(keypoints), shape[0])
        if found is None:
            continue
        positions, confidence, names = found
        name = path.stem if len(videos) == 1 else _name_video(path, video)
        stated = Facts(None, shape[1], shape[2])
        yield (
            name,
            build_pose(
                path,
                positions + shift,
                confidence,
                keypoints=keypoints,
                individuals=names,
                facts=facts.or_else(stated),
                edges=edges,
            ),
        )


def read_skeleton(about: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    """Names of the keypoints and joined pairs; the kind of an edge may refer to an earlier one."""
    skeleton = about["skeletons"][0]
    order = [node["id"] for node in skeleton["nodes"]]
    names = [about["nodes"][node]["name"] for node in order]
    kinds: list[int] = []
    edges = []
    for link in skeleton["links"]:
        if "py/reduce" in link["type"]:
            kinds.append(int(link["type"]["py/reduce"][1]["py/tuple"][0]))
            kind = kinds[-1]
        else:
            kind = kinds[int(link["type"]["py/id"]) - 1]
        if kind == BODY_EDGE:
            edges.append((order.index(link["source"]), order.index(link["target"])))
    return names, edges


def _name_video(path: Path, video: Mapping[str, Any]) -> str:
    """What a video of several is called; older files name it under its backend."""
    named = video.get("filename") or (video.get("backend") or {}).get("filename")
    if isinstance(named, str) and named:
        return Path(re.split(r"[/\\]", named)[-1]).stem
    raise InputError(
        "the file does not say what one of its videos is called",
        where=path,
        why=f"the video is described by {', '.join(video) or 'nothing'}",
        do="keep one video per file",
    )


def _read_video(
    path: Path,
    tables: Mapping[str, np.ndarray],
    number: int,
    tracks: list[str],
    num_keypoints: int,
    num_frames: int | None,
) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Positions (T, N, P, 2), confidence (T, N, P) and names of a video; None: nothing in it."""
    frames = tables["frames"][tables["frames"]["video"] == number]
    counts = (frames["instance_id_end"] - frames["instance_id_start"]).astype(np.int64)
    if not counts.sum():
        return None
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.repeat(frames["instance_id_start"].astype(np.int64), counts) + within
    instances = tables["instances"][chosen]
    frame = np.repeat(frames["frame_idx"].astype(np.int64), counts)
    animal, names = _name_animals(path, frame, instances, tracks)
    length = max(int(num_frames or 0), int(frame.max()) + 1)
    positions = np.full((length, len(names), num_keypoints, 2), np.nan, np.float32)
    confidence = np.zeros(positions.shape[:3], np.float32)
    by_person = instances["instance_type"] == BY_PERSON
    for chosen_by, table in ((~by_person, "pred_points"), (by_person, "points")):
        starts = instances["point_id_start"][chosen_by].astype(np.int64)
        points = tables[table][starts[:, None] + np.arange(num_keypoints)]
        xy = np.stack([points["x"], points["y"]], axis=-1)
        place = (frame[chosen_by], animal[chosen_by])
        positions[place] = np.where(points["visible"][..., None], xy, np.nan)
        confidence[place] = points["score"] if table == "pred_points" else 1.0
    return positions, confidence, names


def _name_animals(
    path: Path, frame: np.ndarray, instances: np.ndarray, tracks: list[str]
) -> tuple[np.ndarray, list[str]]:
    """Animal of each instance, by its track, and the names of the animals."""
    track = instances["track"].astype(np.int64)
    if (track < 0).all():
        track, tracks = np.zeros_like(track), [ALONE]
    key = np.stack([frame, track, instances["instance_type"]], axis=-1)
    if (track < 0).any() or len(np.unique(key, axis=0)) < len(key):
        raise InputError(
            "there are several instances on a frame that no track tells apart",
            where=path,
            why="the animals were not tracked, or not on all frames",
            do="run the tracker (or delete instances without a track), then save the file again",
        )
    used, animal = np.unique(track, return_inverse=True)
    if used[-1] >= len(tracks):
        raise InputError(
            f"an instance is of track {used[-1]}, the file names "
            f"{format_count(len(tracks), 'track')}",
            where=path,
            do="save the file again in SLEAP",
        )
    return animal, [tracks[number] for number in used]
