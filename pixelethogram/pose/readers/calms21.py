"""CalMS21 and MABe 2021: files of many sequences of two mice, with and without annotations.

Four layouts, as .npy (a pickled dict) and as .json; a sequence is {keypoints, annotations,
annotator_id, scores, metadata}, of which all but keypoints may be missing::

    {vocabulary, sequences: {id: sequence}}            challenge, tasks 1 and 2
    {id: sequence}                                     its test file, wrapped in sequences or not
    {group: {id: sequence}}                            release; annotator-id_0, or a behavior
    {group: {vocabulary, sequences: {id: sequence}}}   challenge, task 3; group: a behavior

Sun et al., "The Multi-Agent Behavior Dataset: Mouse Dyadic Social Interactions", 2021.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.progress import format_count
from pixelethogram.safe_npy import is_pickled_npy, read_pickled_npy

logger = logging.getLogger(__name__)

HEIGHT, WIDTH, FPS = 570, 1024, 30.0
MARGIN = 40  # pixels outside of the picture at which a keypoint is still believed
OUTSIDE_SHARE = 0.01  # more points than this outside: the axes are not what they should be
MICE = ("resident", "intruder")
SKELETON = Skeleton(
    ("nose", "left ear", "right ear", "neck", "left hip", "right hip", "tail base"),
    edges=((0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6)),
    outline=(0, 1, 4, 6, 5, 2),
    front=0,
    back=6,
)
NOSE, LEFT_EAR, NECK = 0, 1, 3
EXPECTED = "(frames, mouse, xy, part) = (T, 2, 2, 7)"
OTHER = "other"
GROUP_OF_RATER = re.compile(r"annotator-id_(\w+)")
JSON_START = re.compile(
    r'\s*\{\s*"(annotator-id_|vocabulary"|sequences"|[^"]+"\s*:\s*\{\s*"(task\d|vocabulary"|'
    r'sequences"|keypoints"))'
)


@dataclasses.dataclass(frozen=True)
class Sequence21:
    """One sequence of a file."""

    id: str
    """Its key."""
    pose: Pose
    group: str
    """The behavior that it was annotated for; empty where all were."""
    rater: str | None
    """Who annotated it, or should be imitated where it is not annotated."""
    annotations: np.ndarray | None
    """(T,) int, indices of `vocabulary`; None where there are none."""
    vocabulary: tuple[str, ...]
    """Name of each index; empty where the file does not say."""

    @property
    def name(self) -> str:
        """`id` as the name of a folder."""
        return re.sub(r"[/\\:]", "_", self.id)


def can_read(path: Path) -> bool:
    """True for a file that looks like one of the layouts; little of it is read."""
    if path.suffix.lower() == ".npy":
        return is_pickled_npy(path)
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return JSON_START.match(file.read(4096).decode("utf-8", "replace")) is not None


def read(path: Path, facts: Facts) -> Iterator[tuple[str, Pose]]:
    """Name and pose of every sequence; see `read_sequences`. All are of one camera, known here."""
    for each in read_sequences(path):
        yield each.name, each.pose


def read_sequences(path: Path) -> list[Sequence21]:
    """Every sequence of a file, with its annotations.

    A warning tells of left and right that have changed places.

    Raises:
        InputError: Not such a file, or one whose sequences are not what they should be.
    """
    content = _read_json(path) if path.suffix.lower() == ".json" else read_pickled_npy(path)
    found = [_parse(*each, path) for each in _walk(content, path)]
    if not found:
        raise InputError("there is no sequence in it", where=path, do="check the file")
    if share_of_swapped_sides([each.pose for each in found]) > 0.5:
        logger.warning(
            "%s: left and right seem to have changed places: seen from above, the left ear lies on "
            "the right of most mice",
            path,
        )
    return found


def share_of_swapped_sides(poses: Sequence[Pose]) -> float:
    """Share of mice and frames whose left ear is on the right of the line from neck to nose.

    Convention: y points down, the camera looks from above.
    """
    wrong = seen = 0
    for pose in poses:
        ahead = pose.positions[:, :, NOSE] - pose.positions[:, :, NECK]
        left = pose.positions[:, :, LEFT_EAR] - pose.positions[:, :, NECK]
        cross = ahead[..., 0] * left[..., 1] - ahead[..., 1] * left[..., 0]
        wrong += int((cross > 0).sum())
        seen += int((cross != 0).sum() - np.isnan(cross).sum())
    return wrong / max(seen, 1)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=path, do="check the path") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", where=path, do="fetch the file again") from error


def _walk(
    node: Any, path: Path, group: str = "", vocabulary: Any = None
) -> Iterator[tuple[str, str, Mapping[str, Any], Any]]:
    """Group, id, sequence and vocabulary of every sequence below a node of the file."""
    if not isinstance(node, Mapping):
        raise InputError(
            f"{group or 'the file'} holds a {type(node).__name__} where sequences should be",
            where=path,
            do="give a file with sequences by their names, such as CalMS21's train.npy",
        )
    if "sequences" in node:
        yield from _walk(node["sequences"], path, group, node.get("vocabulary", vocabulary))
        return
    for key, value in node.items():
        if isinstance(value, Mapping) and "keypoints" in value:
            yield group, str(key), value, vocabulary
        elif group:
            raise InputError(
                f'sequence "{key}" has no keypoints', where=path, do="fetch the file again"
            )
        else:
            yield from _walk(value, path, str(key), vocabulary)


def _parse(
    group: str, key: str, sequence: Mapping[str, Any], vocabulary: Any, path: Path
) -> Sequence21:
    where = f'{path}, sequence "{key}"'
    metadata = sequence.get("metadata") or {}
    names = _parse_vocabulary(vocabulary or metadata.get("vocab"), where)
    pose = _parse_pose(sequence, where)
    rater = sequence.get("annotator_id")
    if found := GROUP_OF_RATER.fullmatch(group):
        group, rater = "", found[1]
    annotations = sequence.get("annotations")
    if annotations is not None:
        annotations = _parse_annotations(annotations, pose.num_frames, names, where)
    rater = None if rater is None else f"annotator {rater}"
    return Sequence21(key, pose, group, rater, annotations, names)


def _parse_pose(sequence: Mapping[str, Any], where: str) -> Pose:
    try:
        keypoints = np.asarray(sequence["keypoints"], dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"keypoints are not numbers {EXPECTED}: {error}", where=where, do="fetch it again"
        ) from error
    if keypoints.ndim != 4 or keypoints.shape[1:] != (2, 2, 7):
        raise InputError(
            f"keypoints have shape {keypoints.shape}, expected {EXPECTED}",
            where=where,
            why="the axes are in another order, or it is another kind of data",
            do="put them in this order; nothing is turned round by guess",
        )
    _refuse_implausible(keypoints, where)
    positions = keypoints.transpose(0, 1, 3, 2)  # (T, mouse, part, xy)
    scores = sequence.get("scores")
    confidence = np.ones(positions.shape[:3]) if scores is None else np.asarray(scores, np.float64)
    return Pose(positions, confidence.clip(max=1.0), SKELETON, MICE, HEIGHT, WIDTH, FPS)


def _refuse_implausible(keypoints: np.ndarray, where: str) -> None:
    """Raise where x and y cannot be pixels of the camera, as when mice and xy changed places."""
    limits = np.array([WIDTH, HEIGHT])[:, None]
    outside = (keypoints < -MARGIN) | (keypoints > limits + MARGIN)
    share = outside.mean(axis=(0, 1, 3)) if len(keypoints) else np.zeros(2)
    if (share > OUTSIDE_SHARE).any():
        raise InputError(
            f"{share[0]:.0%} of x and {share[1]:.0%} of y lie outside of the {WIDTH} x {HEIGHT} "
            f"pixels of the camera; expected {EXPECTED}, x before y",
            where=where,
            why="the axes of mice and of x and y have changed places, or it is another camera",
            do="put the axes in this order, in pixels; nothing is turned round by guess",
        )


def _parse_vocabulary(found: Any, where: str) -> tuple[str, ...]:
    """Names in the order of their numbers, from a list of names or a dict name -> number."""
    if found is None:
        return ()
    if isinstance(found, Mapping):
        names = {number: name for name, number in found.items()}
        if set(names) == set(range(len(found))):
            return tuple(str(names[number]) for number in range(len(found)))
    elif isinstance(found, list | tuple | np.ndarray) and len(set(found)) == len(found):
        return tuple(str(name) for name in found)
    raise InputError(
        f"the vocabulary is {found!r}",
        where=where,
        do="give a list of names, or a number from 0 on for each name",
    )


def _parse_annotations(found: Any, num_frames: int, names: Sequence[str], where: str) -> np.ndarray:
    values = np.asarray(found)
    if values.shape != (num_frames,) or values.dtype.kind not in "iu":
        raise InputError(
            f"annotations are {values.shape} {values.dtype}, expected ({num_frames},) whole "
            "numbers, one per frame",
            where=where,
            do="fetch the file again",
        )
    if not names:
        raise InputError(
            "there are annotations, but no vocabulary that says what they mean",
            where=where,
            do="add the vocabulary to the file",
        )
    if len(values) and (values.min() < 0 or values.max() >= len(names)):
        raise InputError(
            f"annotations reach from {values.min()} to {values.max()}, the vocabulary has "
            f"{format_count(len(names), 'name')}",
            where=where,
            do="fetch the file again",
        )
    return values.astype(np.int64)
