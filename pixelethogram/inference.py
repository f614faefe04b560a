"""Batch inference: recordings that are in no project in, ethograms out.

Read `predict_videos` first: it is the whole product. One recording that cannot be
read is reported at the end and never stops the others; what is done is skipped when run again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from pixelethogram.cached_features import describe_mismatch
from pixelethogram.config import Config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram
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
from pixelethogram.predicted_files import (
    Answer,
    Maker,
    Target,
    heed_facts,
    read_result,
    refuse_same_names,
    write_result,
)
from pixelethogram.progress import Progress, SilentProgress
from pixelethogram.runs import Run, find_runs
from pixelethogram.sequence.heads import choose_head, choose_rater, describe_rater
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.sequence.train import load_sequence
from pixelethogram.store import ArrayReader
from pixelethogram.threshold_table import describe_changes, load_decision, parse_overrides
from pixelethogram.training.device import choose_inference_precision
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
    raters: tuple[str, ...] = ()
    """With a head each; empty where one head answers for all of them."""
    rater: str | None = None
    """Whose head answers."""

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Names in the order of all columns."""
        return self.decision.behaviors


def load_models(
    run_or_project: Path, device: str, thresholds: Sequence[str] = (), rater: str | None = None
) -> PipelineModels:
    """Networks and decision rule of a sequence run, or of the newest one of a project.

    Args:
        run_or_project: Folder of either.
        device: cpu, cuda or mps.
        thresholds: Such as groom=0.3, in place of the run's.
        rater: Whose head answers; None: the first one's, where raters have heads.
    """
    run = find_sequence_run(run_or_project)
    features_run = run.parent("features")
    features = load_features(features_run, load_flow_of(features_run)).to(device)
    decision = load_decision(run, parse_overrides(thresholds, run.behaviors))
    sequence = load_sequence(run)
    rater = choose_rater(sequence.raters, rater)
    return PipelineModels(
        run,
        features_run.config,
        features,
        choose_head(sequence, rater).to(device),
        decision,
        device,
        read_training_videos(run.folder),
        features_run.results.get("inputs"),
        sequence.raters,
        rater,
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


def find_maker(models: PipelineModels, *, exact: bool) -> Maker:
    """How these models will make ethograms."""
    precision = KEYPOINTS_PRECISION
    if not isinstance(models.features, Keypoints):
        wanted = "fp32" if exact else models.config.features.precision
        precision = choose_inference_precision(wanted, models.device)
    return Maker(models.run.id, models.decision, exact, precision, models.rater)


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
    for line in (
        describe_changes(models.run, models.decision),
        describe_rater(models.raters, models.rater),
    ):
        if line:
            progress.message(line)
    maker = find_maker(models, exact=exact)
    recordings = find_recordings(sources)
    if output:
        refuse_same_names(recordings)
    recordings = take_shard(recordings, shard)
    tally = Tally([source for source, _ in recordings], progress, tell)
    targets = []
    for source, relative in recordings:
        folder = (output / relative) if output else (source.parent / OUTPUT_FOLDER)
        known = _look_at(source, folder, models, maker, overwrite, facts)
        if isinstance(known, VideoResult):
            tally.add(known)
        else:
            targets.append(known)
    try:
        for result in _predict_targets(targets, models, maker, progress):
            tally.add(result)
    finally:
        for target in targets:
            target.spool.unlink(missing_ok=True)
    return tally.results


def _predict_targets(
    targets: Sequence[Target], models: PipelineModels, maker: Maker, progress: Progress
) -> Iterator[VideoResult]:
    """Features of all recordings one after the other; an ethogram when one is through."""
    started = time.monotonic()
    with contextlib.closing(_extract(targets, models, maker.exact, progress)) as extracted:
        for target, found in zip(targets, extracted, strict=True):
            try:
                found.check()
                answer = _predict_features(models, target.spool, found.format)
                seconds, started = time.monotonic() - started, time.monotonic()
                yield write_result(target, maker, answer, seconds)
            except (InputError, UsageError) as error:
                logger.info("%s failed: %s", target.source, error)
                yield VideoResult(target.source, "failed", error=str(error))


def _extract(
    targets: Sequence[Target], models: PipelineModels, exact: bool, progress: Progress
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
    targets: Sequence[Target], models: PipelineModels, precision: str, progress: Progress
) -> None:
    if targets and (warning := describe_mismatch([precision], models.run)):
        progress.message(warning)


def _read_pose(target: Target) -> Pose:
    return read_one_pose(target.source, target.facts)


def _open(target: Target, config: Config) -> FrameSource:
    return open_frames(target.source, settings=config.frames, facts=target.facts)


def _predict_features(models: PipelineModels, path: Path, format: Format) -> Answer:
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
    return Answer(ethogram, models.decision.calibrate(probabilities), unusual)


def _look_at(
    source: Path,
    folder: Path,
    models: PipelineModels,
    maker: Maker,
    overwrite: bool,
    facts: Facts | None,
) -> Target | VideoResult:
    """What is to be done; or the result, where it is done, or cannot be."""
    try:
        refuse_other_inputs(source, _find_inputs(models))
        target = Target(source, folder, hash_recording(source), heed_facts(source, facts))
        done = None if overwrite else read_result(target, maker)
    except (InputError, UsageError) as error:
        return VideoResult(source, "failed", error=str(error))
    return done or target


def _find_inputs(models: PipelineModels) -> str | None:
    """What the networks learned from; runs of earlier versions said so in their settings only."""
    drawn = models.config.frames.pose.instead_of_pixels or models.config.has_pose_flow
    return DRAWN if drawn else models.inputs


def _find_unusual(models: PipelineModels, features: ArrayReader, format: Format) -> list[str]:
    if models.training_videos is None:
        return []
    video = measure_video(features, read_colors(features), **dataclasses.asdict(format))
    return models.training_videos.compare(video)
