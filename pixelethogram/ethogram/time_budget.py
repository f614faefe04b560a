"""What animals did, in numbers: a tidy table of videos × behaviors × measures.

Comes in: ethograms by people or models. Goes out: rows for a statistics program. Frames that nobody
scored (−1) are left out of every number; how many there are is a measure of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pixelethogram.errors import UsageError
from pixelethogram.ethogram.bout_statistics import BoutStatistics, count_transitions, measure_bouts
from pixelethogram.ethogram.bouts import find_runs
from pixelethogram.ethogram.ethogram import Ethogram

NONE = "none"
MEASURES = {
    "scored_seconds": ("s", "time that was scored"),
    "unscored_seconds": ("s", "time that nobody scored; it is in no other number"),
    "time_fraction": ("1", "share of the scored time"),
    "time_seconds": ("s", "scored time with the behavior"),
    "num_bouts": ("bouts", "unbroken runs; in a time bin: those that begin in it"),
    "bouts_per_minute": ("1/min", "bouts per minute of scored time"),
    "mean_seconds": ("s", "mean duration of a bout"),
    "median_seconds": ("s", "median duration of a bout"),
    "latency_seconds": ("s", "scored time before the first bout; empty if it never occurs"),
    "mean_interval_seconds": ("s", "mean pause between two bouts; unscored gaps are no pauses"),
    "median_interval_seconds": ("s", "median pause between two bouts"),
    "transitions": ("changes", "how often `to` follows, when behavior ends or changes"),
    "transition_share": ("1", "the same as a share of all changes away from the behavior"),
}
"""Measure -> unit and meaning."""


@dataclass(frozen=True)
class Row:
    """One number."""

    video: str
    group: str
    behavior: str
    measure: str
    value: float
    """NaN where it does not exist, such as the mean duration of no bout."""
    unit: str
    to: str = ""
    """Behavior that follows, of transitions; `none` is none of them."""
    start_seconds: float = 0.0
    """Where the time bin begins."""
    stop_seconds: float = math.nan
    """Where it ends; NaN: no bin, but the whole video."""


COLUMNS = tuple(field.name for field in fields(Row))


def build_rows(
    ethograms: Mapping[str, Ethogram], groups: Mapping[str, str], bin_seconds: float | None = None
) -> list[Row]:
    """Every measure of every video and behavior, then those of its time bins.

    Args:
        ethograms: Video -> who did what; all with the same behaviors.
        groups: Video -> group; empty without groups.
        bin_seconds: Length of a time bin; None makes none. Bins begin and end at multiples of it,
            so that videos of other frame rates share them; a video may end within its last bin,
            whose scored seconds say so.
    """
    rows: list[Row] = []
    for video, ethogram in ethograms.items():
        group = groups.get(video, "")
        rows += _describe_video(video, group, ethogram)
        rows += _describe_transitions(video, group, ethogram)
        if bin_seconds is not None:
            rows += _describe_bins(video, group, ethogram, bin_seconds)
    return rows


def summarize_groups(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Mean, standard deviation, standard error and median over the videos of each group.

    Videos in which a value does not exist are left out of its mean; `num_videos` says how many
    there are. Time bins are summarised bin by bin.
    """
    gathered: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        stop = None if math.isnan(row.stop_seconds) else row.stop_seconds
        key = (row.group, row.behavior, row.measure, row.to, row.start_seconds, stop, row.unit)
        values = gathered.setdefault(key, [])
        if not math.isnan(row.value):
            values.append(row.value)
    names = ("group", "behavior", "measure", "to", "start_seconds", "stop_seconds", "unit")
    return [
        {**dict(zip(names, key, strict=True)), **_summarize(np.array(values))}
        for key, values in gathered.items()
    ]


def _summarize(values: np.ndarray) -> dict[str, float]:
    number = len(values)
    spread = float(values.std(ddof=1)) if number > 1 else math.nan
    return {
        "num_videos": number,
        "mean": float(values.mean()) if number else math.nan,
        "sd": spread,
        "sem": spread / math.sqrt(number) if number else math.nan,
        "median": float(np.median(values)) if number else math.nan,
    }


def _describe_video(video: str, group: str, ethogram: Ethogram) -> list[Row]:
    present, scored, fps = ethogram.values == 1, ethogram.scored, ethogram.fps
    statistics = measure_bouts([present], [scored], [fps])
    rows = []
    for column, behavior in enumerate(ethogram.behaviors):
        found, known = present[:, column], scored[:, column]
        pauses = _pauses(found, known) / fps
        values = {
            "scored_seconds": known.sum() / fps,
            "unscored_seconds": (~known).sum() / fps,
            "time_seconds": found.sum() / fps,
            "latency_seconds": known[: found.argmax()].sum() / fps if found.any() else math.nan,
            "mean_interval_seconds": pauses.mean() if len(pauses) else math.nan,
            "median_interval_seconds": np.median(pauses) if len(pauses) else math.nan,
            **{
                field.name: getattr(statistics, field.name)[0, column]
                for field in fields(BoutStatistics)
            },
        }
        rows += [
            Row(video, group, behavior, measure, float(values[measure]), unit)
            for measure, (unit, _) in MEASURES.items()
            if measure in values
        ]
    return rows


def _pauses(present: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Lengths in frames of the pauses (n,) between two bouts of one scored stretch."""
    bouts = find_runs(present)
    between = np.stack([bouts[:-1, 1], bouts[1:, 0]], axis=1)
    unscored = np.append(0, np.cumsum(~scored))
    whole = unscored[between[:, 0]] == unscored[between[:, 1]]
    return np.diff(between[whole], axis=1).ravel()


def _describe_transitions(video: str, group: str, ethogram: Ethogram) -> list[Row]:
    counts = count_transitions([ethogram.values == 1], [ethogram.scored])
    leaving = counts.sum(axis=1)
    names = (*ethogram.behaviors, NONE)
    rows = []
    for before, behavior in enumerate(names):
        for after, to in enumerate(names):
            if before == after:
                continue
            count = float(counts[before, after])
            share = count / leaving[before] if leaving[before] else math.nan
            rows.append(Row(video, group, behavior, "transitions", count, "changes", to))
            rows.append(Row(video, group, behavior, "transition_share", float(share), "1", to))
    return rows


def _describe_bins(video: str, group: str, ethogram: Ethogram, bin_seconds: float) -> list[Row]:
    fps, length = ethogram.fps, len(ethogram.values)
    if bin_seconds * fps < 1:
        raise UsageError(
            f"time bins of {bin_seconds:g} s are shorter than a frame of {video}",
            do=f"make them {1 / fps:.3g} s or longer",
        )
    edges = np.rint(np.arange(0, length, bin_seconds * fps)).astype(int)
    edges = edges[edges < length]  # less than half a frame may be left over
    scored = np.add.reduceat(ethogram.scored, edges, axis=0, dtype=np.int64)
    found = np.add.reduceat(ethogram.values == 1, edges, axis=0, dtype=np.int64)
    rows = []
    for column, behavior in enumerate(ethogram.behaviors):
        starts = find_runs(ethogram.values[:, column] == 1)[:, 0]
        bouts = np.histogram(starts, [*edges, length])[0]
        for index in range(len(edges)):
            known, seconds = scored[index, column], found[index, column] / fps
            values = {
                "scored_seconds": known / fps,
                "time_fraction": found[index, column] / known if known else math.nan,
                "time_seconds": seconds if known else math.nan,
                "num_bouts": bouts[index] if known else math.nan,
            }
            rows += [
                Row(
                    video,
                    group,
                    behavior,
                    measure,
                    float(value),
                    MEASURES[measure][0],
                    start_seconds=index * bin_seconds,
                    stop_seconds=(index + 1) * bin_seconds,
                )
                for measure, value in values.items()
            ]
    return rows
