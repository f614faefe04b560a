"""Batch inference: recordings that are in no project in, ethograms out.

Read `predict_videos` first: it is the whole product. One recording that cannot be
read is reported at the end and never stops the others; what is done is skipped when run again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from pixelethogram.atomic import write_bytes
from pixelethogram.cached_features import describe_mismatch
from pixelethogram.config import Config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.bouts import find_bouts, write_bouts_csv
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram, write_csv, write_probabilities_csv
from pixelethogram.ethogram.plots import plot_raster
from pixelethogram.features.extract import Order, build_engine, extract_all
from pixelethogram.features.extracted import Extracted, Format
from pixelethogram.features.keypoints import PRECISION as KEYPOINTS_PRECISION
from pixelethogram.features.keypoints import PoseOrder, extract_poses
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.features.models.keypoints import Keypoints
from pixelethogram.features.train import load_features
from pixelethogram.frames.pose_files import DRAWN, read_one_pose, refuse_other_inputs
from pixelethogram.frames.source import (
    FrameSource,
    find_recordings,
    hash_recording,
    open_frames,
)
from pixelethogram.lineage import load_flow_of
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.progress import Progress, SilentProgress
from pixelethogram.runs import Run, find_runs
from pixelethogram.sequence.heads import choose_head
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.sequence.train import load_sequence
from pixelethogram.store import ArrayReader
from pixelethogram.threshold_table import describe_changes, load_decision, parse_overrides
from pixelethogram.unlike_training import (
    TrainingVideos,
    measure_video,
    read_colors,
    read_training_videos,
)
from pixelethogram.video_results import Tally, VideoResult, take_shard

logger = logging.getLogger(__name__)

OUTPUT_FOLDER = "ethograms"


@dataclasses.dataclass(frozen=True)
class PipelineModels:
    """All that is needed to turn pixels into an ethogram; from one sequence run and its parents."""

    run: Run
    config: Config
    features: FeaturesNetwork | Keypoints
    sequence: nn.Module
    decision: Decision
    device: str
    training_videos: TrainingVideos | None = None
    """What they learned from; None in runs that did not keep it."""
    inputs: str | None = None
    """drawn, pixels or both; None in runs that did not note it."""

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Names in the order of all columns."""
        return self.decision.behaviors


@dataclasses.dataclass(frozen=True)
class _Target:
    """A recording to predict, and where its results go."""

    source: Path
    folder: Path
    sha256: str
    facts: Facts | None

    @property
    def stamp(self) -> Path:
        """Written last; says that all is there."""
        return self.folder / f"{self.source.name}.json"

    @property
    def spool(self) -> Path:
        """Features on their way to the sequence model, so that memory stays flat."""
        return self.folder / f".{self.source.name}.json.features.h5"


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What the models say about a recording."""

    ethogram: Ethogram
    probabilities: np.ndarray
    """(T, K)."""
    unlike_training: list[str]
    """What makes it unlike the videos that the models learned from."""


def load_models(
    run_or_project: Path, device: str, thresholds: Sequence[str] = ()
) -> PipelineModels:
    """Networks and decision rule of a sequence run, or of the newest one of a project.

    Args:
        run_or_project: Folder of either.
        device: cpu, cuda or mps.
        thresholds: Such as groom=0.3, in place of the run's.
    """
    run = find_sequence_run(run_or_project)
    features_run = run.parent("features")
    features = load_features(features_run, load_flow_of(features_run)).to(device)
    decision = load_decision(run, parse_overrides(thresholds, run.behaviors))
    return PipelineModels(
        run,
        features_run.config,
        features,
        choose_head(load_sequence(run), None).to(device),
        decision,
        device,
        read_training_videos(run.folder),
        features_run.results.get("inputs"),
    )


def find_sequence_run(path: Path) -> Run:
    """The finished sequence run that a run folder or a project folder means."""
    if (path / "run.yaml").is_file():
        run = Run(path)
        if run.stage == "sequence" and run.finished:
            return run
        state = run.stage if run.finished else f"unfinished {run.stage}"
        raise InputError(
            f"prediction needs a finished sequence run, this is a {state} run",
            where=path,
            do="give the project folder, or a folder in runs/sequence",
        )
    found = find_runs(path / "runs", "sequence")
    if not found:
        raise InputError(
            "nothing is trained here yet",
            where=path,
            do=f'train first: pixelethogram train all "{path}"',
        )
    return found[-1]


def predict_videos(
    models: PipelineModels,
    sources: Sequence[Path],
    output: Path | None,
    *,
    overwrite: bool = False,
    exact: bool = False,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
    facts: Facts | None = None,
    tell: Callable[[VideoResult], None] | None = None,
) -> list[VideoResult]:
    """Ethograms of many recordings: pixels in, the whole product out.

    Args:
        models: From `load_models`.
        sources: Recordings and folders of recordings.
        output: Folder for the results; None puts `ethograms/` beside each recording.
        overwrite: Predict again what is done.
        exact: Compute the features in fp32, whatever the device would like.
        shard: Which part of the recordings, from 1, and of how many.
        progress: Told of every frame.
        facts: Size and rate of the recordings, where pose files and videos beside do not say.
        tell: Is given each result as soon as it is known.

    Returns:
        One result per recording of the part, failed ones included.
    """
    progress = progress or SilentProgress()
    if changes := describe_changes(models.run, models.decision):
        progress.message(changes)
    recordings = find_recordings(sources)
    if output:
        _refuse_same_names(recordings)
    recordings = take_shard(recordings, shard)
    tally = Tally([source for source, _ in recordings], progress, tell)
    targets = []
    for source, relative in recordings:
        folder = (output / relative) if output else (source.parent / OUTPUT_FOLDER)
        known = _look_at(source, folder, models, overwrite, facts)
        if isinstance(known, VideoResult):
            tally.add(known)
        else:
            targets.append(known)
    try:
        for result in _predict_targets(targets, models, exact, progress):
            tally.add(result)
    finally:
        for target in targets:
            target.spool.unlink(missing_ok=True)
    return tally.results


def _predict_targets(
    targets: Sequence[_Target], models: PipelineModels, exact: bool, progress: Progress
) -> Iterator[VideoResult]:
    """Features of all recordings one after the other; an ethogram when one is through."""
    started = time.monotonic()
    with contextlib.closing(_extract(targets, models, exact, progress)) as extracted:
        for target, found in zip(targets, extracted, strict=True):
            try:
                found.check()
                answer = _predict_features(models, target.spool, found.format)
                seconds, started = time.monotonic() - started, time.monotonic()
                yield _write_result(target, models, answer, seconds)
            except (InputError, UsageError) as error:
                logger.info("%s failed: %s", target.source, error)
                yield VideoResult(target.source, "failed", error=str(error))


def _extract(
    targets: Sequence[_Target], models: PipelineModels, exact: bool, progress: Progress
) -> Generator[Extracted, None, None]:
    """Features into the file of each target: of keypoints, or of pixels in batches across them."""
    config = models.config
    if isinstance(models.features, Keypoints):
        poses = [
            PoseOrder(target.source.name, partial(_read_pose, target), target.spool, {})
            for target in targets
        ]
        _warn_of_precision(targets, models, KEYPOINTS_PRECISION, progress)
        return extract_poses(models.features, poses, progress)
    engine = build_engine(
        models.features, config, device=models.device, exact=exact, progress=progress
    )
    _warn_of_precision(targets, models, engine.precision, progress)
    orders = [
        Order(target.source.name, partial(_open, target, config), target.spool, {})
        for target in targets
    ]
    return extract_all(engine, orders, config, progress)


def _warn_of_precision(
    targets: Sequence[_Target], models: PipelineModels, precision: str, progress: Progress
) -> None:
    if targets and (warning := describe_mismatch([precision], models.run)):
        progress.message(warning)


def _read_pose(target: _Target) -> Pose:
    return read_one_pose(target.source, target.facts or Facts())


def _open(target: _Target, config: Config) -> FrameSource:
    return open_frames(target.source, settings=config.frames, facts=target.facts)


def _predict_features(models: PipelineModels, path: Path, format: Format) -> _Answer:
    """What the features in a file say; it is deleted."""
    with ArrayReader(path) as features:
        unusual = _find_unusual(models, features, format)
        probabilities = predict_probabilities(
            models.sequence,  # type: ignore[arg-type]
            lambda start, stop: features.read("features", start, stop),
            features.num_frames,
            exclusive=models.decision.exclusive,
        )
    path.unlink()
    present = models.decision.apply(probabilities)
    ethogram = Ethogram(present.astype(np.int8), models.behaviors, format.fps)
    return _Answer(ethogram, models.decision.calibrate(probabilities), unusual)


def _look_at(
    source: Path, folder: Path, models: PipelineModels, overwrite: bool, facts: Facts | None
) -> _Target | VideoResult:
    """What is to be done; or the result, where it is done, or cannot be."""
    try:
        refuse_other_inputs(source, _find_inputs(models))
        target = _Target(source, folder, hash_recording(source), facts)
        done = None if overwrite else _read_stamp(target.stamp, target.sha256, models, source)
    except (InputError, UsageError) as error:
        return VideoResult(source, "failed", error=str(error))
    return done or target


def _write_result(
    target: _Target,
    models: PipelineModels,
    answer: _Answer,
    seconds: float,
) -> VideoResult:
    ethogram = answer.ethogram
    source, num_frames = target.source, len(ethogram.values)
    ethogram_csv = _write_outputs(answer, models, target.folder, source.name)
    share = dict(zip(models.behaviors, ethogram.values.mean(axis=0).tolist(), strict=True))
    record = {
        "recording": source.name,
        "sha256": target.sha256,
        "run": models.run.id,
        "num_frames": num_frames,
        "fps": ethogram.fps,
        "seconds": round(seconds, 3),
        "share": share,
        "unlike_training": answer.unlike_training,
        **models.decision.to_dict(),
    }
    write_bytes(target.stamp, json.dumps(record, ensure_ascii=False, indent=1).encode())
    return VideoResult(
        source, "done", num_frames, seconds, ethogram_csv, share, answer.unlike_training
    )


def _find_inputs(models: PipelineModels) -> str | None:
    """What the networks learned from; runs of earlier versions said so in their settings only."""
    drawn = models.config.frames.pose.instead_of_pixels or models.config.has_pose_flow
    return DRAWN if drawn else models.inputs


def _write_outputs(answer: _Answer, models: PipelineModels, folder: Path, name: str) -> Path:
    ethogram, probabilities = answer.ethogram, answer.probabilities
    write_probabilities_csv(probabilities, models.behaviors, folder / f"{name}.probabilities.csv")
    write_bouts_csv(find_bouts(ethogram), ethogram.fps, folder / f"{name}.bouts.csv")
    plot_raster(
        None, ethogram, probabilities, models.decision.thresholds, folder / f"{name}.ethogram.png"
    )
    write_csv(ethogram, folder / f"{name}.ethogram.csv")
    return folder / f"{name}.ethogram.csv"


def _read_stamp(
    stamp: Path, sha256: str, models: PipelineModels, source: Path
) -> VideoResult | None:
    """What an earlier call made of the same recording with the same run; None if it is to do."""
    if not stamp.is_file():
        return None
    record = json.loads(stamp.read_text("utf-8"))
    thresholds = models.decision.to_dict()["thresholds"]
    if record["run"] != models.run.id or record["thresholds"] != thresholds:
        other = "with other thresholds"
        if record["run"] != models.run.id:
            other = f"by another run, {record['run']}"
        raise InputError(
            f"{source.name} was predicted {other}",
            where=stamp,
            do="add --overwrite to replace it, or choose another folder with --out",
        )
    ethogram_csv = stamp.with_name(f"{source.name}.ethogram.csv")
    if record["sha256"] != sha256 or not ethogram_csv.is_file():
        return None
    unusual = record.get("unlike_training", [])
    return VideoResult(
        source, "skipped", record["num_frames"], 0.0, ethogram_csv, record["share"], unusual
    )


def _find_unusual(models: PipelineModels, features: ArrayReader, format: Format) -> list[str]:
    if models.training_videos is None:
        return []
    video = measure_video(features, read_colors(features), **dataclasses.asdict(format))
    return models.training_videos.compare(video)


def _refuse_same_names(recordings: Sequence[tuple[Path, Path]]) -> None:
    seen: dict[tuple[Path, str], Path] = {}
    for path, relative in recordings:
        other = seen.setdefault((relative, path.name), path)
        if other != path:
            raise InputError(
                f"two recordings are called {path.name}, their results would overwrite each other",
                where=f"{other} and {path}",
                do="give the folder that holds both, or leave --out away",
            )
