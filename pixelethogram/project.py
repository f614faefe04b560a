"""The project folder: behaviors, videos, labels and splits. The only module that knows its layout.

::

    my_project/
    ├── project.yaml              behaviors (ordered), exclusive, settings, splits
    ├── videos.csv                what is known of each video (metadata.py); may not exist
    ├── learning_curve.png        picture of `learning-curve`; may not exist
    ├── videos/<name>/
    │   ├── video.yaml            source, hash, frames, fps, size
    │   ├── frame_table.npz       time stamps and key frames (video files only)
    │   ├── pose.h5               keypoints (pose/pose_file.py), of some videos
    │   ├── labels.csv            human ethogram: 1 present, 0 absent, -1 not scored
    │   ├── labels.<rater>.csv    the same by another person; judges, never trains
    │   ├── proxy/<size>.*        frames at training size (frames/proxy.py), safe to delete
    │   ├── scene.npz             the empty scene (alarms.py), safe to delete
    │   ├── features/<run>.h5     (store.py), sequence/<run>.h5
    │   └── ethogram.csv          the newest model's answer
    ├── runs/                     (runs.py)
    └── splits/<column>/<number>/ runs/ and arrays/<name>/ of a division (split_training.py)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pixelethogram.config import FramesConfig
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.ethogram import Ethogram, check_exclusive, read_csv
from pixelethogram.frames.drawn_pose import DrawnPose, hash_drawing
from pixelethogram.frames.frame_table import read_frame_table
from pixelethogram.frames.proxy import proxy_path
from pixelethogram.frames.source import FrameSource, hash_recording, open_frames
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.pose_file import read_pose, read_pose_hash
from pixelethogram.runs import read_yaml, write_yaml
from pixelethogram.splits import Segment

NOBODY = "nobody"
FORBIDDEN_NAMES = frozenset({"", "frame", "background"})
NO_RATERS = frozenset({"old", "new"})  # labels.old.csv is what was there before
MAIN_RATER = "labels"  # as whom labels.csv counts beside those of raters


@dataclasses.dataclass(frozen=True)
class Video:
    """One recording of a project, with its files."""

    folder: Path
    elsewhere: Path | None = None
    """Where features and probabilities lie, if not in `folder`."""

    @property
    def name(self) -> str:
        """Folder name, unique in the project."""
        return self.folder.name

    @property
    def arrays(self) -> Path:
        """Folder of features and probabilities (store.py)."""
        return self.elsewhere or self.folder

    @cached_property
    def info(self) -> dict[str, Any]:
        """Content of video.yaml."""
        return read_yaml(self.folder / "video.yaml")

    @property
    def num_frames(self) -> int:
        """Frames that the decoder yields."""
        return int(self.info["num_frames"])

    @property
    def fps(self) -> float:
        """Average frames per second."""
        return float(self.info["fps"])

    @property
    def sha256(self) -> str:
        """Hash of size, first and last megabyte of the recording."""
        return str(self.info["sha256"])

    @property
    def is_pose(self) -> bool:
        """True for a recording that has a pose and no pixels."""
        return self.info.get("kind") == "pose"

    @property
    def rater(self) -> str:
        """Who scored labels.csv, or whose habits are to be predicted; `NOBODY` if nobody said."""
        return str(self.info.get("rater", NOBODY))

    @property
    def held_out(self) -> bool:
        """True for a recording that is never scored here, as those of a challenge's test."""
        return bool(self.info.get("held_out", False))

    @property
    def pose_path(self) -> Path:
        """Keypoints of the recording; may not exist."""
        return self.folder / "pose.h5"

    @property
    def labels_path(self) -> Path:
        """The human ethogram; may not exist."""
        return self.folder / "labels.csv"

    @property
    def ethogram_path(self) -> Path:
        """The model's ethogram; may not exist."""
        return self.folder / "ethogram.csv"

    @property
    def scene_path(self) -> Path:
        """The empty scene, small; may not exist."""
        return self.folder / "scene.npz"

    @property
    def source(self) -> Path:
        """The recording itself; of a pose without pixels the copy in the project.

        Raises:
            InputError: It is neither where it was nor at the same place relative to the project,
                or another recording has taken its place.
        """
        if self.is_pose:
            return self.pose_path
        relative = (self.folder / self.info["relative_source"]).resolve()
        candidates = list(dict.fromkeys([relative, Path(self.info["source"])]))
        present = [path for path in candidates if path.exists()]
        for path in present:
            if hash_recording(path) == self.sha256:
                return path
        raise InputError(
            f"the recording of {self.name} is {'another one now' if present else 'gone'}",
            where=" or ".join(map(str, present or candidates)),
            why="the video or the project was moved, or the file was replaced",
            do="put it back, or add it from where it is now: pixelethogram add PROJECT VIDEO",
        )

    @property
    def pose_sha256(self) -> str | None:
        """Hash of the pose; None where there is none."""
        return read_pose_hash(self.pose_path) if self.pose_path.exists() else None

    def is_drawn(self, frames: FramesConfig) -> bool:
        """True where networks see the drawn pose, by these settings."""
        return self.is_pose or frames.pose.instead_of_pixels

    def input_sha256(self, frames: FramesConfig) -> str:
        """Hash of what networks see: of the pose where it is drawn, else of the recording."""
        return (self.pose_sha256 or "none") if self.is_drawn(frames) else self.sha256

    def proxy_path(self, frames: FramesConfig) -> Path:
        """Proxy of the frames that networks see; other drawings have other proxies."""
        look: str = frames.fit
        if self.is_drawn(frames):
            look = f"pose-{hash_drawing(frames.pose, self.input_sha256(frames))}"
        return proxy_path(self.folder, frames.height, frames.width, look)

    def open(self, frames: FramesConfig | None = None) -> FrameSource:
        """Frame-exact access to the recording; the caller closes it.

        Args:
            frames: Settings by which a pose is drawn; None draws by the defaults.
        """
        frames = frames or FramesConfig()
        if self.is_drawn(frames):
            return self.open_drawn(frames)
        table_path = self.folder / "frame_table.npz"
        table = read_frame_table(table_path) if table_path.exists() else None
        return open_frames(self.source, table)

    def open_drawn(self, frames: FramesConfig) -> DrawnPose:
        """Drawn frames and the keypoints behind them.

        Raises:
            InputError: These settings do not draw it, or it has no pose.
        """
        if not self.is_drawn(frames):
            raise InputError(
                f"{self.name} has pixels, and its keypoints are asked for",
                where=self.folder,
                why="flow.model.name=pose and features.augment_poses need drawn poses",
                do="import its pose and add --set frames.pose.instead_of_pixels=true; or choose "
                "--set flow.model.name=tiny_motionnet, and leave features.augment_poses away",
            )
        return DrawnPose(self.read_pose(), frames.pose, frames.height, frames.width)

    def read_pose(self) -> Pose:
        """Keypoints of every frame.

        Raises:
            InputError: Nobody gave any.
        """
        if not self.pose_path.exists():
            raise InputError(
                f"{self.name} has no pose",
                where=self.folder,
                do=f'pixelethogram import PROJECT POSE_FILE --video "{self.name}"',
            )
        return read_pose(self.pose_path)

    @property
    def raters(self) -> tuple[str, ...]:
        """Names of the people whose labels lie beside labels.csv, sorted."""
        names = (
            path.name[len("labels.") : -len(".csv")] for path in self.folder.glob("labels.*.csv")
        )
        return tuple(sorted(name for name in names if "." not in name and name not in NO_RATERS))

    def rater_path(self, rater: str | None) -> Path:
        """Labels of a rater; None means labels.csv, which trains."""
        return self.labels_path if rater is None else self.folder / f"labels.{rater}.csv"

    def read_labels(self, behaviors: Sequence[str], rater: str | None = None) -> Ethogram | None:
        """Labels in the project's order of behaviors; None where nobody, or not this rater, did."""
        path = self.rater_path(rater)
        if not path.exists():
            return None
        return read_csv(path, behaviors, self.num_frames, self.fps)


@dataclasses.dataclass(frozen=True)
class Project:
    """A folder of videos and labels; opening it checks only project.yaml."""

    folder: Path
    elsewhere: Path | None = None
    """Folder of the runs/ and arrays/<name>/ of a division, if they are not the project's."""

    @cached_property
    def record(self) -> dict[str, Any]:
        """Content of project.yaml, checked."""
        path = self.folder / "project.yaml"
        if not path.is_file():
            raise InputError(
                "this is not a project",
                where=self.folder,
                why="there is no project.yaml in it",
                do=f'make one: pixelethogram new "{self.folder}" --behaviors lick,groom',
            )
        record = read_yaml(path)
        _check_record(record, path)
        return record

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Names, in the order of all label columns."""
        return tuple(self.record["behaviors"])

    @property
    def exclusive(self) -> bool:
        """True where at most one behavior is present on a frame."""
        return bool(self.record.get("exclusive", False))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of this project, between preset and `--set`."""
        return self.record.get("settings") or {}

    @property
    def runs(self) -> Path:
        """Folder of all runs."""
        return (self.elsewhere or self.folder) / "runs"

    @property
    def learning_curve_path(self) -> Path:
        """Picture of the learning curve; may not exist."""
        return self.folder / "learning_curve.png"

    @property
    def splits(self) -> dict[str, list[Segment]]:
        """Part -> stretches of video; empty until the first training."""
        try:
            return {
                part: [
                    Segment(video, int(start), int(stop))
                    for video, spans in (videos or {}).items()
                    for start, stop in spans
                ]
                for part, videos in (self.record.get("splits") or {}).items()
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                f"`splits` cannot be read: {error}",
                where=self.folder / "project.yaml",
                do="delete `splits` there; the next training solves it anew",
            ) from error

    def videos(self) -> list[Video]:
        """All videos, sorted by name."""
        found = sorted(self.folder.glob("videos/*/video.yaml"))
        return [self._open(path.parent.name) for path in found]

    def video(self, name: str) -> Video:
        """One video by name."""
        video = self._open(name)
        if not (video.folder / "video.yaml").is_file():
            known = ", ".join(v.name for v in self.videos()) or "none yet"
            raise InputError(f'there is no video "{name}"', where=self.folder, do=f"known: {known}")
        return video

    def read_labels(self) -> dict[str, Ethogram]:
        """Labels of every video that has any scored frame."""
        labels = {video.name: video.read_labels(self.behaviors) for video in self.videos()}
        found = {name: value for name, value in labels.items() if value is not None}
        if self.exclusive:
            for name, ethogram in found.items():
                check_exclusive(ethogram, self.video(name).labels_path)
        return {name: value for name, value in found.items() if value.scored.any()}

    def write_splits(self, splits: Mapping[str, Sequence[Segment]]) -> None:
        """Keep the splits in project.yaml; a division, whose runs lie elsewhere, has its own."""
        if self.elsewhere is not None:
            raise ValueError(f"{self.elsewhere} has its splits; write those of {self.folder}")
        write_yaml(self.folder / "project.yaml", self.with_splits(splits).record)
        self.__dict__.pop("record", None)

    def with_splits(
        self, splits: Mapping[str, Sequence[Segment]], elsewhere: Path | None = None
    ) -> Project:
        """The same project with other splits, written nowhere; None keeps `elsewhere`."""
        plain: dict[str, dict[str, list[list[int]]]] = {}
        for part, segments in splits.items():
            plain[part] = {}
            for segment in segments:
                spans = plain[part].setdefault(segment.video, [])
                spans.append([int(segment.start), int(segment.stop)])
        other = Project(self.folder, elsewhere or self.elsewhere)
        other.__dict__["record"] = {**self.record, "splits": plain}
        return other

    def _open(self, name: str) -> Video:
        arrays = self.elsewhere / "arrays" / name if self.elsewhere else None
        return Video(self.folder / "videos" / name, arrays)


def create_project(folder: Path, behaviors: Sequence[str], *, exclusive: bool = False) -> Project:
    """Make an empty project.

    Raises:
        UsageError: Empty, repeated or impossible behavior names.
        InputError: There is already something in the folder.
    """
    names = [name.strip() for name in behaviors]
    record: dict[str, Any] = {"behaviors": names, "exclusive": exclusive}
    try:
        _check_record(record, "--behaviors")
    except InputError as error:
        raise UsageError(error.what, why=error.why, do=error.do) from error
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise InputError("there is something here already", where=folder, do="choose a new name")
    (folder / "videos").mkdir(parents=True)
    write_yaml(folder / "project.yaml", {**record, "settings": {}})
    return Project(folder)


def note(video: Video, facts: Mapping[str, Any]) -> Video:
    """Add facts to video.yaml, e.g. its `rater`, or that it is `held_out`."""
    if any(video.info.get(key) != value for key, value in facts.items()):
        write_yaml(video.folder / "video.yaml", {**video.info, **facts})
    return Video(video.folder, video.elsewhere)


RECORD_KEYS: dict[str, tuple[type, ...]] = {
    "behaviors": (list,),
    "exclusive": (bool,),
    "settings": (dict, type(None)),
    "splits": (dict, type(None)),
}


def _check_record(record: Any, where: object) -> None:
    if not isinstance(record, dict) or not record.get("behaviors"):
        raise InputError("no behaviors are given", where=where, do="name at least one behavior")
    for key, value in record.items():
        if key not in RECORD_KEYS:
            known = ", ".join(RECORD_KEYS)
            raise InputError(f'unknown key "{key}"', where=where, do=f"known: {known}")
        if not isinstance(value, RECORD_KEYS[key]):
            kind = RECORD_KEYS[key][0].__name__
            raise InputError(f"{key}: {value!r} is not a {kind}", where=where, do="mend it")
    names = record["behaviors"]
    for name in names:
        if not isinstance(name, str) or name != name.strip() or name in FORBIDDEN_NAMES:
            raise InputError(
                f"{name!r} cannot be the name of a behavior",
                where=where,
                why='names are texts without outer spaces; "frame" and "background" mean something '
                "else, and YAML reads yes, no, on and off as true and false",
                do="choose another name, or put it in quotes",
            )
    if len(set(names)) < len(names):
        raise InputError("two behaviors have the same name", where=where, do="rename one")
