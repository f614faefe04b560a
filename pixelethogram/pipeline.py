"""The drawing of the package as code: the steps from labelled videos to ethograms and scores.

::

    videos, labels ─► train flow ─► train features ─► extract ─► train sequence
                                                                      ─► predict ─► evaluate

Every step takes a project and settings, leaves something on disk that counts only when whole, and
can be called again after a kill.
"""

from __future__ import annotations

import csv
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.cached_features import describe_mismatch, find_precisions, predict_cached
from pixelethogram.config import Config
from pixelethogram.ethogram.bouts import find_bouts, write_bouts_csv
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.ethogram.plots import plot_curves, plot_raster
from pixelethogram.extraction import extract_project
from pixelethogram.lineage import (
    PARENT,
    find_broken_off,
    find_up_to_date,
    inherit_settings,
    needed_stages,
    parent_stage,
    start_stage,
)
from pixelethogram.memory_plan import announce_memory
from pixelethogram.project import Project, Video
from pixelethogram.project_evaluation import read_probabilities
from pixelethogram.runs import Run, Stage, find_runs, latest_run
from pixelethogram.sequence.train import load_sequence
from pixelethogram.spans import plan_splits, refuse_empty_parts
from pixelethogram.stages import Job, reload_stage, run_stage
from pixelethogram.store import ArrayWriter, array_file
from pixelethogram.threshold_table import describe_changes, load_decision, parse_overrides

MIN_GAIN_DB = 0.5  # flow that explains less is of little use
DRY_RUN_ABOVE = 300  # steps; longer trainings are tried with two steps first
SETTINGS_SHOWN = 5


def train_all(job: Job) -> Run:
    """All stages in order; one whose newest run has the same inputs is not trained again."""
    split_project(job)
    for stage in needed_stages(job.config):
        run = find_up_to_date(job.project, job.config, stage) if job.resume else None
        if run is None:
            train_stage(job, stage)
        else:
            job.progress.message(f"{stage}: run {run.id} is up to date")
        if stage == "features":
            extract_project(job)
    return predict_project(job)


def train_one(job: Job, stage: Stage) -> Run:
    """Train one stage; the sequence stage ends with an ethogram of every video."""
    run = train_stage(job, stage)
    if stage == "sequence":
        extract_project(job)
        predict_project(job)
    return run


def train_stage(job: Job, stage: Stage) -> Run:
    """Train one stage; a long training is tried with two steps first."""
    split_project(job)
    job = _inherit(job, stage)
    announce_memory(job, stage)
    run = find_broken_off(job.project, job.config, stage) if job.resume else None
    if run is not None:
        job.progress.message(f"going on with {stage} run {run.id}")
    else:
        if max(_planned_steps(job.config, stage)) > DRY_RUN_ABOVE:
            try_stage(job, stage)
        run = start_stage(job.project, job.config, stage, job.project.runs)
    run_stage(job, run)
    _draw_curves(run)
    if stage == "flow" and run.results["gain_db"] < MIN_GAIN_DB:
        gain = run.results["gain_db"]
        much = f"{gain:.2f} dB more" if gain > 0 else f"{-gain:.2f} dB less"
        job.progress.message(
            f"note: this flow explains {much} than no motion would "
            f"(useful: {MIN_GAIN_DB} or more): look at {run.folder / 'flow.png'}, train longer "
            "(flow.train.steps) or on larger frames; slow videos hold hardly any motion per frame"
        )
    return run


def try_all(job: Job) -> list[Stage]:
    """Dry run of every stage whose earlier stages are trained; gives the stages tried."""
    tried: list[Stage] = []
    for stage in needed_stages(job.config):
        parent = parent_stage(job.config, stage)
        if parent and not find_runs(job.project.runs, parent):
            job.progress.message(f"{stage} is not tried: it needs a finished {parent} run")
        else:
            tried.append(try_stage(job, stage))
    return tried


def try_stage(job: Job, stage: Stage) -> Stage:
    """Dry run: two steps, one validation, save and reload, in a folder that is thrown away."""
    split_project(job)
    job = _inherit(job, stage)
    job.progress.message(f"dry run of {stage}: two steps, validation, save, reload")
    short = dataclasses.replace(job, config=_shorten(job.config, stage), resume=False)
    with tempfile.TemporaryDirectory() as folder:
        run = run_stage(short, start_stage(job.project, short.config, stage, Path(folder)))
        if not run.finished:
            raise RuntimeError(f"{stage} dry run left no results")
        reload_stage(job, run)
    return stage


def split_project(job: Job) -> None:
    """Write train, val and test as `plan_splits` finds them.

    Raises:
        InputError: It cannot be done, or the parts as they are leave train or val empty.
    """
    project = job.project
    labels = {name: value.values for name, value in project.read_labels().items()}
    if not labels:
        return
    splits, note = plan_splits(project, job.config, labels)
    if splits != project.splits:
        project.write_splits(splits)
    if note:
        job.progress.message(f"note: {note}")
    refuse_empty_parts(project, labels)


def predict_project(job: Job, *, overwrite: bool = False, thresholds: Sequence[str] = ()) -> Run:
    """Probabilities and ethogram of every video of the project, from its cached features.

    Probabilities of this run that are there already are kept, unless they are to be overwritten.

    Args:
        job: Project and settings.
        overwrite: Predict again what is done.
        thresholds: Such as groom=0.3, in place of the run's.
    """
    run = latest_run(job.project.runs, "sequence")
    features_run = run.parent("features")
    decision = load_decision(run, parse_overrides(thresholds, run.behaviors))
    if changes := describe_changes(run, decision):
        job.progress.message(changes)
    model = load_sequence(run)
    if warning := describe_mismatch(find_precisions(job.project.videos(), features_run), run):
        job.progress.message(warning)
    for video in job.project.videos():
        target = array_file(video.arrays, "sequence", run.id)
        if overwrite or not target.exists():
            probabilities = predict_cached(video, features_run, model, exclusive=run.exclusive)
            with ArrayWriter(target, {"run": run.id, "behaviors": list(run.behaviors)}) as writer:
                writer.append(probabilities=probabilities)
                writer.finish()
        _write_ethogram(job.project, video, decision, read_probabilities(video, run))
    return run


def _inherit(job: Job, stage: Stage) -> Job:
    """The job with the settings that the run before was made with, where they must be the same."""
    config, changed = inherit_settings(job.project, job.config, stage)
    if changed:
        shown = "; ".join(changed[:SETTINGS_SHOWN])
        more = len(changed) - SETTINGS_SHOWN
        job.progress.message(
            f"note: the {stage} model goes with its {PARENT[stage]}, which were made with {shown}"
            + (f" and {more} more" if more > 0 else "")
        )
    return dataclasses.replace(job, config=config)


def _write_ethogram(
    project: Project, video: Video, decision: Decision, probabilities: np.ndarray
) -> None:
    """Ethogram, bouts and picture (labels over prediction) into the video's folder."""
    present = decision.apply(probabilities)
    ethogram = Ethogram(present.astype(np.int8), decision.behaviors, video.fps)
    write_bouts_csv(find_bouts(ethogram), video.fps, video.folder / "bouts.csv")
    plot_raster(
        video.read_labels(project.behaviors),
        ethogram,
        decision.calibrate(probabilities),
        decision.thresholds,
        video.folder / "ethogram.png",
    )
    write_csv(ethogram, video.ethogram_path)


def _draw_curves(run: Run) -> None:
    """A picture beside every metrics file of a run."""
    for path in run.folder.glob("metrics*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                {key: float(value) for key, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
        plot_curves(
            rows, path.with_name(path.name.replace("metrics", "curves")).with_suffix(".png")
        )


def _planned_steps(config: Config, stage: Stage) -> list[int]:
    if stage == "features" and config.features.model.name == "keypoints":
        return [config.features.phases.spatial]
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
