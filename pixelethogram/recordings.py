"""Recordings come into a project: counted, hashed, linked or copied; poses likewise."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path
from typing import Any

from pixelethogram.errors import InputError
from pixelethogram.frames.frame_table import FrameTable, write_frame_table
from pixelethogram.frames.source import hash_recording, open_frames
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import hash_pose, read_pose_hash, write_pose
from pixelethogram.progress import format_count
from pixelethogram.project import Project, Video
from pixelethogram.runs import write_yaml


def add_video(project: Project, source: Path, *, copy: bool = False) -> tuple[Video, bool]:
    """Index one recording: its frames are counted by decoding it once.

    Args:
        project: Where to add it.
        source: Video file, image folder or HDF5 movie.
        copy: Copy the recording into the project instead of linking it.

    Returns:
        The video, and whether it is new (False: it was there already).

    Raises:
        InputError: Not a recording, or another recording has the same name.
    """
    source = source.resolve()
    folder = _folder_of(project, source.stem if source.is_file() else source.name)
    sha256 = hash_recording(source)
    if (folder / "video.yaml").is_file():
        return _existing_video(Video(folder), sha256, source), False
    with open_frames(source) as frames:
        table = frames.scan()
        info = {
            "sha256": sha256,
            "num_frames": frames.num_frames,
            "fps": round(float(frames.fps), 6),
            "height": frames.height,
            "width": frames.width,
        }
    folder.mkdir(parents=True, exist_ok=True)
    info |= _place(_copy_recording(source, folder) if copy else source, folder)
    if isinstance(table, FrameTable):
        write_frame_table(table, folder / "frame_table.npz")
        info |= {"num_damaged": table.num_damaged, "variable_rate": table.variable_rate}
    write_yaml(folder / "video.yaml", info)
    return Video(folder), True


def add_pose(project: Project, name: str, pose: Pose, source: Path) -> Video:
    """Add a recording that has a pose and no pixels; adding the same again changes nothing.

    Args:
        project: Where to add it.
        name: Of the new video; one file may hold the poses of many.
        pose: Its keypoints.
        source: File they were read from.

    Raises:
        InputError: There are no frames, or another recording has the same name.
    """
    source = source.resolve()
    folder = _folder_of(project, name)
    sha256 = hash_pose(pose)
    if not pose.num_frames:
        raise InputError(f"the pose of {name} has no frames", where=source, do="leave it out")
    if (folder / "video.yaml").is_file():
        return _existing_video(Video(folder), sha256, source)
    info: dict[str, Any] = {
        "kind": "pose",
        "sha256": sha256,
        "source_sha256": hash_recording(source),
        "num_frames": pose.num_frames,
        "fps": round(float(pose.fps), 6),
        "height": pose.height,
        "width": pose.width,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_pose(pose, folder / "pose.h5")
    write_yaml(folder / "video.yaml", info | _place(source, folder))
    return Video(folder)


def attach_pose(video: Video, pose: Pose, source: Path, *, overwrite: bool = False) -> None:
    """Give a video with pixels its pose; the frame rate is the video's.

    Args:
        video: Of the project.
        pose: Keypoints of exactly the frames of the video.
        source: File they were read from, for messages.
        overwrite: Replace another pose.

    Raises:
        InputError: Another number of frames, or another pose is there already.
    """
    if pose.num_frames != video.num_frames:
        raise InputError(
            f"the pose has {format_count(pose.num_frames, 'frame')}, "
            f"{video.name} has {video.num_frames}",
            where=source,
            why="it belongs to another video, or the tracker left frames out",
            do="track the whole video again; nothing is cut or padded by guess",
        )
    pose = dataclasses.replace(pose, fps=video.fps)
    if video.pose_path.exists():
        if read_pose_hash(video.pose_path) == hash_pose(pose):
            return
        if not overwrite or video.is_pose:
            do = "remove the video and add it again" if video.is_pose else "add --overwrite"
            raise InputError(f"{video.name} has another pose already", where=video.pose_path, do=do)
    write_pose(pose, video.pose_path)


def _folder_of(project: Project, name: str) -> Path:
    return project.folder / "videos" / re.sub(r"[/\\:]", "_", name)


def _existing_video(video: Video, sha256: str, source: Path) -> Video:
    if video.sha256 != sha256:
        raise InputError(
            f'another recording is already called "{video.name}"',
            where=source,
            why=f"videos are named after their files; that one came from {video.info['source']}",
            do="rename the file, then add it again",
        )
    if video.is_pose:
        return video
    try:
        video.source  # noqa: B018 - raises when it is gone
    except InputError:  # and here it is again
        write_yaml(video.folder / "video.yaml", video.info | _place(source, video.folder))
    return Video(video.folder)


def _place(source: Path, folder: Path) -> dict[str, str]:
    """Where a recording lies, for the day when the project, or all of it, was moved."""
    try:
        relative = os.path.relpath(source, folder)
    except ValueError:  # another drive (Windows)
        relative = str(source)
    return {"source": str(source), "relative_source": Path(relative).as_posix()}


def _copy_recording(source: Path, folder: Path) -> Path:
    target = folder / source.name
    temporary = folder / f".{source.name}.partial"
    if source.is_dir():
        shutil.copytree(source, temporary, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
    return target
