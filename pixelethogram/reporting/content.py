"""What the report says in tables: runs, parts, scores, versions. Plain values for the page."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from pixelethogram.config import Config
from pixelethogram.ethogram.judgement import Judgement
from pixelethogram.human_ceiling import Ceiling
from pixelethogram.lineage import PARENT
from pixelethogram.project import Project
from pixelethogram.runs import Run
from pixelethogram.splits import Segment
from pixelethogram.start_weights.sources import NONE

PARTS = ("train", "val", "test")
CURVES = ("loss", "f1", "gain_db")

Table = dict[str, Any]
"""columns and rows of text or numbers."""


def find_chain(run: Run) -> list[Run]:
    """A sequence run and what it is built on, the first stage first."""
    chain = [run]
    while (stage := PARENT.get(chain[0].stage)) and stage in chain[0].record["parents"]:
        chain.insert(0, chain[0].parent(stage))
    return chain


def run_table(chain: Sequence[Run]) -> Table:
    """What was trained on what."""
    rows = []
    for run in chain:
        config, results = run.config, run.results
        videos = ", ".join(
            f"{len(names)} {part}" for part, names in run.record["videos"].items() if names
        )
        rows.append(
            [
                run.stage,
                run.id,
                getattr(config, run.stage).model.name,
                describe_frames(config),
                videos or "all",
                _steps(results),
                _start(results),
                _minutes(run),
                results["weights_sha256"][:12],
            ]
        )
    columns = ["stage", "run", "network", "frames", "videos", "steps", "starts from", "minutes"]
    return {"columns": [*columns, "weights"], "rows": rows}


def split_table(project: Project, labels: Mapping[str, np.ndarray]) -> Table:
    """A row per video and part: scored frames, and frames with each behavior, shaded by share."""
    rows = []
    for part in PARTS:
        by_video: dict[str, list[Segment]] = {}
        for each in project.splits.get(part, []):
            by_video.setdefault(each.video, []).append(each)
        for video, segments in by_video.items():
            if video not in labels:
                continue
            values = np.concatenate([labels[video][each.start : each.stop] for each in segments])
            scored = (values >= 0).sum(axis=0)
            counts = (values == 1).sum(axis=0)
            cells = [
                {"count": int(count), "share": float(count / total) if total else 0.0}
                for count, total in zip(counts, scored, strict=True)
            ]
            rows.append(
                {
                    "part": part,
                    "video": video,
                    "frames": len(values),
                    "scored": int((values >= 0).any(axis=1).sum()),
                    "cells": cells,
                }
            )
    unlabelled = [video.name for video in project.videos() if video.name not in labels]
    return {"rows": rows, "unlabelled": unlabelled}


def score_table(judged: Judgement, ceiling: Ceiling | None) -> Table:
    """A row per behavior: agreement frame by frame."""
    scores, raw = judged.scores, judged.raw_calibration_error
    rows = []
    for k, name in enumerate(scores.behaviors):
        low, high = judged.f1_interval[:, k]
        rows.append(
            [
                name,
                int(scores.support[k]),
                _number(scores.f1[k]),
                f"{low:.2f}\u00a0–\u00a0{high:.2f}" if np.isfinite(low) else "–",
                _number(np.asarray(judged.chance["f1"])[k]),
                *(
                    [_number(each[k]) for each in (ceiling.people, ceiling.model)]
                    if ceiling
                    else []
                ),
                _number(scores.precision[k]),
                _number(scores.recall[k]),
                _number(scores.average_precision[k]),
                _number(scores.auroc[k]),
                *([_number(raw[k], 3)] if raw is not None else []),
                _number(judged.calibration_error[k], 3),
            ]
        )
    columns = [
        *("frame by frame", "frames", "F1", "95 %", "chance"),
        *(["people", "model there"] if ceiling else []),
        *("precision", "recall", "AP", "AUROC"),
        *(["calibration error before"] if raw is not None else []),
        "calibration error",
    ]
    return {"columns": columns, "rows": rows}


def bout_table(judged: Judgement) -> Table:
    """A row per behavior: agreement bout by bout."""
    edges = judged.boundaries
    rows = [
        [
            name,
            int(edges.num_bouts[k]),
            int(edges.num_matched[k]),
            *(_number(each[k]) for each in judged.segmental_f1),
            *(_number(each[k], 1) for each in (edges.onset_median, edges.onset_p90)),
            *(_number(each[k], 1) for each in (edges.offset_median, edges.offset_p90)),
        ]
        for k, name in enumerate(judged.scores.behaviors)
    ]
    columns = [
        *("bout by bout", "bouts", "found", "F1@10", "F1@25", "F1@50"),
        *("onset off by (frames)", "9 in 10 within", "offset off by (frames)", "9 in 10 within"),
    ]
    return {"columns": columns, "rows": rows}


def agreement_table(judged: Judgement) -> Table:
    """Pearson r and mean difference of bout statistics over videos."""
    units = {
        "time_fraction": "share of time",
        "num_bouts": "bouts",
        "mean_seconds": "mean bout (s)",
        "median_seconds": "median bout (s)",
        "bouts_per_minute": "bouts per minute",
    }
    found = judged.statistics
    rows = [
        [
            name,
            units[statistic],
            _number(found.label_mean[row, k], 3),
            _number(found.predicted_mean[row, k], 3),
            _number(found.mean_absolute_difference[row, k], 3),
            _number(found.pearson_r[row, k]),
            int(found.num_videos[row, k]),
        ]
        for k, name in enumerate(judged.scores.behaviors)
        for row, statistic in enumerate(found.statistics)
    ]
    columns = ["behavior", "statistic", "labels", "model", "mean difference", "r", "videos"]
    return {"columns": columns, "rows": rows}


def read_curves(run: Run) -> list[tuple[str, list[dict[str, float]], list[str]]]:
    """Name, rows and drawn metrics of every metrics file of a run."""
    found = []
    for path in sorted(run.folder.glob("metrics*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                {key: float(value) for key, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
        keys = {key for row in rows for key in row}
        names = [name for name in CURVES if {f"train_{name}", f"val_{name}"} & keys]
        if names:
            part = path.stem.removeprefix("metrics").strip("_").replace("_", " ")
            found.append((f"{run.stage} {part}".strip(), rows, names))
    return found


def version_rows(chain: Sequence[Run]) -> list[tuple[str, str]]:
    """Programs, settings and weights by name and full hash."""
    rows = [(name, text) for name, text in chain[-1].record["versions"].items()]
    for run in chain:
        rows.append((f"{run.stage}: inputs (sha256)", run.record["fingerprint"]))
        rows.append((f"{run.stage}: weights (sha256)", run.results["weights_sha256"]))
    return rows


def file_table(project: Project, labels: Mapping[str, np.ndarray]) -> Table:
    """Recordings and labels by hash, so that others can tell whether theirs are the same."""
    rows = []
    for video in project.videos():
        info = video.info
        mark = "–"
        if video.name in labels:
            mark = hashlib.sha256(labels[video.name].tobytes()).hexdigest()[:16]
        size = f"{info['width']} × {info['height']}"
        rows.append(
            [video.name, video.num_frames, f"{video.fps:.4g}", size, video.sha256[:16], mark]
        )
    columns = ["video", "frames", "frames/s", "pixels", "recording (sha256)", "labels (sha256)"]
    return {"columns": columns, "rows": rows}


def describe_frames(config: Config) -> str:
    """Size of the frames that networks see; a dash where they see keypoints."""
    if not config.sees_clips:
        return "–"
    return f"{config.frames.width}\u00a0×\u00a0{config.frames.height}"


def _steps(results: Mapping[str, Any]) -> str:
    fits: list[tuple[str, Mapping[str, Any]]] = []
    if "phases" in results:
        fits = [(f"{name} ", each) for name, each in results["phases"].items()]
    elif isinstance(results.get("fit"), list):
        fits = [("", each) for each in results["fit"]]
    elif "fit" in results:
        fits = [("", results["fit"])]
    return ", ".join(f"{name}{each['best_step']} of {each['steps']}" for name, each in fits)


def _start(results: Mapping[str, Any]) -> str:
    source = str(results.get("start_weights", {}).get("source", NONE))
    return "random" if source == NONE else source


def _minutes(run: Run) -> str:
    started = datetime.fromisoformat(run.record["started"])
    finished = datetime.fromisoformat(run.results["finished"])
    return f"{(finished - started).total_seconds() / 60:.1f}"


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"
