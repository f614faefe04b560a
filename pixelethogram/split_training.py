"""Features and sequence stage trained on one division of the videos, in a folder of its own.

::

    <project>/splits/<column>/<number>/    column: what divisions keep whole, video or subject ...
        runs/                              a copy of the flow run, and the runs trained here
        arrays/<video>/features/<run>.h5   until the division is scored

No network that learned from labels has then seen what the division judges. The flow is the
project's: it learned from the frames of all videos, and from no label. The project's own runs and
arrays are read and never written.

That takes hours, so everything goes on where it was broken off, by the rules of `lineage.py`: what
was finished with the same videos, labels, division and settings is not trained again.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pixelethogram.errors import UsageError
from pixelethogram.extraction import extract_project
from pixelethogram.features.models.external import ExternalConfig
from pixelethogram.lineage import find_broken_off, find_given, find_up_to_date, start_stage
from pixelethogram.memory_plan import announce_memory
from pixelethogram.progress import format_count, format_seconds
from pixelethogram.project import Project
from pixelethogram.runs import Run, Stage, find_runs
from pixelethogram.splits import Segment
from pixelethogram.stages import Job, run_stage

RETRAINED: tuple[Stage, ...] = ("features", "sequence")


def split_folder(project: Project, number: int, column: str = "video") -> Path:
    """Where what is trained on a division lies; those by other columns are other divisions."""
    return project.folder / "splits" / re.sub(r"[^\w-]", "_", column) / str(number)


def open_split(
    job: Job,
    run: Run,
    splits: Mapping[str, Sequence[Segment]],
    number: int,
    column: str = "video",
) -> dict[Stage, Job]:
    """What to train the stages on: the project, divided so, with the settings of its own runs.

    The flow run is copied there at once: what was trained with another one is not up to date.

    Args:
        job: Project and device.
        run: The project's sequence run; what it was built on counts for the features.
        splits: The division.
        number: Of the division; its folder is called so.
        column: What the division keeps whole; the folder above it is called so.
    """
    project = job.project.with_splits(splits, split_folder(job.project, number, column))
    features_run = run.parent("features")
    _copy_flow(features_run, project.runs)
    configs = {"features": features_run.config, "sequence": run.config}
    return {
        stage: dataclasses.replace(job, project=project, config=configs[stage], resume=True)
        for stage in RETRAINED
    }


def find_untrained(jobs: Mapping[Stage, Job]) -> list[Stage]:
    """Stages of a division that are still to be trained; a later one follows an earlier one."""
    for position, stage in enumerate(RETRAINED):
        job = jobs[stage]
        if find_up_to_date(job.project, job.config, stage) is None:
            return list(RETRAINED[position:])
    return []


def train_split(jobs: Mapping[Stage, Job]) -> Run:
    """Train what is missing of a division, then remove its cached features.

    Args:
        jobs: From `open_split`.

    Returns:
        The sequence run of the division; its results hold the scores.
    """
    project = jobs["features"].project
    for stage in find_untrained(jobs):
        job = jobs[stage]
        if stage == "sequence":
            extract_project(job, videos=[project.video(name) for name in project.read_labels()])
        announce_memory(job, stage)
        found = find_broken_off(project, job.config, stage)
        if found is not None:
            job.progress.message(f"going on with {stage} run {found.id}")
        run_stage(job, found or start_stage(project, job.config, stage, project.runs))
    _drop_arrays(project)
    return find_runs(project.runs, "sequence")[-1]


def announce_trainings(
    job: Job, run: Run, untrained: Sequence[Sequence[Stage]], folder: Path
) -> None:
    """Say how many trainings are to come, and how long those of the project took.

    Args:
        job: Whose progress is told.
        run: The project's sequence run.
        untrained: What `find_untrained` gave for each division.
        folder: Of all these divisions.
    """
    own: dict[Stage, Run] = {"features": run.parent("features"), "sequence": run}
    numbers = {stage: sum(stage in each for each in untrained) for stage in own}
    todo, done = [stage for stage in own if numbers[stage]], sum(not each for each in untrained)
    if not todo:
        job.progress.message(f"all {len(untrained)} splits are trained already")
        return
    took = " and ".join(
        f"{format_seconds(_measure_seconds(own[stage]))} for {stage}" for stage in todo
    )
    job.progress.message(
        f"{format_count(sum(numbers.values()), 'training')} to come: "
        + " and ".join(f"{stage} on {numbers[stage]}" for stage in todo)
        + f" of {len(untrained)} splits"
        + (f" ({done} trained already)" if done else "")
        + f"; the project's own took {took} from start to finish. All of it lies in "
        f"{folder}; broken off, the same command goes on"
    )


def refuse_learned_starts(job: Job, run: Run) -> None:
    """Networks that start from what this project learned have seen the labels that judge.

    Args:
        job: Project; its progress is told of files from elsewhere, of which nothing is known.
        run: The project's sequence run.

    Raises:
        UsageError: A stage starts from a run of the project, be it by way of a flow run.
    """
    folder, features_run = job.project.folder.resolve(), run.parent("features")
    flow = [features_run.parent(stage) for stage in features_run.record["parents"]]
    for each in (*flow, features_run, run):
        for starting, given in _find_starts(each):
            if Path(given).resolve().is_relative_to(folder):
                raise UsageError(
                    f"the {starting.stage} model starts from a run of this project: {given}",
                    where=starting.folder / "config.yaml",
                    why="that run learned from labels that are to judge now",
                    do=f"train {starting.stage} from other start weights first, or evaluate with "
                    "--retrain sequence",
                )
            model = starting.config.features.model
            is_network = isinstance(model, ExternalConfig) and given == model.source
            job.progress.message(
                f"note: the {starting.stage} model "
                + ("is the network in" if is_network else "starts from")
                + f" {given}; if that was made with labels of these videos, the scores are too good"
            )


def _find_starts(run: Run) -> Iterator[tuple[Run, str]]:
    """What a run starts from, with the run that says so; of a flow run, what that started from."""
    for given in find_given(run.config, run.stage):
        if (Path(given) / "run.yaml").is_file() and Run(Path(given)).stage == "flow":
            yield from _find_starts(Run(Path(given)))
        else:
            yield run, given


def _measure_seconds(run: Run) -> float:
    times = (run.record["started"], run.results["finished"])
    started, finished = map(datetime.datetime.fromisoformat, times)
    return (finished - started).total_seconds()


def _copy_flow(features_run: Run, runs: Path) -> None:
    """The flow run that features were built on, where its children look for it."""
    if "flow" not in features_run.record["parents"]:
        return
    flow = features_run.parent("flow")
    if [each.id for each in find_runs(runs, "flow")] == [flow.id]:
        return
    partial = runs / "flow.partial"
    for old in (partial, runs / "flow"):
        if old.exists():
            shutil.rmtree(old)
    shutil.copytree(flow.folder, partial / flow.id, ignore=shutil.ignore_patterns("checkpoints"))
    partial.rename(runs / "flow")


def _drop_arrays(project: Project) -> None:
    """Remove the cached features of a division; those of the project itself are out of reach."""
    if project.elsewhere is not None and (project.elsewhere / "arrays").exists():
        shutil.rmtree(project.elsewhere / "arrays")
