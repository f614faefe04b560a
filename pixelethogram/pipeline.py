"""The drawing of the package as code: the only module that sees all stages of a project.

::

    videos, labels ─► train flow ─► train features ─► extract ─► train sequence ─► predict ─► evaluate

Every step takes a project and settings, leaves something on disk that counts only when whole, and
can be called again after a kill.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.config import Config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.evaluation import Evaluation, evaluate, plot_evaluation
from pixelethogram.features.extract import extract_to_file
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
from pixelethogram.progress import Progress
from pixelethogram.project import Project, Video
from pixelethogram.runs import STAGES, Run, Stage, find_runs, finish_run, latest_run, start_run
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.sequence.train import SequenceData, load_sequence, train_sequence
from pixelethogram.splits import solve_splits
from pixelethogram.store import ArrayReader, ArrayWriter, array_file
from pixelethogram.training.classifier import to_probabilities

Span = tuple[int, int, int]  # video number, start, stop
FEATURES_LOGITS = {
    "features": "logits",
    "spatial stream": "spatial_logits",
    "flow stream": "flow_logits",
}

DRY_RUN_ABOVE = 300  # steps; longer trainings are tried with two steps first
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


def train_all(job: Job) -> Run:
    """All stages in order; finished ones with the same settings, videos and labels are kept."""
    for stage in STAGES:
        run = _find_same(job, stage, finished=True) if job.resume else None
        if run is None:
            run = train_stage(job, stage)
        else:
            job.progress.message(f"{stage}: run {run.id} is up to date")
        if stage == "features":
            extract_project(job)
    predict_project(job)
    return run


def train_stage(job: Job, stage: Stage) -> Run:
    """Train one stage; a long training is tried with two steps first."""
    split_project(job)
    if max(_planned_steps(job.config, stage)) > DRY_RUN_ABOVE:
        try_stage(job, stage)
    broken_off = _find_same(job, stage, finished=False) if job.resume else None
    if broken_off is not None:
        job.progress.message(f"going on with {stage} run {broken_off.id}")
    run = broken_off or _start(job, stage, job.project.runs)
    return TRAINERS[stage](job, run)


def try_stage(job: Job, stage: Stage) -> None:
    """Dry run: two steps, one validation, save and reload, in a folder that is thrown away."""
    split_project(job)
    job.progress.message(f"dry run of {stage}: two steps, validation, save, reload")
    short = dataclasses.replace(job, config=_shorten(job.config, stage), resume=False)
    with tempfile.TemporaryDirectory() as folder:
        run = TRAINERS[stage](short, _start(short, stage, Path(folder)))
        if not run.finished:
            raise RuntimeError(f"{stage} dry run left no results")
        _load(stage, run, job)


def split_project(job: Job) -> None:
    """Solve train, val and test for labelled videos that have no part yet."""
    project, split = job.project, job.config.split
    labels = {name: value.values for name, value in project.read_labels().items()}
    assigned = {segment.video for segments in project.splits.values() for segment in segments}
    if not labels or set(labels) <= assigned:
        return
    splits = solve_splits(
        labels,
        project.behaviors,
        fractions={"train": split.train, "val": split.val, "test": split.test},
        by=split.by,
        guard_frames=split.guard_frames,
        block_frames=split.block_frames,
        seed=job.config.seed,
        fixed=_whole_videos(project, labels),
    )
    project.write_splits(splits)


def extract_project(job: Job, *, overwrite: bool = False) -> int:
    """Features of every video for the newest features run; what is there already is kept.

    Returns:
        Number of videos that were extracted now.
    """
    run = latest_run(job.project.runs, "features")
    missing = [
        video
        for video in job.project.videos()
        if overwrite or not _has_arrays(video, "features", run)
    ]
    if not missing:
        return 0
    model = load_features(run, load_flow(run.parent("flow"))).to(job.device)
    for video in missing:
        about = {
            "run": run.id,
            "weights_sha256": run.results["weights_sha256"],
            "video_sha256": video.sha256,
        }
        with video.open() as frames:
            extract_to_file(
                model,
                frames,
                run.config,
                array_file(video.folder, "features", run.id),
                about,
                device=job.device,
                progress=job.progress,
            )
    return len(missing)


def predict_project(job: Job) -> Run:
    """Probabilities and ethogram of every video of the project, from its cached features."""
    run = latest_run(job.project.runs, "sequence")
    features_run = run.parent("features")
    decision = Decision.from_dict(run.results["decision"])
    model = load_sequence(run)
    for video in job.project.videos():
        target = array_file(video.folder, "sequence", run.id)
        if not target.exists():
            probabilities = _predict_cached(video, features_run, model, run.exclusive)
            with ArrayWriter(target, {"run": run.id, "behaviors": list(run.behaviors)}) as writer:
                writer.append(probabilities=probabilities)
                writer.finish()
        present = decision.apply(read_probabilities(video, run))
        ethogram = Ethogram(present.astype(np.int8), decision.behaviors, video.fps)
        write_csv(ethogram, video.ethogram_path)
    return run


def evaluate_project(job: Job, run: Run | None = None) -> dict[str, Evaluation]:
    """Scores of the sequence model and, without temporal context, of the features and each stream.

    The parts are those that the run was trained with.
    """
    run = run or latest_run(job.project.runs, "sequence")
    features_run = run.parent("features")
    labels = {name: value.values for name, value in job.project.read_labels().items()}
    videos = [job.project.video(name) for name in labels]
    found: dict[str, dict[str, np.ndarray]] = {
        "sequence": {video.name: read_probabilities(video, run) for video in videos}
    }
    for name, array in FEATURES_LOGITS.items():
        found[name] = {
            video.name: _logits_to_probabilities(
                _read_array(video, features_run, array), run.exclusive
            )
            for video in videos
        }
    return {
        name: evaluate(
            labels,
            probabilities,
            job.project.splits,
            run.behaviors,
            exclusive=run.exclusive,
            settings=run.config.ethogram,
            seed=run.config.seed,
            decision=Decision.from_dict(run.results["decision"]) if name == "sequence" else None,
        )
        for name, probabilities in found.items()
    }


def read_probabilities(video: Video, run: Run) -> np.ndarray:
    """(T, K) of a project video, as `predict_project` left them."""
    with ArrayReader(array_file(video.folder, "sequence", run.id), video.num_frames) as arrays:
        return arrays.read("probabilities")


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


def _train_flow(job: Job, run: Run) -> Run:
    videos = job.project.videos()
    proxies = prepare_proxies(job, videos)
    train, val = _flow_spans(job.project, videos)
    length = job.config.flow.model.clip_length
    statistics = _pool([proxies[number] for number in sorted({video for video, *_ in train})])
    number, seed = job.config.flow.validation_clips, job.config.seed
    data = FlowData(
        ClipDataset(proxies, sample_clip_frames(train, 10**9, seed), length),
        ClipDataset(proxies, sample_clip_frames(val, number, seed), length),
        statistics,
    )
    return train_flow(run, data, job.config, device=job.device, progress=job.progress)


def _train_features(job: Job, run: Run) -> Run:
    flow_run = Run(job.project.runs / "flow" / run.record["parents"]["flow"])
    _check_same_frames(flow_run.config, job.config)
    videos, labels, spans = _labelled(job.project)
    proxies = prepare_proxies(job, videos)
    length, seed = job.config.flow.model.clip_length, job.config.seed
    train = scored_frames(labels, spans["train"])
    val = stratified_frames(labels, spans["val"], job.config.features.validation_frames, seed)
    data = FeaturesData(
        ClipDataset(proxies, train, length, labels),
        ClipDataset(proxies, val, length, labels),
        np.stack([labels[video][frame] for video, frame in train]),
        _pool([proxies[number] for number in sorted({video for video, *_ in spans["train"]})]),
        job.project.behaviors,
        job.project.exclusive,
    )
    flow = load_flow(flow_run)
    return train_features(run, data, flow, job.config, device=job.device, progress=job.progress)


def _train_sequence(job: Job, run: Run) -> Run:
    features_run = Run(job.project.runs / "features" / run.record["parents"]["features"])
    videos, labels, spans = _labelled(job.project)
    stretches = {
        part: [
            (
                _read_array(videos[number], features_run, "features", start, stop),
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
            video.name: _predict_cached(video, features_run, trained.model, run.exclusive)
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
    return run


TRAINERS: dict[Stage, Callable[[Job, Run], Run]] = {
    "flow": _train_flow,
    "features": _train_features,
    "sequence": _train_sequence,
}


def _start(job: Job, stage: Stage, runs: Path) -> Run:
    """A new run folder that names its parents, its parts and the fingerprint of its inputs."""
    project = job.project
    videos: dict[str, list[str]] = {}
    for part, segments in project.splits.items():
        videos[part] = sorted({segment.video for segment in segments})
    return start_run(
        runs,
        stage,
        job.config,
        behaviors=project.behaviors,
        exclusive=project.exclusive,
        parents=_parents(project, stage),
        videos=videos,
        fingerprint=_fingerprint(job, stage),
    )


def _parents(project: Project, stage: Stage) -> dict[str, str]:
    """Ids of the newest finished runs of the stages before; a missing one is an error."""
    parents: dict[str, str] = {}
    if stage == "features":
        parents["flow"] = latest_run(project.runs, "flow").id
    if stage == "sequence":
        parents["features"] = latest_run(project.runs, "features").id
    return parents


def _find_same(job: Job, stage: Stage, *, finished: bool) -> Run | None:
    """Newest run of exactly these settings, parents, videos, labels and splits."""
    earlier = STAGES[: STAGES.index(stage)]
    if any(not find_runs(job.project.runs, before) for before in earlier):
        return None
    wanted = _fingerprint(job, stage)
    runs = find_runs(job.project.runs, stage, finished=finished)
    same = [run for run in runs if run.record["fingerprint"] == wanted]
    return same[-1] if same else None


def _fingerprint(job: Job, stage: Stage) -> str:
    """Hash of everything that the result of a stage depends on."""
    project, config = job.project, job.config.model_dump(mode="json")
    sections = ("seed", "frames", *STAGES[: STAGES.index(stage) + 1])
    inputs: dict[str, Any] = {
        "stage": stage,
        "settings": {name: config[name] for name in sections},
        "parents": _parents(project, stage),
        "videos": [video.sha256 for video in project.videos()],
        "splits": {
            part: [dataclasses.astuple(segment) for segment in segments]
            for part, segments in project.splits.items()
        },
    }
    if stage != "flow":
        inputs["behaviors"] = [*project.behaviors, project.exclusive]
        inputs["labels"] = {
            name: hashlib.sha256(value.values.tobytes()).hexdigest()
            for name, value in project.read_labels().items()
        }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _labelled(
    project: Project,
) -> tuple[list[Video], list[np.ndarray], dict[str, list[Span]]]:
    """Labelled videos, their labels, and the spans (video number, start, stop) of each part."""
    ethograms = project.read_labels()
    if not ethograms:
        raise InputError(
            "no video has labels",
            where=project.folder,
            do=f'put labels.csv into the video folders, or: pixelethogram import "{project.folder}" FILE',
        )
    videos = [project.video(name) for name in ethograms]
    number = {video.name: index for index, video in enumerate(videos)}
    spans = {
        part: [(number[each.video], each.start, each.stop) for each in segments]
        for part, segments in project.splits.items()
    }
    return videos, [value.values for value in ethograms.values()], spans


def _flow_spans(project: Project, videos: Sequence[Video]) -> tuple[list[Span], list[Span]]:
    """Training and validation spans of the flow: the parts, and unlabelled videos to train on.

    Where nothing is labelled, the last fifth of every video validates.
    """
    if not videos:
        raise InputError(
            "the project has no videos",
            where=project.folder,
            do=f'pixelethogram add "{project.folder}" VIDEO_OR_FOLDER',
        )
    number = {video.name: index for index, video in enumerate(videos)}
    spans = {
        part: [(number[each.video], each.start, each.stop) for each in segments]
        for part, segments in project.splits.items()
    }
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


def _check_same_frames(flow: Config, now: Config) -> None:
    if flow.frames != now.frames or flow.flow.model != now.flow.model:
        raise UsageError(
            f"the flow network was trained on frames of {flow.frames.height} x {flow.frames.width} "
            f"({flow.flow.model.name}), now they are {now.frames.height} x {now.frames.width}",
            do="train the flow again with these settings: pixelethogram train flow PROJECT ...",
        )


def _planned_steps(config: Config, stage: Stage) -> list[int]:
    if stage == "features":
        return list(config.features.phases.model_dump().values())
    return [getattr(config, stage).train.steps]


def _shorten(config: Config, stage: Stage) -> Config:
    """The same settings with two steps, one validation of a few clips."""
    section = getattr(config, stage)
    update: dict[str, Any] = {
        "train": section.train.model_copy(
            update={"steps": 2, "validate_every": 2, "ema_decay": 0.0}
        )
    }
    if stage == "flow":
        update["validation_clips"] = 2
    if stage == "features":
        update["validation_frames"] = 2
        phases = {name: min(2, steps) for name, steps in section.phases.model_dump().items()}
        update["phases"] = section.phases.model_copy(update=phases)
    return config.model_copy(update={stage: section.model_copy(update=update)})


def _load(stage: Stage, run: Run, job: Job) -> None:
    """Read a finished run back as prediction would; raises when that fails."""
    if stage == "flow":
        load_flow(run)
    elif stage == "features":
        load_features(run, load_flow(latest_run(job.project.runs, "flow")))
    else:
        load_sequence(run)


def _pool(proxies: Sequence[Path]) -> Statistics:
    return pool_statistics(ProxyFile(path).statistics for path in proxies)


def _has_arrays(video: Video, stage: Stage, run: Run) -> bool:
    return array_file(video.folder, stage, run.id).exists()


def _read_array(
    video: Video, run: Run, name: str, start: int = 0, stop: int | None = None
) -> np.ndarray:
    """Rows of an array that `extract_project` left; a missing file is an error that says what to do."""
    path = array_file(video.folder, "features", run.id)
    if not path.exists():
        raise InputError(
            f"{video.name} has no features of run {run.id}",
            where=path,
            do=f'pixelethogram extract "{run.folder.parents[2]}"',
        )
    with ArrayReader(path, video.num_frames) as arrays:
        return arrays.read(name, start, stop)


def _predict_cached(
    video: Video, features_run: Run, model: NormalizedSequence, exclusive: bool
) -> np.ndarray:
    return predict_probabilities(
        model,
        lambda start, stop: _read_array(video, features_run, "features", start, stop),
        video.num_frames,
        exclusive=exclusive,
    )


def _logits_to_probabilities(logits: np.ndarray, exclusive: bool) -> np.ndarray:
    import torch

    return to_probabilities(torch.from_numpy(logits), exclusive).numpy()
