"""How good the models of a project are: what the parts hold, judged for every predictor there is.

The sequence model is set beside the features alone and each stream (the paper's ablation).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from pixelethogram.cached_features import list_features, predict_unlearned, read_features
from pixelethogram.errors import InputError
from pixelethogram.ethogram.judgement import Judgement, judge
from pixelethogram.evaluation import Evaluation, evaluate
from pixelethogram.project import Project, Video
from pixelethogram.runs import Run, latest_run
from pixelethogram.sequence.ensemble import drop_between_folds, folds_from_dict
from pixelethogram.sequence.train import load_ensemble
from pixelethogram.splits import Splits, hide_other_frames
from pixelethogram.stages import Job
from pixelethogram.store import ArrayReader, array_file
from pixelethogram.threshold_table import load_decision
from pixelethogram.training.classifier import to_probabilities

SEQUENCE = "sequence"
FEATURES_LOGITS = {
    "features": "logits",
    "spatial stream": "spatial_logits",
    "flow stream": "flow_logits",
}


@dataclasses.dataclass(frozen=True)
class ProjectArrays:
    """What is needed to judge a run: labels and every predictor's answer for the videos of a part.

    Args:
        run: The sequence run.
        labels: Video -> (T, K), 1 / 0 / -1.
        probabilities: Predictor -> video -> (T, K); "sequence" is the first.
        splits: The parts; of an ensemble without frames that no member left out.
        fps: Video -> frames per second.
    """

    run: Run
    labels: dict[str, np.ndarray]
    probabilities: dict[str, dict[str, np.ndarray]]
    splits: Splits
    fps: dict[str, float]


def read_arrays(job: Job, run: Run | None = None) -> ProjectArrays:
    """Labels and probabilities of the labelled videos, as they are now, for the newest run."""
    run = run or latest_run(job.project.runs, "sequence")
    features_run = run.parent("features")
    splits = judged_splits(job.project, run)
    judged = {segment.video for segments in splits.values() for segment in segments}
    ethograms = job.project.read_labels()
    labels = {name: ethograms[name].values for name in ethograms if name in judged}
    videos = [job.project.video(name) for name in labels]
    found = {SEQUENCE: _read_unlearned(videos, run, features_run)}
    arrays = {name for video in videos for name in list_features(video, features_run)}
    for name, array in FEATURES_LOGITS.items():
        if array not in arrays:  # a network that does not have two streams
            continue
        found[name] = {
            video.name: _logits_to_probabilities(
                read_features(video, features_run, array), run.exclusive
            )
            for video in videos
        }
    return ProjectArrays(run, labels, found, splits, {video.name: video.fps for video in videos})


def judged_splits(project: Project, run: Run) -> Splits:
    """The parts of a project without what a sequence run cannot be judged on."""
    if run.config.sequence.ensemble_folds == 1:
        return project.splits
    return drop_between_folds(project.splits, folds_from_dict(run.results["folds"]))


def evaluate_project(job: Job, run: Run | None = None) -> dict[str, Evaluation]:
    """Scores of the sequence model and, without temporal context, of the features and each stream.

    Judged are the val and test parts as they are now; a video keeps its part for good.
    """
    return evaluate_arrays(read_arrays(job, run))


def evaluate_arrays(arrays: ProjectArrays) -> dict[str, Evaluation]:
    """Scores of every predictor; the sequence model has its own rule, the others get one on val."""
    run = arrays.run
    return {
        name: evaluate(
            arrays.labels,
            probabilities,
            arrays.splits,
            run.behaviors,
            exclusive=run.exclusive,
            settings=run.config.ethogram,
            seed=run.config.seed,
            decision=load_decision(run) if name == SEQUENCE else None,
        )
        for name, probabilities in arrays.probabilities.items()
    }


def judge_arrays(
    arrays: ProjectArrays,
    evaluation: Evaluation,
    part: str,
    predictor: str = SEQUENCE,
    videos: Sequence[str] | None = None,
) -> Judgement | None:
    """Every metric of one predictor on one part.

    Args:
        arrays: From `read_arrays`.
        evaluation: The predictor's, for its decision rule.
        part: train, val or test.
        predictor: A key of `arrays.probabilities`.
        videos: Only these; None means all.

    Returns:
        None where no frame is scored.
    """
    labels = hide_other_frames(arrays.labels, arrays.splits.get(part, []))
    names = [name for name in labels if videos is None or name in videos]
    if not any((labels[name] >= 0).any() for name in names):
        return None
    decision, found = evaluation.decision, arrays.probabilities[predictor]
    return judge(
        [labels[name] for name in names],
        [decision.calibrate(found[name]) for name in names],
        [decision.apply(found[name]) for name in names],
        [arrays.fps[name] for name in names],
        arrays.run.behaviors,
        exclusive=arrays.run.exclusive,
        chance_repetitions=arrays.run.config.ethogram.chance_repetitions,
        seed=arrays.run.config.seed,
        raw=None if decision.calibration is None else [found[name] for name in names],
    )


def read_probabilities(video: Video, run: Run) -> np.ndarray:
    """(T, K) of a project video, as `predict_project` left them.

    Raises:
        InputError: The video has not been predicted with this run.
    """
    path = array_file(video.arrays, "sequence", run.id)
    if not path.exists():
        raise InputError(
            f"{video.name} has not been predicted with run {run.id}",
            where=path,
            do=f'pixelethogram predict "{run.folder.parents[2]}"',
        )
    with ArrayReader(path, video.num_frames) as arrays:
        return arrays.read("probabilities")


def _read_unlearned(videos: Sequence[Video], run: Run, features_run: Run) -> dict[str, np.ndarray]:
    """Probabilities (T, K) per video to be judged; those of an ensemble's members are made anew."""
    if run.config.sequence.ensemble_folds == 1:
        return {video.name: read_probabilities(video, run) for video in videos}
    model = load_ensemble(run)
    left_out = model.pair(folds_from_dict(run.results["folds"]))
    return {
        video.name: predict_unlearned(video, features_run, model, left_out, exclusive=run.exclusive)
        for video in videos
    }


def _logits_to_probabilities(logits: np.ndarray, exclusive: bool) -> np.ndarray:
    return to_probabilities(torch.from_numpy(logits), exclusive).numpy()
