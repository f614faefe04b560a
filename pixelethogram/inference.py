"""Batch inference: recordings that are in no project in, ethograms out.

Read `predict_video` first: it is the whole product in a few lines. One recording that cannot be
read is reported at the end and never stops the others; what is done is skipped when run again.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pixelethogram.atomic import write_bytes
from pixelethogram.config import Config
from pixelethogram.errors import InputError
from pixelethogram.ethogram.bouts import find_bouts, write_bouts_csv
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram, write_csv, write_probabilities_csv
from pixelethogram.ethogram.plots import plot_raster
from pixelethogram.features.extract import extract_to_file
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.features.train import load_features
from pixelethogram.frames.source import find_recordings, hash_recording, open_frames
from pixelethogram.lineage import load_flow_of
from pixelethogram.progress import Progress, SilentProgress
from pixelethogram.runs import Run, find_runs
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

logger = logging.getLogger(__name__)

OUTPUT_FOLDER = "ethograms"


@dataclasses.dataclass(frozen=True)
class PipelineModels:
    """All that is needed to turn pixels into an ethogram; from one sequence run and its parents."""

    run: Run
    config: Config
    features: FeaturesNetwork
    sequence: nn.Module
    decision: Decision
    device: str
    training_videos: TrainingVideos | None = None
    """What they learned from; None in runs that did not keep it."""

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Names in the order of all columns."""
        return self.decision.behaviors


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What became of one recording."""

    source: Path
    status: str
    """done, skipped (was done before) or failed."""
    num_frames: int = 0
    seconds: float = 0.0
    ethogram_csv: Path | None = None
    share: dict[str, float] = dataclasses.field(default_factory=dict)
    """Behavior -> share of frames on which it is present."""
    unlike_training: list[str] = dataclasses.field(default_factory=list)
    """What makes it unlike the videos that the model learned from."""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = dataclasses.asdict(self)
        return {**plain, "source": str(self.source), "ethogram_csv": str(self.ethogram_csv or "")}


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
        load_sequence(run).to(device),
        decision,
        device,
        read_training_videos(run.folder),
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


def predict_video(
    source: Path, models: PipelineModels, output: Path, progress: Progress
) -> tuple[Ethogram, np.ndarray, list[str]]:
    """The whole product: pixels in; ethogram, probabilities (T, K) and what is unusual out.

    Memory does not grow with the length of the video: features pass through a file beside `output`.
    """
    spool = output.with_name(f".{output.name}.features.h5")
    try:
        with open_frames(source) as frames:
            extract_to_file(
                models.features,
                frames,
                models.config,
                spool,
                {},
                device=models.device,
                progress=progress,
            )
            size = {"height": frames.height, "width": frames.width, "fps": frames.fps}
        with ArrayReader(spool) as features:
            unusual = _find_unusual(models, features, size)
            probabilities = predict_probabilities(
                models.sequence,  # type: ignore[arg-type]
                lambda start, stop: features.read("features", start, stop),
                features.num_frames,
                exclusive=models.decision.exclusive,
            )
    finally:
        spool.unlink(missing_ok=True)
    present = models.decision.apply(probabilities)
    ethogram = Ethogram(present.astype(np.int8), models.behaviors, size["fps"])
    return ethogram, models.decision.calibrate(probabilities), unusual


def predict_videos(
    models: PipelineModels,
    sources: Sequence[Path],
    output: Path | None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[VideoResult]:
    """Ethograms of many recordings.

    Args:
        models: From `load_models`.
        sources: Recordings and folders of recordings.
        output: Folder for the results; None puts `ethograms/` beside each recording.
        overwrite: Predict again what is done.
        progress: Told of every frame.

    Returns:
        One result per recording, failed ones included.
    """
    progress = progress or SilentProgress()
    if changes := describe_changes(models.run, models.decision):
        progress.message(changes)
    recordings = find_recordings(sources)
    if output:
        _refuse_same_names(recordings)
    results = []
    for number, (source, relative) in enumerate(recordings, start=1):
        folder = (output / relative) if output else (source.parent / OUTPUT_FOLDER)
        result = _predict_one(source, models, folder, overwrite, progress)
        results.append(result)
        progress.message(f"[{number}/{len(recordings)}] {source.name}: {_describe(result)}")
    return results


def write_summary(results: Sequence[VideoResult], behaviors: Sequence[str], path: Path) -> None:
    """One CSV line per recording: status, frames, share of frames of each behavior, error."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["recording", "status", "frames", *behaviors, "error"])
    for result in results:
        shares = [f"{result.share[name]:.4f}" if result.share else "" for name in behaviors]
        error = result.error.splitlines()[0] if result.error else ""
        writer.writerow([result.source, result.status, result.num_frames, *shares, error])
    write_bytes(path, text.getvalue().encode())


def summary_rows(results: Iterable[VideoResult], behaviors: Sequence[str]) -> list[list[Any]]:
    """Rows (recording, status, frames, frames/s, share of each behavior) of the summary table."""
    return [
        [
            str(result.source),
            result.status,
            result.num_frames or None,
            result.num_frames / result.seconds if result.seconds else None,
            *(result.share.get(behavior) for behavior in behaviors),
        ]
        for result in results
    ]


def _predict_one(
    source: Path, models: PipelineModels, folder: Path, overwrite: bool, progress: Progress
) -> VideoResult:
    stamp = folder / f"{source.name}.json"
    try:
        sha256 = hash_recording(source)
        if not overwrite and (done := _read_stamp(stamp, sha256, models, source)):
            return done
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        ethogram, probabilities, unusual = predict_video(source, models, stamp, progress)
        seconds = time.monotonic() - started
        ethogram_csv = _write_outputs(ethogram, probabilities, models, folder, source.name)
    except InputError as error:
        logger.info("%s failed: %s", source, error)
        return VideoResult(source, "failed", error=str(error))
    share = dict(zip(models.behaviors, ethogram.values.mean(axis=0).tolist(), strict=True))
    record = {
        "recording": source.name,
        "sha256": sha256,
        "run": models.run.id,
        "num_frames": len(ethogram.values),
        "fps": ethogram.fps,
        "seconds": round(seconds, 3),
        "share": share,
        "unlike_training": unusual,
        **models.decision.to_dict(),
    }
    write_bytes(stamp, json.dumps(record, ensure_ascii=False, indent=1).encode())
    return VideoResult(source, "done", len(ethogram.values), seconds, ethogram_csv, share, unusual)


def _write_outputs(
    ethogram: Ethogram, probabilities: np.ndarray, models: PipelineModels, folder: Path, name: str
) -> Path:
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


def _find_unusual(
    models: PipelineModels, features: ArrayReader, size: Mapping[str, Any]
) -> list[str]:
    if models.training_videos is None:
        return []
    video = measure_video(features, read_colors(features), **size)
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


def _describe(result: VideoResult) -> str:
    if result.status == "failed":
        return f"failed: {result.error}"
    if result.status == "skipped":
        return "done before, skipped"
    text = f"{result.num_frames} frames at {result.num_frames / result.seconds:.1f}/s"
    unusual = "".join(f"\n  unlike the training videos: {each}" for each in result.unlike_training)
    return text + unusual
