"""`pixelethogram report`: a trained project in, one HTML file out that needs nothing else.

No network, no framework: figures and pictures are inside of the file, and a rule in its head keeps
browsers from loading anything.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from pixelethogram import __version__
from pixelethogram.alarms import AlarmReport, doubt_chance, find_alarms
from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError
from pixelethogram.ethogram.bout_statistics import measure_bouts
from pixelethogram.ethogram.calibration import reliability
from pixelethogram.ethogram.judgement import Judgement
from pixelethogram.ethogram.shortcuts import within_auroc
from pixelethogram.evaluation import Evaluation, final_part
from pixelethogram.human_ceiling import Ceiling, find_ceiling
from pixelethogram.project import Project
from pixelethogram.project_evaluation import (
    SEQUENCE,
    ProjectArrays,
    evaluate_arrays,
    judge_arrays,
    read_arrays,
)
from pixelethogram.reporting import content, figures
from pixelethogram.reporting.minutes import Minute, choose_frames, choose_minutes, rank_minutes
from pixelethogram.reporting.rasters import (
    draw_raster,
    frames_per_column,
    read_png,
    to_jpeg,
    to_png,
)
from pixelethogram.splits import hide_other_frames
from pixelethogram.stages import Job

TEMPLATE = "report.html"
NUM_MINUTES = 3
NUM_FRAMES = 6
FRAME_WIDTH = 220
NUM_TICKS = 7
NONE = "none of them"


@dataclasses.dataclass(frozen=True)
class Findings:
    """Everything the page is made of."""

    project: Project
    arrays: ProjectArrays
    evaluations: dict[str, Evaluation]
    part: str
    judged: Judgement
    labels: dict[str, np.ndarray]
    """Video of the part -> (T, K), −1 outside of it."""
    probabilities: dict[str, np.ndarray]
    """The same videos, calibrated."""
    present: dict[str, np.ndarray]
    ceiling: Ceiling | None
    """People against people on frames that judge the model; None where one person scored."""
    alarms: AlarmReport


def write_report(job: Job, path: Path) -> int:
    """Write the page.

    Args:
        job: A project with a finished sequence run.
        path: HTML file.

    Returns:
        Its size in bytes.

    Raises:
        InputError: Nothing is trained, predicted or scored yet.
    """
    data = render(collect(job), job).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)
    return len(data)


def collect(job: Job) -> Findings:
    """Read and judge everything once."""
    job.project.behaviors  # noqa: B018 - refuses a folder that is no project
    arrays = read_arrays(job)
    evaluations = evaluate_arrays(arrays)
    part = final_part(evaluations)
    judged = judge_arrays(arrays, evaluations[SEQUENCE], part)
    if judged is None:
        raise InputError(
            f"no frame of the {part} part is scored", where=job.project.folder, do="label more"
        )
    labels = hide_other_frames(arrays.labels, arrays.splits[part])
    decision, found = evaluations[SEQUENCE].decision, arrays.probabilities[SEQUENCE]
    present = {name: decision.apply(found[name]) for name in labels}
    return Findings(
        job.project,
        arrays,
        evaluations,
        part,
        judged,
        labels,
        {name: decision.calibrate(found[name]) for name in labels},
        present,
        find_ceiling(job.project, arrays, part, present),
        find_alarms(job.project, arrays.run.config),
    )


def render(findings: Findings, job: Job) -> str:
    """The page as text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        files("pixelethogram.reporting").joinpath(TEMPLATE).read_text("utf-8")
    )
    return template.render(
        **_head(findings),
        **_tables(findings),
        **_figures(findings),
        rasters=[_raster(findings, video) for video in findings.labels],
        **_minutes(findings, job),
    )


def _head(findings: Findings) -> dict[str, Any]:
    judged, low_high = findings.judged, findings.judged.macro_f1_interval
    return {
        "name": findings.project.folder.resolve().name,
        "version": __version__,
        "made": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "part": findings.part,
        "behaviors": findings.arrays.run.behaviors,
        "exclusive": findings.arrays.run.exclusive,
        "num_videos": judged.num_videos,
        "macro_f1": judged.scores.macro_f1,
        "interval": None if np.isnan(low_high).any() else low_high.tolist(),
        "chance": float(judged.chance["macro_f1"]),  # type: ignore[arg-type]
        "ceiling": None if findings.ceiling is None else float(findings.ceiling.people[-1]),
        "ceiling_frames": findings.ceiling.num_frames if findings.ceiling else 0,
        "num_frames": int(sum((each >= 0).any(axis=1).sum() for each in findings.labels.values())),
        "alarms": [*doubt_chance(judged), *findings.alarms.alarms],
    }


def _tables(findings: Findings) -> dict[str, Any]:
    chain = content.find_chain(findings.arrays.run)
    return {
        "runs": content.run_table(chain),
        "splits": content.split_table(findings.project, findings.arrays.labels),
        "scores": content.score_table(findings.judged, findings.ceiling),
        "bouts": content.bout_table(findings.judged),
        "agreement": content.agreement_table(findings.judged),
        "thresholds": _thresholds(findings),
        "versions": content.version_rows(chain),
        "files": content.file_table(findings.project, findings.arrays.labels),
        "curves": [
            {"title": title, "figure": figures.draw_curves(rows, names)}
            for run in chain
            for title, rows, names in content.read_curves(run)
        ],
    }


def _thresholds(findings: Findings) -> content.Table:
    decision = findings.evaluations[SEQUENCE].decision
    rows = [
        [name, f"{value:.3f}", int(frames)]
        for name, value, frames in zip(
            decision.behaviors, decision.thresholds, decision.min_bout_frames, strict=True
        )
    ]
    return {"columns": ["behavior", "threshold", "runs dropped up to (frames)"], "rows": rows}


def _figures(findings: Findings) -> dict[str, Any]:
    run, judged, scores = findings.arrays.run, findings.judged, findings.judged.scores
    labels = np.concatenate(list(findings.labels.values()))
    probabilities = np.concatenate(list(findings.probabilities.values()))
    points = np.stack([scores.precision, scores.recall], axis=1)
    names = [*run.behaviors, NONE] if run.exclusive else list(run.behaviors)
    totals = judged.confusion.sum(axis=1) if run.exclusive else scores.support
    scored = [each >= 0 for each in findings.labels.values()]
    fps = [findings.arrays.fps[name] for name in findings.labels]
    labelled = measure_bouts([each == 1 for each in findings.labels.values()], scored, fps)
    predicted = measure_bouts(list(findings.present.values()), scored, fps)
    return {
        "scores_figure": _draw_scores(findings),
        "precision_recall": figures.draw_precision_recall(
            run.behaviors, labels, probabilities, points
        ),
        "reliability": figures.draw_reliability(run.behaviors, reliability(labels, probabilities)),
        "confusion": figures.draw_confusion(names, judged.confusion, totals),
        "statistics": figures.draw_statistics(run.behaviors, labelled, predicted),
        "shortcuts": _draw_shortcuts(findings),
        "learning_curve": _show_learning_curve(findings.project.learning_curve_path),
    }


def _draw_scores(findings: Findings) -> str:
    judged = findings.judged
    predictors = {}
    for name, evaluation in findings.evaluations.items():
        found = evaluation.parts[findings.part].scores
        predictors[f"{name} model" if name == SEQUENCE else name] = np.append(
            found.f1, found.macro_f1
        )
    interval = np.column_stack([judged.f1_interval, judged.macro_f1_interval])
    chance = np.append(judged.chance["f1"], judged.chance["macro_f1"])
    behaviors = findings.arrays.run.behaviors
    people = findings.ceiling.people if findings.ceiling else None
    return figures.draw_scores(behaviors, predictors, interval, chance, people)


def _draw_shortcuts(findings: Findings) -> str | None:
    found = findings.alarms.shortcuts
    if found is None:
        return None
    within = within_auroc(list(findings.labels.values()), list(findings.probabilities.values()))
    behaviors = findings.arrays.run.behaviors
    return figures.draw_shortcuts(behaviors, found.baselines, found.auroc, within)


def _show_learning_curve(path: Path) -> dict[str, str] | None:
    """What `learning-curve` drew, and when; None where it never ran."""
    if not path.is_file():
        return None
    made = datetime.datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    return {"picture": read_png(path), "made": made.strftime("%Y-%m-%d %H:%M")}


def _raster(findings: Findings, video: str) -> dict[str, Any]:
    labels, fps = findings.labels[video], findings.arrays.fps[video]
    scored = labels >= 0
    wrong = scored & ((labels == 1) != findings.present[video])
    return {
        "video": video,
        "frames_per_column": frames_per_column(len(labels)),
        "picture": to_png(
            draw_raster(labels, findings.present[video], findings.probabilities[video])
        ),
        "ticks": [_clock(second) for second in np.linspace(0, len(labels) / fps, NUM_TICKS)],
        "error": float(wrong.sum() / max(scored.sum(), 1)),
    }


def _minutes(findings: Findings, job: Job) -> dict[str, Any]:
    ranked = rank_minutes(findings.labels, findings.present, findings.arrays.fps)
    worst, best = choose_minutes(ranked, NUM_MINUTES)
    job.progress.start("frames of the worst and best minutes", len(worst) + len(best))
    shown = {
        name: [_show_minute(findings, each, job) for each in chosen]
        for name, chosen in {"worst": worst, "best": best}.items()
    }
    job.progress.finish()
    return shown


def _show_minute(findings: Findings, minute: Minute, job: Job) -> dict[str, Any]:
    """One stretch with its raster and frames; of a recording that is gone only the raster."""
    job.progress.advance(1)
    video, inside = minute.video, slice(minute.start, minute.stop)
    labels, present = findings.labels[video], findings.present[video]
    fps = findings.arrays.fps[video]
    chosen = choose_frames(minute, labels, present, NUM_FRAMES)
    missing = ""
    pictures: Any = []
    try:
        with findings.project.video(video).open() as source:
            pictures = source.read(chosen)
    except InputError as error:
        missing = error.what
    return {
        "video": video,
        "from": _clock(minute.start / fps),
        "to": _clock(minute.stop / fps),
        "error": minute.error,
        "raster": to_png(
            draw_raster(labels[inside], present[inside], findings.probabilities[video][inside])
        ),
        "missing": missing,
        "frames": [
            {
                "picture": to_jpeg(picture, FRAME_WIDTH),
                "frame": frame,
                "time": _clock(frame / fps, tenths=True),
                **_describe_frame(findings, labels[frame], present[frame]),
            }
            for frame, picture in zip(chosen, pictures, strict=False)
        ],
    }


def _describe_frame(
    findings: Findings, labels: np.ndarray, present: np.ndarray
) -> Mapping[str, Any]:
    names = findings.arrays.run.behaviors

    def words(found: np.ndarray) -> str:
        return ", ".join(name for name, here in zip(names, found, strict=True) if here) or "none"

    differs = bool(((labels >= 0) & ((labels == 1) != present)).any())
    return {"label": words(labels == 1), "model": words(present), "differs": differs}


def _clock(seconds: float, *, tenths: bool = False) -> str:
    """Minutes and seconds, such as 1:05."""
    whole = int(seconds)
    text = f"{whole // 60}:{whole % 60:02d}"
    return f"{text}.{int(10 * (seconds - whole))}" if tenths else text
