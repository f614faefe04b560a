"""Which frames of which videos a stage learns from, and which validate it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pixelethogram.config import Config
from pixelethogram.errors import InputError
from pixelethogram.project import Project, Video
from pixelethogram.splits import Splits, solve_splits

Span = tuple[int, int, int]
"""Video number, start, stop."""
UNLABELLED_VAL = 0.2  # share of each video that validates the flow when nothing is labelled


def plan_splits(
    project: Project, config: Config, labels: Mapping[str, np.ndarray]
) -> tuple[Splits, str]:
    """Train, val and test as the next training will use them; nothing is written.

    Solved for labelled videos that have no part yet. Where all have one and none is in val, some of
    train's are moved there: that is what is left when somebody says which videos are to be learned
    from, and which are to judge.

    Args:
        project: Its parts so far are kept.
        config: How to divide.
        labels: Video -> (T, K), 1 / 0 / -1.

    Returns:
        The parts, and what there is to say about them, if anything.

    Raises:
        InputError: It cannot be done.
    """
    split, splits = config.split, project.splits
    parts = {"train": split.train, "val": split.val, "test": split.test}
    if set(labels) - {each.video for segments in splits.values() for each in segments}:
        return _solve(project, config, labels, parts, _whole_videos(project, labels)), ""
    learned = _find_undivided(project, labels)
    if not learned:
        return splits, ""
    both = split.train + split.val
    shares = {"train": split.train / both, "val": split.val / both}
    found = _solve(project, config, {name: labels[name] for name in learned}, shares, {})
    count = len({each.video for each in found["val"]})
    note = (
        f"every video of train was named and none of val, so stretches of {count} of "
        f"{len(learned)} now choose weights and thresholds; see `splits` in project.yaml"
    )
    return {"test": [], **splits, **found}, note


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


def _solve(
    project: Project,
    config: Config,
    labels: Mapping[str, np.ndarray],
    fractions: Mapping[str, float],
    fixed: Mapping[str, str],
) -> Splits:
    split = config.split
    return solve_splits(
        labels,
        project.behaviors,
        fractions=fractions,
        by=split.by,
        guard_frames=split.guard_frames,
        block_frames=split.block_frames,
        seed=config.seed,
        fixed=fixed,
    )


def _find_undivided(project: Project, labels: Mapping[str, np.ndarray]) -> list[str]:
    """The labelled videos of train where val has none and train has them as wholes."""
    splits = project.splits
    if any(each.video in labels for each in splits.get("val", [])):
        return []
    train = [each for each in splits.get("train", []) if each.video in labels]
    whole = all((each.start, each.stop) == (0, len(labels[each.video])) for each in train)
    return [each.video for each in train] if whole else []


def _whole_videos(project: Project, labels: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Part of every video that has one, to be kept when new videos are split.

    Raises:
        InputError: The project is split by time, where new videos cannot simply be added.
    """
    parts: dict[str, set[str]] = {}
    for part, segments in project.splits.items():
        for segment in segments:
            parts.setdefault(segment.video, set()).add(part)
    divided = [video for video, found in parts.items() if len(found) > 1]
    if divided:
        new = sorted(set(labels) - set(parts))
        raise InputError(
            f"{new[0]} has labels but no part, and the project is split by time",
            where=project.folder / "project.yaml",
            do="delete `splits` there; the next training solves it anew (scores are then not "
            "comparable with earlier runs)",
        )
    return {video: next(iter(found)) for video, found in parts.items() if video in labels}
