"""Reasons to doubt a score: shortcuts, too few bouts, the same animals in training and test.

Facts about videos that a model may use in place of behavior are looked for with baselines that see
nothing else, see `ethogram/shortcuts.py`. The empty scene is the median over the video, from which
an animal that moves is gone, so that what it does cannot be read from it.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.config import Config, FramesConfig
from pixelethogram.errors import InputError
from pixelethogram.ethogram.bouts import find_runs
from pixelethogram.ethogram.judgement import Judgement
from pixelethogram.ethogram.shortcuts import MIN_VIDEOS, Shortcuts, ask_baselines
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.frames.proxy import ProxyFile
from pixelethogram.metadata import UNKNOWN, Metadata, read_metadata
from pixelethogram.progress import format_count
from pixelethogram.project import Project, Video
from pixelethogram.splits import Segment

SCENE_SIDE = 16
SCENE_FRAMES = 50
MAX_NAMED = 3
MIN_BOUTS: Mapping[str, int] = {"train": 10, "val": 5, "test": 5}
P_LEVEL = 0.05
MIN_AUROC = 0.6
SETUP_COLUMNS = frozenset(
    {
        *("arena", "batch", "box", "cage", "camera", "date", "day", "experimenter", "lab", "light"),
        *("lighting", "rater", "rig", "room", "session", "setup", "site"),
    }
)
"""Columns of videos.csv that a behavior should not depend on; a treatment may change it."""
ANIMAL_COLUMNS = frozenset({"animal", "cage", "individual", "litter", "mouse", "rat", "subject"})


@dataclasses.dataclass(frozen=True)
class Alarm:
    """One reason to doubt."""

    level: str
    """warning, or note where nothing could be tested."""
    kind: str
    """chance, shortcut, few bouts, same animals, or same videos."""
    what: str
    do: str


@dataclasses.dataclass(frozen=True)
class AlarmReport:
    """All of them, and what the baselines reached."""

    alarms: list[Alarm]
    shortcuts: Shortcuts | None
    """None where there are too few videos."""


def find_alarms(project: Project, config: Config) -> AlarmReport:
    """Look at the labels, the parts and the recordings of a project; no model is needed.

    Args:
        project: What a model learned from.
        config: Settings of the model; they say what it sees of the recordings.
    """
    labels = {name: each.values for name, each in project.read_labels().items()}
    metadata = read_metadata(project)
    alarms = count_bouts(labels, project.splits, project.behaviors)
    alarms += check_parts(project.splits, metadata)
    if len(labels) < MIN_VIDEOS:
        what = f"{format_count(len(labels), 'labelled video')}: too few to look for shortcuts"
        do = f"label {MIN_VIDEOS} or more videos, from several days and cameras"
        return AlarmReport([*alarms, Alarm("note", "shortcut", what, do)], None)
    videos = [project.video(name) for name in labels]
    scenes, notes = look_at_scenes(videos, config)
    alarms += notes
    shortcuts = ask_baselines(
        gather_facts(videos, metadata, scenes),
        np.array([(each == 1).sum(axis=0) for each in labels.values()]),
        np.array([(each == 0).sum(axis=0) for each in labels.values()]),
    )
    return AlarmReport(alarms + describe_shortcuts(shortcuts, project.behaviors), shortcuts)


def describe_shortcuts(shortcuts: Shortcuts, behaviors: Sequence[str]) -> list[Alarm]:
    """A warning for each behavior that a baseline can tell; the best baseline is named."""
    alarms = []
    clear = (shortcuts.p_value < P_LEVEL) & (shortcuts.auroc >= MIN_AUROC)
    for column, behavior in enumerate(behaviors):
        if not clear[:, column].any():
            continue
        auroc = np.where(clear[:, column], shortcuts.auroc[:, column], 0.0)
        best = int(auroc.argmax())
        what = (
            f'"{behavior}": {shortcuts.baselines[best]} alone, without any look at the animal, '
            f"ranks the frames with an AUROC of {auroc[best]:.2f} (chance 0.5, "
            f"p = {shortcuts.p_value[best, column]:.3f}); a model's score may come from there"
        )
        do = "look at the AUROC inside of single videos; label videos in which this fact varies"
        alarms.append(Alarm("warning", "shortcut", what, do))
    return alarms


def count_bouts(
    labels: Mapping[str, np.ndarray],
    splits: Mapping[str, Sequence[Segment]],
    behaviors: Sequence[str],
) -> list[Alarm]:
    """A warning for each behavior and part with too few bouts to learn from, or to judge by."""
    alarms = []
    for part, segments in splits.items():
        counts = np.zeros(len(behaviors), dtype=np.int64)
        for each in segments:
            if each.video in labels:
                inside = labels[each.video][each.start : each.stop] == 1
                counts += [len(find_runs(column)) for column in inside.T]
        wanted = MIN_BOUTS.get(part, 0) if segments else 0
        for behavior, count in zip(behaviors, counts.tolist(), strict=True):
            if count < wanted:
                purpose = "learn from" if part == "train" else "judge by"
                bouts = format_count(count, "bout")
                what = f'"{behavior}" has {bouts} in {part}: too few to {purpose}'
                alarms.append(
                    Alarm(
                        "warning", "few bouts", what, f'label more "{behavior}" ({wanted} or more)'
                    )
                )
    return alarms


def doubt_chance(judged: Judgement) -> list[Alarm]:
    """A warning for each score that is no better than chance."""
    do = "do not use it; look at the labels (pixelethogram labels check), label more, train longer"
    return [Alarm("warning", "chance", what, do) for what in judged.find_chance().values()]


def check_parts(splits: Mapping[str, Sequence[Segment]], metadata: Metadata) -> list[Alarm]:
    """Whether training has seen the videos, or the animals, that judge it."""
    parts = {part: {each.video for each in segments} for part, segments in splits.items()}
    train = parts.get("train", set())
    judging = parts.get("test") or parts.get("val", set())
    if train & judging:
        what = "training and test are parts of the same videos: the score holds for these videos, "
        what += "not for new ones"
        return [Alarm("warning", "same videos", what, "label 3 or more videos and split by video")]
    alarms = []
    columns = list(next(iter(metadata.values()), {}))
    for column in (name for name in columns if name.lower() in ANIMAL_COLUMNS):
        seen = {metadata[video][column] for video in train if video in metadata}
        shared = seen & {metadata[video][column] for video in judging if video in metadata}
        shared -= {UNKNOWN}
        if shared:
            what = f"{column} {', '.join(sorted(shared)[:5])}: in training and in test"
            do = "give all videos of one to the same part, by hand in project.yaml"
            alarms.append(Alarm("warning", "same animals", what, do))
    return alarms


def look_at_scenes(
    videos: Sequence[Video], config: Config
) -> tuple[np.ndarray | None, list[Alarm]]:
    """The empty scenes (V, SCENE_SIDE, SCENE_SIDE, 3), or None and a note that says why not."""
    drawn = any(video.is_drawn(config.frames) for video in videos)
    if drawn or isinstance(config.features.model, KeypointsConfig):
        what = "the model sees keypoints and no pixels, so light and scene were not looked at"
        do = "nothing: it cannot learn from what it does not see"
        return None, [Alarm("note", "shortcut", what, do)]
    scenes, gone = [], []
    for video in videos:
        try:
            scenes.append(read_scene(video, config.frames))
        except InputError as error:
            gone.append(f"{video.name} ({error.what})")
    if gone:
        more = f" and {len(gone) - MAX_NAMED} more" if len(gone) > MAX_NAMED else ""
        what = f"light and scene were not looked at, scene unknown: {', '.join(gone[:MAX_NAMED])}"
        do = "put the recordings back, or: pixelethogram add PROJECT VIDEO"
        return None, [Alarm("note", "shortcut", what + more, do)]
    return np.stack(scenes), []


def gather_facts(
    videos: Sequence[Video], metadata: Metadata, scenes: np.ndarray | None
) -> dict[str, np.ndarray]:
    """What is known of videos besides behavior: baseline -> (V, D).

    Args:
        videos: V of them.
        metadata: From `read_metadata`.
        scenes: From `look_at_scenes`; None leaves out what needs them.
    """
    facts = {
        "size and frame rate": np.array(
            [[float(each.info["width"]), float(each.info["height"]), each.fps] for each in videos]
        ),
        "length": np.log([[video.num_frames] for video in videos]),
    }
    if scenes is not None:
        flat = scenes.reshape(len(videos), -1)
        light = np.stack([flat.mean(axis=1), flat.std(axis=1)], axis=1)
        facts |= {"brightness and contrast": light, "the empty scene": flat}
    for column in next(iter(metadata.values()), {}):
        values = [metadata.get(video.name, {}).get(column, "") for video in videos]
        kinds = sorted(set(values))
        if column.lower() in SETUP_COLUMNS and 1 < len(kinds) < len(videos):
            facts[column] = (np.array(values)[:, None] == kinds).astype(float)
    return facts


def read_scene(video: Video, frames: FramesConfig) -> np.ndarray:
    """The median of some frames of a video, (SCENE_SIDE, SCENE_SIDE, 3) float in [0, 1].

    Read from the proxy of these settings where there is one, else from the recording, and kept in a
    small file, since finding frames all over a recording takes seconds.

    Raises:
        InputError: It was not kept, and the recording is gone.
    """
    proxy = video.proxy_path(frames)
    origin = f"{video.sha256} {proxy.name}"
    if video.scene_path.exists():
        with np.load(video.scene_path) as kept:
            if kept["origin"].item() == origin:
                return np.asarray(kept["scene"])
    chosen = np.unique(np.linspace(0, video.num_frames - 1, SCENE_FRAMES).astype(int)).tolist()
    if proxy.exists():
        pictures = ProxyFile(proxy).read(chosen)
    else:
        with video.open(frames) as source:
            pictures = source.read(chosen)
    median = np.median(pictures, axis=0).astype(np.float32)
    small = cv2.resize(median, (SCENE_SIDE, SCENE_SIDE), interpolation=cv2.INTER_AREA)
    scene = small.astype(np.float64) / 255
    content = io.BytesIO()
    np.savez(content, scene=scene, origin=np.array(origin))
    write_bytes(video.scene_path, content.getvalue())
    return scene
