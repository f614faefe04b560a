"""Judgements as tables for people and files for programs.

Beside the sequence run: evaluation.csv (one number per line: predictor, slice, metric, behavior,
value, low, high) and evaluation.json (the same, and the confusion).
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pixelethogram.atomic import write_bytes
from pixelethogram.ethogram.judgement import ALL, Judgement
from pixelethogram.evaluation import Evaluation, score_rows

FILE_COLUMNS = ("predictor", "slice", "metric", "behavior", "value", "low", "high")
EVERYTHING = ""
INTERVAL = "95 %"

Judgements = Mapping[tuple[str, str], Judgement]
"""(Predictor, slice such as "sex=f", or an empty text for all videos) -> judgement."""

OVERVIEW: dict[str, str] = {
    "present": "support",
    "F1": "f1",
    INTERVAL: "",
    "chance": "f1_chance",
    "prec.": "precision",
    "recall": "recall",
    "AP": "average_precision",
    "ECE before": "calibration_error_before",
    "ECE": "calibration_error",
    "bout F1": "segmental_f1@25",
    "onset": "onset_median",
    "time r": "time_fraction: pearson_r",
}
FORMATS: dict[str, Callable[[float], Any]] = {"present": int, "onset": "{:.1f}".format}
HELP = "chance: F1 of shifted labels · onset: in frames · every column: evaluate --help"


def ablation_rows(
    evaluations: Mapping[str, Evaluation], part: str, judgements: Judgements
) -> list[list[Any]]:
    """`score_rows`, with the 95 % interval of macro F1 after it."""
    rows = []
    for row in score_rows(evaluations, part):
        judged = judgements.get((row[0], EVERYTHING))
        ends = (math.nan, math.nan) if judged is None else judged.macro_f1_interval.tolist()
        rows.append([*row[:2], show_interval(*ends), *row[2:]])
    return rows


def overview_columns(judgement: Judgement) -> dict[str, str]:
    """Those of `OVERVIEW` that there are: without calibration there is no error before it."""
    known = {row.metric for row in judgement.rows()}
    columns = OVERVIEW.items()
    return {name: metric for name, metric in columns if metric in known or name == INTERVAL}


def overview_rows(judgement: Judgement) -> list[list[Any]]:
    """A row per behavior with the `overview_columns`, and the mean last."""
    numbers = {(row.metric, row.behavior): row for row in judgement.rows()}
    rows = []
    for behavior in [*judgement.scores.behaviors, ALL]:
        cells: list[Any] = ["mean" if behavior == ALL else behavior]
        of_f1 = numbers["f1", behavior]
        for column, metric in overview_columns(judgement).items():
            found = numbers.get((metric, behavior))
            if column == INTERVAL:
                cells.append(show_interval(of_f1.low, of_f1.high))
            elif found is None or math.isnan(found.value):
                cells.append(None)
            else:
                cells.append(FORMATS[column](found.value) if column in FORMATS else found.value)
        rows.append(cells)
    return rows


def metric_rows(judgement: Judgement) -> list[list[Any]]:
    """A row per metric, a column for all behaviors and for each."""
    columns = [ALL, *judgement.scores.behaviors]
    table: dict[str, dict[str, float]] = {}
    for row in judgement.rows():
        table.setdefault(row.metric, {})[row.behavior] = row.value
    return [
        [metric, *(_cell(values.get(column, math.nan)) for column in columns)]
        for metric, values in table.items()
    ]


def confusion_rows(judgement: Judgement) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows: labelled behavior, then frames per predicted behavior."""
    names = list(judgement.scores.behaviors)
    if len(judgement.confusion) > len(names):
        names.append("none of them")
    rows = zip(names, judgement.confusion.tolist(), strict=True)
    return ["labelled \\ predicted", *names], [[name, *counts] for name, counts in rows]


def slice_rows(judgements: Judgements, predictor: str) -> list[list[Any]]:
    """Rows (slice, videos, macro F1, its interval, chance, F1 of each behavior)."""
    return [
        [
            value,
            found.num_videos,
            found.scores.macro_f1,
            show_interval(*found.macro_f1_interval.tolist()),
            _cell(float(found.chance["macro_f1"])),  # type: ignore[arg-type]
            *(
                value if count else None
                for value, count in zip(
                    found.scores.f1.tolist(), found.scores.support.tolist(), strict=True
                )
            ),
        ]
        for (name, value), found in judgements.items()
        if name == predictor and value != EVERYTHING
    ]


def show_interval(low: float, high: float) -> str:
    """Two ends, or a dash."""
    return "–" if math.isnan(low) or math.isnan(high) else f"{low:.2f} to {high:.2f}"


def write_judgements(judgements: Judgements, about: Mapping[str, Any], folder: Path) -> None:
    """Write evaluation.csv and evaluation.json.

    Args:
        judgements: What to write.
        about: More for the JSON file: the part that judged, repeated splits.
        folder: Of the sequence run.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FILE_COLUMNS)
    for (predictor, value), judged in judgements.items():
        for row in judged.rows():
            numbers = ("" if math.isnan(n) else n for n in (row.value, row.low, row.high))
            writer.writerow([predictor, value, row.metric, row.behavior, *numbers])
    write_bytes(folder / "evaluation.csv", text.getvalue().encode())
    content = json.dumps({**about, **judgements_to_dict(judgements)}, ensure_ascii=False, indent=1)
    write_bytes(folder / "evaluation.json", content.encode())


def judgements_to_dict(judgements: Judgements) -> dict[str, Any]:
    """Plain values: of each predictor everything on all videos, and of each slice."""
    plain: dict[str, Any] = {"judgements": {}, "slices": {}}
    for (predictor, value), judged in judgements.items():
        if value == EVERYTHING:
            plain["judgements"][predictor] = judged.to_dict()
        else:
            plain["slices"].setdefault(predictor, {})[value] = judged.to_dict()
    return plain


def _cell(value: float) -> float | None:
    return None if math.isnan(value) else value
