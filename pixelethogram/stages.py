"""What each stage is trained on: project and settings in, data of the stage assembled, a run out.

`run_stage` is the way in; a run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pixelethogram.config import Config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.evaluation import evaluate, plot_evaluation
from pixelethogram.features.train import (
    FeaturesData,
    load_features,
    scored_frames,
    stratified_frames,
    train_features,
)
from pixelethogram.flow.train import FlowData, load_flow, sample_clip_frames, train_flow
from pixelethogram.frames.clips import ClipDataset
from pixelethogram.frames.proxy import ProxyFile, build_proxy, proxy_path
from pixelethogram.frames.statistics import Statistics, pool_statistics
from pixelethogram.lineage import parent_of
from pixelethogram.progress import Progress
from pixelethogram.project import Project, Video
from pixelethogram.runs import Run, Stage, finish_run, latest_run
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.sequence.train import SequenceData, load_sequence, train_sequence
from pixelethogram.store import ArrayReader, array_file
from pixelethogram.training.fit import drop_checkpoints

Span = tuple[int, int, int]
"""Video number, start, stop."""

UNLABELLED_VAL = 0.2  # share of each video that validates the flow when nothing is labelled


@dataclasses.dataclass(frozen=True)
class Job:
    """What every step needs to know."""

    project: Project
    config: Config
    device: str
    progress: Progress
    resume: bool = True
    """Go on with a broken-off run of the same settings and data."""


def run_stage(job: Job, run: Run) -> Run:
    """Train the stage of a run on the project; the run is finished afterwards."""
    return _TRAINERS[run.stage](job, run)


def reload_stage(job: Job, run: Run) -> None:
    """Read a finished run back as prediction would; raises when that fails."""
    if run.stage == "flow":
        load_flow(run)
    elif run.stage == "features":
        load_features(run, load_flow(parent_of(job.project, run)))
    else:
        load_sequence(run)


def prepare_proxies(job: Job, videos: Sequence[Video]) -> list[Path]:
    """Proxy of each video at the training size; missing ones are made now."""
    frames = job.config.frames
    paths = [proxy_path(video.folder, frames.height, frames.width, frames.fit) for video in videos]
    for video, path in zip(videos, paths, strict=True):
        if path.exists():
            continue
        job.progress.start(f"proxy of {video.name}", video.num_frames)
        with video.open() as source:
            build_proxy(source, path, frames.height, frames.width, frames.fit, job.progress)
        job.progress.finish()
    return paths


def read_features(
    video: Video, run: Run, name: str, start: int = 0, stop: int | None = None
) -> np.ndarray:
    """Rows `start` to `stop` of an array that extraction left.

    Args:
        video: A video of the project.
        run: A features run of the project.
        name: features, logits, spatial_logits or flow_logits.
        start: First frame.
        stop: Frame after the last; None reads to the end.

    Raises:
        InputError: The video has no features of this run yet.
    """
    path = array_file(video.folder, "features", run.id)
    if not path.exists():
        raise InputError(
            f"{video.name} has no features of run {run.id}", where=path, do=_remedy(run)
        )
    with ArrayReader(path, video.num_frames) as arrays:
        return arrays.read(name, start, stop)


def predict_cached(
    video: Video, features_run: Run, model: NormalizedSequence, *, exclusive: bool
) -> np.ndarray:
    """Probabilities (T, K) of a project video from its extracted features."""
    return predict_probabilities(
        model,
        lambda start, stop: read_features(video, features_run, "features", start, stop),
        video.num_frames,
        exclusive=exclusive,
    )


def _train_flow(job: Job, run: Run) -> Run:
    videos = job.project.videos()
    if not videos:
        raise InputError(
            "the project has no videos",
            where=job.project.folder,
            do=f'pixelethogram add "{job.project.folder}" VIDEO_OR_FOLDER',
        )
    proxies = prepare_proxies(job, videos)
    train, val = _flow_spans(job.project, videos)
    length, seed = job.config.flow.model.clip_length, job.config.seed
    spacing = job.config.frames.spacing
    everything = sum(stop - start for _, start, stop in train)
    number = job.config.flow.validation_clips
    data = FlowData(
        ClipDataset(proxies, sample_clip_frames(train, everything, seed), length, spacing=spacing),
        ClipDataset(proxies, sample_clip_frames(val, number, seed), length, spacing=spacing),
        _pool(proxies, train),
    )
    return train_flow(run, data, job.config, device=job.device, progress=job.progress)


def _train_features(job: Job, run: Run) -> Run:
    flow_run = parent_of(job.project, run)
    _check_same_frames(flow_run.config, job.config)
    videos, labels, spans = _labelled(job.project)
    proxies = prepare_proxies(job, videos)
    length, seed = job.config.flow.model.clip_length, job.config.seed
    spacing = job.config.frames.spacing
    train = scored_frames(labels, spans["train"])
    val = stratified_frames(labels, spans["val"], job.config.features.validation_frames, seed)
    data = FeaturesData(
        ClipDataset(proxies, train, length, labels, spacing),
        ClipDataset(proxies, val, length, labels, spacing),
        np.stack([labels[video][frame] for video, frame in train]),
        _pool(proxies, spans["train"]),
        job.project.behaviors,
        job.project.exclusive,
    )
    flow = load_flow(flow_run)
    return train_features(run, data, flow, job.config, device=job.device, progress=job.progress)


def _train_sequence(job: Job, run: Run) -> Run:
    features_run = parent_of(job.project, run)
    videos, labels, spans = _labelled(job.project)
    stretches = {
        part: [
            (
                read_features(videos[number], features_run, "features", start, stop),
                labels[number][start:stop],
            )
            for number, start, stop in spans[part]
        ]
        for part in ("train", "val")
    }
    data = SequenceData(
        stretches["train"], stretches["val"], job.project.behaviors, job.project.exclusive
    )
    trained = train_sequence(run, data, job.config, device=job.device, progress=job.progress)
    evaluation = evaluate(
        {video.name: values for video, values in zip(videos, labels, strict=True)},
        {
            video.name: predict_cached(video, features_run, trained.model, exclusive=run.exclusive)
            for video in videos
        },
        job.project.splits,
        job.project.behaviors,
        exclusive=job.project.exclusive,
        settings=job.config.ethogram,
        seed=job.config.seed,
    )
    results = {
        "fit": trained.result.to_dict(),
        "decision": evaluation.decision.to_dict(),
        "scores": evaluation.to_dict(),
    }
    plot_evaluation(evaluation, run.folder / "scores.png")
    finish_run(run, trained.model.state_dict(), results)
    drop_checkpoints(run.checkpoints)
    return run


_TRAINERS: dict[Stage, Callable[[Job, Run], Run]] = {
    "flow": _train_flow,
    "features": _train_features,
    "sequence": _train_sequence,
}


def _labelled(
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
    return videos, [value.values for value in ethograms.values()], _to_spans(project, videos)


def _to_spans(project: Project, videos: Sequence[Video]) -> dict[str, list[Span]]:
    """The parts of the project, with videos by number."""
    number = {video.name: index for index, video in enumerate(videos)}
    return {
        part: [
            (number[each.video], each.start, each.stop) for each in segments if each.video in number
        ]
        for part, segments in project.splits.items()
    }


def _flow_spans(project: Project, videos: Sequence[Video]) -> tuple[list[Span], list[Span]]:
    """Training and validation spans of the flow: the parts, and unlabelled videos to train on.

    Where nothing is labelled, the last fifth of every video validates.
    """
    spans = _to_spans(project, videos)
    if spans.get("val"):
        labelled = {video for found in spans.values() for video, *_ in found}
        free = [(n, 0, v.num_frames) for n, v in enumerate(videos) if n not in labelled]
        return spans["train"] + free, spans["val"]
    cuts = [max(1, round(video.num_frames * (1 - UNLABELLED_VAL))) for video in videos]
    train = [(n, 0, cut) for n, cut in enumerate(cuts)]
    val = [
        (n, min(cut, v.num_frames - 1), v.num_frames)
        for (n, cut), v in zip(enumerate(cuts), videos, strict=True)
    ]
    return train, val


def _check_same_frames(flow: Config, now: Config) -> None:
    if flow.frames != now.frames or flow.flow.model != now.flow.model:
        raise UsageError(
            f"the flow network was trained on frames of {flow.frames.height} x {flow.frames.width} "
            f"({flow.flow.model.name}), now they are {now.frames.height} x {now.frames.width}",
            do="train the flow again with these settings: pixelethogram train flow PROJECT ...",
        )


def _pool(proxies: Sequence[Path], spans: Sequence[Span]) -> Statistics:
    """Colors of the videos that occur in the spans."""
    numbers = sorted({video for video, *_ in spans})
    return pool_statistics(ProxyFile(proxies[number]).statistics for number in numbers)


def _remedy(run: Run) -> str:
    """The command that helps where features of a run are missing."""
    project = run.folder.parents[2]
    newest = latest_run(project / "runs", "features")
    if newest.id == run.id:
        return f'pixelethogram extract "{project}"'
    return f'a newer features run exists, so: pixelethogram train sequence "{project}"'
