"""Which frames of which videos a stage learns from, and which validate it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.project import Project, Video

Span = tuple[int, int, int]
"""Video number, start, stop."""
UNLABELLED_VAL = 0.2  # share of each video that validates the flow when nothing is labelled


def read_labelled(
    project: Project,
) -> tuple[list[Video], list[np.ndarray], dict[str, list[Span]]]:
    """Labelled videos with a part, their labels, and the spans of each part."""
    spans = project.splits
    parts = {segment.video for segments in spans.values() for segment in segments}
    ethograms = {name: each for name, each in project.read_labels().items() if name in parts}
    if not ethograms:
        raise InputError(
            "no video has labels",
            where=project.folder,
            do=f'import them: pixelethogram import "{project.folder}" LABELS.csv',
        )
    videos = [project.video(name) for name in ethograms]
    refuse_empty_parts(project, ethograms)
    return videos, [value.values for value in ethograms.values()], _to_spans(project, videos)


def refuse_empty_parts(project: Project, labelled: Iterable[str]) -> None:
    """There must be something to learn from, and something to choose weights and thresholds by.

    Raises:
        InputError: No labelled video has a stretch in `train`, or none in `val`.
    """
    names, splits = set(labelled), project.splits
    for part in ("train", "val"):
        if not any(each.video in names for each in splits.get(part, [])):
            raise InputError(
                f"no labelled video is in the part {part}",
                where=project.folder / "project.yaml",
                why="all labelled videos have another part: somebody edited `splits`, or gave it "
                "to import --part",
                do=f"give {part} a stretch of a labelled video there, or delete `splits`: the next "
                "training solves it anew",
            )


def flow_spans(project: Project, videos: Sequence[Video]) -> tuple[list[Span], list[Span]]:
    """Training and validation spans of the flow: the parts, and unlabelled videos to train on.

    Where nothing is labelled, the last fifth of every video validates.
    """
    spans = _to_spans(project, videos)
    if spans.get("val"):
        labelled = {video for found in spans.values() for video, *_ in found}
        free = [(n, 0, v.num_frames) for n, v in enumerate(videos) if n not in labelled]
        return spans.get("train", []) + free, spans["val"]
    cuts = [max(1, round(video.num_frames * (1 - UNLABELLED_VAL))) for video in videos]
    train = [(n, 0, cut) for n, cut in enumerate(cuts)]
    val = [
        (n, min(cut, v.num_frames - 1), v.num_frames)
        for (n, cut), v in zip(enumerate(cuts), videos, strict=True)
    ]
    return train, val


def _to_spans(project: Project, videos: Sequence[Video]) -> dict[str, list[Span]]:
    """The parts of the project, with videos by number."""
    number = {video.name: index for index, video in enumerate(videos)}
    return {
        part: [
            (number[each.video], each.start, each.stop) for each in segments if each.video in number
        ]
        for part, segments in project.splits.items()
    }
