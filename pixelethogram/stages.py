"""What each stage is trained on: project and settings in, data of the stage assembled, a run out.

`run_stage` is the way in; a run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.cached_features import (
    LeftOut,
    find_precisions,
    predict_unlearned,
)
from pixelethogram.config import Config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.evaluation import evaluate, plot_evaluation
from pixelethogram.features.keypoints import KeypointsData, train_keypoints
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.train import (
    FeaturesData,
    load_features,
    scored_frames,
    stratified_frames,
    train_features,
)
from pixelethogram.flow.train import FlowData, load_flow, sample_clip_frames, train_flow
from pixelethogram.frames.clips import ClipDataset
from pixelethogram.frames.pose_files import name_inputs
from pixelethogram.frames.proxy import ProxyFile, build_proxy
from pixelethogram.frames.statistics import Statistics, pool_statistics
from pixelethogram.lineage import list_differences, load_flow_of, parent_of
from pixelethogram.pose_training import gather_pose_clips
from pixelethogram.progress import Progress
from pixelethogram.project import Project, Video
from pixelethogram.runs import Run, Stage, finish_run, read_yaml, write_yaml
from pixelethogram.sequence.ensemble import (
    Ensemble,
    divide_folds,
    drop_between_folds,
    folds_from_dict,
    folds_to_dict,
    intersect,
)
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.train import (
    drop_resumables,
    folds_path,
    load_sequence,
    train_ensemble,
    train_sequence,
)
from pixelethogram.sequence_data import LearningMaterial, open_material
from pixelethogram.spans import Span, flow_spans, read_labelled
from pixelethogram.splits import Segment
from pixelethogram.threshold_table import table_path, write_thresholds
from pixelethogram.unlike_training import (
    gather,
    measure_training_videos,
    write_training_videos,
)


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
        load_features(run, load_flow_of(run, job.project))
    else:
        load_sequence(run)


def prepare_proxies(job: Job, videos: Sequence[Video]) -> list[Path]:
    """Proxy of each video at the training size; missing ones are made now."""
    frames = job.config.frames
    paths = [video.proxy_path(frames) for video in videos]
    for video, path in zip(videos, paths, strict=True):
        if path.exists():
            continue
        job.progress.start(f"proxy of {video.name}", video.num_frames)
        with video.open(frames) as source:
            build_proxy(source, path, frames.height, frames.width, frames.fit, job.progress)
        job.progress.finish()
    return paths


def _train_flow(job: Job, run: Run) -> Run:
    videos = job.project.videos()
    if not videos:
        raise InputError(
            "the project has no videos",
            where=job.project.folder,
            do=f'pixelethogram add "{job.project.folder}" VIDEO_OR_FOLDER',
        )
    proxies = prepare_proxies(job, videos)
    train, val = flow_spans(job.project, videos)
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
    if isinstance(job.config.features.model, KeypointsConfig):
        return _train_keypoints(job, run)
    if job.config.has_learned_flow:
        _check_same_frames(parent_of(job.project, run).config, job.config)
    if job.config.draws_clips:
        return _train_on_poses(job, run)
    videos, labels, spans = read_labelled(job.project)
    proxies = prepare_proxies(job, videos)
    length, seed = job.config.flow.model.clip_length, job.config.seed
    spacing = job.config.frames.spacing
    train = scored_frames(labels, spans["train"])
    val = stratified_frames(labels, spans["val"], job.config.features.validation_frames, seed)
    shared = job.config.flow.stride > 1 and job.config.has_learned_flow
    data = FeaturesData(
        ClipDataset(proxies, train, length, labels, spacing, "random" if shared else None),
        ClipDataset(proxies, val, length, labels, spacing, "fixed" if shared else None),
        np.stack([labels[video][frame] for video, frame in train]),
        _pool(proxies, spans["train"]),
        job.project.behaviors,
        job.project.exclusive,
        name_inputs(video.is_drawn(job.config.frames) for video in videos),
    )
    flow = load_flow_of(run, job.project)
    return train_features(run, data, flow, job.config, device=job.device, progress=job.progress)


def _train_on_poses(job: Job, run: Run) -> Run:
    data, computed = gather_pose_clips(job.project, job.config)
    flow = load_flow_of(run, job.project) if computed is None else computed
    return train_features(run, data, flow, job.config, device=job.device, progress=job.progress)


def _train_keypoints(job: Job, run: Run) -> Run:
    videos, labels, spans = read_labelled(job.project)
    number, seed = job.config.features.validation_frames, job.config.seed
    data = KeypointsData(
        [(video.read_pose(), each) for video, each in zip(videos, labels, strict=True)],
        spans["train"],
        stratified_frames(labels, spans["val"], number, seed),
        job.project.behaviors,
        job.project.exclusive,
    )
    return train_keypoints(run, data, job.config, device=job.device, progress=job.progress)


def _train_sequence(job: Job, run: Run) -> Run:
    features_run = parent_of(job.project, run)
    videos, values, _ = read_labelled(job.project)
    labels = {video.name: each for video, each in zip(videos, values, strict=True)}
    model, left_out, about = _train_networks(job, run, labels)
    evaluation = evaluate(
        labels,
        {
            video.name: predict_unlearned(
                video, features_run, model, left_out, exclusive=run.exclusive
            )
            for video in videos
        },
        drop_between_folds(job.project.splits, [fold for _, fold in left_out]),
        job.project.behaviors,
        exclusive=job.project.exclusive,
        settings=job.config.ethogram,
        seed=job.config.seed,
    )
    if unusable := evaluation.decision.unusable_behaviors:
        job.progress.message(
            f"no usable threshold: {', '.join(unusable)}; 0.5 stands in, as validation frames show "
            "them never, or no threshold tells them apart (F1 of 0.05 or more)"
        )
    decision = {"decision": evaluation.decision.to_dict(), "scores": evaluation.to_dict()}
    write_thresholds(evaluation.decision, table_path(run))
    plot_evaluation(evaluation, run.folder / "scores.png")
    precision = find_precisions(videos, features_run)
    write_training_videos(
        gather(measure_training_videos(job.project, features_run, labels)), run.folder
    )
    finish_run(run, model.state_dict(), {**about, **decision, "features_precision": precision})
    drop_resumables(run)
    return run


def _train_networks(
    job: Job, run: Run, labels: Mapping[str, np.ndarray]
) -> tuple[NormalizedSequence | Ensemble, LeftOut, dict[str, Any]]:
    """One network or one per fold, the folds they left out, and what results.yaml says."""
    features_run, settings = parent_of(job.project, run), job.config.sequence
    splits = job.project.splits
    material = open_material(job.project, features_run, settings, labels, splits, job.progress)
    if settings.ensemble_folds == 1:
        return _train_single(job, run, material)
    folds = _find_folds(job, run, labels)
    chosen = [_choose_validation(job, labels, fold) for fold in folds]
    return _train_ensemble(job, run, material, folds=folds, chosen=chosen)


def _train_single(
    job: Job, run: Run, material: LearningMaterial
) -> tuple[NormalizedSequence, LeftOut, dict[str, Any]]:
    """Model trained on train and chosen on val, and what results.yaml says about it."""
    data = material.read_parts(job.project.splits)
    trained = train_sequence(run, data, job.config, device=job.device, progress=job.progress)
    return trained.model, [], {"fit": trained.result.to_dict(), "raters": list(data.raters)}


def _train_ensemble(
    job: Job,
    run: Run,
    material: LearningMaterial,
    *,
    folds: Sequence[list[Segment]],
    chosen: Sequence[list[Segment]],
) -> tuple[Ensemble, LeftOut, dict[str, Any]]:
    """Models trained on train and val without a fold each, and what results.yaml says.

    Args:
        job: Whose settings.
        run: Where checkpoints lie.
        material: What is learned from.
        folds: Of train and val; each is left out by one model.
        chosen: What chooses the best step of that model, a list per fold.
    """
    stretches = [material.read(fold) for fold in folds]
    data = [
        material.join(
            [each for other in stretches if other is not own for each in other],
            material.read(val),
        )
        for own, val in zip(stretches, chosen, strict=True)
    ]
    trained = train_ensemble(run, data, job.config, device=job.device, progress=job.progress)
    about = {
        "fit": trained.results,
        "folds": folds_to_dict(folds),
        "raters": list(material.raters),
    }
    return trained.model, trained.model.pair(folds), about


def _find_folds(job: Job, run: Run, labels: Mapping[str, np.ndarray]) -> list[list[Segment]]:
    """Folds of train and val; those of a broken-off run stay as they are."""
    path = folds_path(run)
    if path.is_file():
        return folds_from_dict(read_yaml(path))
    split, splits = job.config.split, job.project.splits
    folds = divide_folds(
        labels,
        [each for part in ("train", "val") for each in splits[part] if each.video in labels],
        job.project.behaviors,
        num_folds=job.config.sequence.ensemble_folds,
        guard_frames=split.guard_frames,
        block_frames=split.block_frames,
        seed=job.config.seed,
    )
    _check_val_frames(labels, drop_between_folds(splits, folds)["val"])
    write_yaml(path, folds_to_dict(folds))
    return folds


def _choose_validation(
    job: Job, labels: Mapping[str, np.ndarray], fold: Sequence[Segment]
) -> list[Segment]:
    """What chooses the best step of the member that left a fold out: its val frames, if any.

    The features of train frames tell more about the labels than those of new videos will.
    """
    chosen = intersect(fold, job.project.splits["val"])
    return chosen if _has_scored_frame(labels, chosen) else list(fold)


def _has_scored_frame(labels: Mapping[str, np.ndarray], segments: Sequence[Segment]) -> bool:
    return any(
        (labels[each.video][each.start : each.stop] >= 0).any()
        for each in segments
        if each.video in labels
    )


def _check_val_frames(labels: Mapping[str, np.ndarray], val: Sequence[Segment]) -> None:
    if not _has_scored_frame(labels, val):
        raise InputError(
            "no scored frame of val is inside of a fold",
            why="val lies in the guards between time blocks of different folds",
            do="lower split.guard_frames or sequence.ensemble_folds, or label more",
        )


_TRAINERS: dict[Stage, Callable[[Job, Run], Run]] = {
    "flow": _train_flow,
    "features": _train_features,
    "sequence": _train_sequence,
}


def _check_same_frames(flow: Config, now: Config) -> None:
    changed = list_differences(flow, now, ("frames.", "flow.model."))
    if changed:
        raise UsageError(
            f"the flow network was trained with {'; '.join(changed)}",
            do="train the flow again with these settings: pixelethogram train flow PROJECT ...; "
            "or choose the flow network's here with --set",
        )


def _pool(proxies: Sequence[Path], spans: Sequence[Span]) -> Statistics:
    """Colors of the videos that occur in the spans."""
    numbers = sorted({video for video, *_ in spans})
    return pool_statistics(ProxyFile(proxies[number]).statistics for number in numbers)
