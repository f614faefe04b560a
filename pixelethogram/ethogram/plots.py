"""Pictures for people: raster of labels and predictions, scores per behavior, training curves.

Comes in: ethograms, scores, rows of metrics. Goes out: PNG files. Colours are those of Okabe
and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pixelethogram.ethogram.bouts import find_runs
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.ethogram.scores import Scores

BLACK, SKY, GREEN, BLUE, VERMILION = "#000000", "#56B4E9", "#009E73", "#0072B2", "#D55E00"
GREY, PALE = "#8C8C8C", "#F0F0F0"
MAX_COLUMNS = 1500  # no more than the pixels across the raster, so that a short bout stays visible
DPI = 150
LABEL_BAND, PREDICTION_BAND = (1.62, 2.02), (1.12, 1.52)


def plot_raster(
    labels: Ethogram | None,
    prediction: Ethogram,
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    path: Path,
) -> None:
    """Draw, for each behavior, the label above the prediction above the probability over time.

    Long videos are gathered into at most 1,500 columns: a band is drawn where the behavior occurs
    anywhere in the column; the probability is its mean, shaded from minimum to maximum.

    Args:
        labels: What a person scored, hatched where nobody did; None leaves the band out.
        prediction: What the model says; its behaviors and frame rate are drawn.
        probabilities: (T, K) float in [0, 1].
        thresholds: (K,) float, drawn as dashed lines.
        path: PNG file to write.

    Raises:
        ValueError: The arrays do not belong together.
    """
    shape = prediction.values.shape
    if probabilities.shape != shape or np.shape(thresholds) != shape[1:]:
        raise ValueError(
            f"expected probabilities {shape} and thresholds {shape[1:]}, "
            f"got {probabilities.shape} and {np.shape(thresholds)}"
        )
    if labels is not None and (labels.behaviors, len(labels.values)) != (
        prediction.behaviors,
        len(prediction.values),
    ):
        raise ValueError("labels and prediction differ in behaviors or in length")
    num_behaviors = shape[1]
    figure = Figure(figsize=(14, 0.95 * num_behaviors + 1.1), dpi=DPI, layout="constrained")
    panels = figure.subplots(num_behaviors, 1, sharex=True, squeeze=False)[:, 0]
    for column, panel in enumerate(panels):
        truth = None if labels is None else labels.values[:, column]
        _draw_bands(panel, truth, prediction.values[:, column], prediction.fps)
        _draw_probability(panel, probabilities[:, column], thresholds[column], prediction.fps)
        _name_panel(panel, prediction.behaviors[column], labels is not None)
    panels[-1].set_xlabel("time (s)")
    panels[-1].set_xlim(0, shape[0] / prediction.fps)
    _add_raster_legend(figure, labels)
    figure.savefig(path)


def _draw_bands(panel: Axes, truth: np.ndarray | None, predicted: np.ndarray, fps: float) -> None:
    """Coloured where present; hatched where not scored."""
    bands = [(PREDICTION_BAND, predicted, VERMILION)]
    if truth is not None:
        bands.append((LABEL_BAND, truth, BLUE))
    for (bottom, top), values, colour in bands:
        height = top - bottom
        end = len(values) / fps
        panel.broken_barh([(0, end)], (bottom, height), facecolor=PALE, linewidth=0)
        gaps = _to_spans(values < 0, fps)
        panel.broken_barh(
            gaps, (bottom, height), facecolor="white", edgecolor=GREY, hatch="////", linewidth=0
        )
        spans = _to_spans(values == 1, fps)
        panel.broken_barh(spans, (bottom, height), facecolor=colour, linewidth=0)


def _to_spans(trace: np.ndarray, fps: float) -> list[tuple[float, float]]:
    """Start and duration in seconds of the runs of true, in columns of equally many frames."""
    frames = _frames_per_column(len(trace))
    starts = np.arange(0, len(trace), frames)
    runs = find_runs(np.logical_or.reduceat(trace, starts)) * frames
    ends = np.minimum(runs[:, 1], len(trace))
    return [(start / fps, (end - start) / fps) for start, end in zip(runs[:, 0], ends, strict=True)]


def _draw_probability(panel: Axes, probability: np.ndarray, threshold: float, fps: float) -> None:
    frames = _frames_per_column(len(probability))
    starts = np.arange(0, len(probability), frames)
    stops = np.minimum(starts + frames, len(probability))
    mean = np.add.reduceat(probability.astype(np.float64), starts) / (stops - starts)
    seconds = (starts + stops) / 2 / fps
    if frames > 1:
        low, high = (each.reduceat(probability, starts) for each in (np.minimum, np.maximum))
        panel.fill_between(seconds, low, high, color=GREY, alpha=0.35, linewidth=0)
    panel.plot(seconds, mean, color=BLACK, linewidth=0.9)
    panel.axhline(threshold, color=GREEN, linewidth=1.2, linestyle="--")


def _frames_per_column(num_frames: int) -> int:
    return max(1, math.ceil(num_frames / MAX_COLUMNS))


def _name_panel(panel: Axes, behavior: str, has_labels: bool) -> None:
    bands = {"model": PREDICTION_BAND, "label": LABEL_BAND}
    if not has_labels:
        del bands["label"]
    middles = [(bottom + top) / 2 for bottom, top in bands.values()]
    panel.set_ylim(-0.06, max(top for _, top in bands.values()) + 0.06)
    panel.set_yticks([0.0, 1.0, *middles], ["0", "1", *bands], fontsize=8)
    panel.set_ylabel(behavior, rotation=0, ha="right", va="center", fontsize=11, parse_math=False)
    panel.spines[["top", "right"]].set_visible(False)


def _add_raster_legend(figure: Figure, labels: Ethogram | None) -> None:
    entries: list[Artist] = [Patch(color=VERMILION, label="model: present")]
    if labels is not None:
        entries.insert(0, Patch(color=BLUE, label="label: present"))
        entries.append(Patch(facecolor="white", edgecolor=GREY, hatch="////", label="not scored"))
    entries.append(Line2D([], [], color=BLACK, linewidth=0.9, label="probability"))
    entries.append(Line2D([], [], color=GREEN, linestyle="--", label="threshold"))
    figure.legend(handles=entries, loc="outside upper center", ncols=len(entries), frameon=False)


def plot_scores(
    scores: Scores, chance: Mapping[str, float | list[float]] | None, path: Path
) -> None:
    """Draw F1, precision, recall and average precision of each behavior, and chance F1.

    Args:
        scores: What to draw; the mean over the behaviors comes last.
        chance: Result of `chance_scores`; None leaves chance out.
        path: PNG file to write.
    """
    names = [*map("{} (n = {})".format, scores.behaviors, scores.support), "mean"]
    rows = list(range(len(names)))
    f1 = [*scores.f1.tolist(), scores.macro_f1]
    figure = Figure(figsize=(9, 0.5 * len(names) + 1.4), dpi=DPI, layout="constrained")
    panel = figure.subplots()
    panel.barh(rows, f1, height=0.62, color=SKY, label="F1")
    for row, value in zip(rows, f1, strict=True):
        panel.text(1.03, row, f"{value:.2f}", va="center", fontsize=9)
    if chance is not None:
        expected = np.hstack([chance["f1"], chance["macro_f1"]])
        panel.scatter(
            expected, rows, 320, BLACK, marker="|", linewidths=2, zorder=2, label="chance F1"
        )
    _draw_markers(panel, scores)
    panel.axhline(len(names) - 1.5, color=GREY, linewidth=0.8)
    panel.set_yticks(rows, names, parse_math=False)
    panel.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xlabel="score")
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(path)


def _draw_markers(panel: Axes, scores: Scores) -> None:
    """Above the bar's middle precision, below it recall, on it average precision."""
    for label, values, mean, offset, marker, colour in (
        ("precision", scores.precision, scores.macro_precision, -0.17, "^", VERMILION),
        (
            "average precision",
            scores.average_precision,
            scores.macro_average_precision,
            0,
            "D",
            GREEN,
        ),
        ("recall", scores.recall, scores.macro_recall, 0.17, "v", BLUE),
    ):
        heights = np.arange(len(values) + 1) + offset
        panel.scatter(
            np.append(values, mean),
            heights,
            55,
            colour,
            marker=marker,
            edgecolors="white",
            clip_on=False,
            zorder=3,
            label=label,
        )


def plot_curves(rows: Sequence[Mapping[str, float | None]], path: Path, x: str = "step") -> None:
    """Draw every metric over the training, `train_` and `val_` versions of one in one panel.

    Args:
        rows: Metrics of one moment each; None, NaN or an absent key where one was not measured.
        path: PNG file to write.
        x: Key of the horizontal axis, which every row has.

    Raises:
        ValueError: There is no metric to draw.
    """
    panels: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for row in rows for key in row if key != x):
        panels.setdefault(key.removeprefix("train_").removeprefix("val_"), []).append(key)
    if not panels:
        raise ValueError(f"no metric besides {x} in {len(rows)} rows")
    num_columns = min(3, len(panels))
    num_rows = math.ceil(len(panels) / num_columns)
    figure = Figure(figsize=(4.4 * num_columns, 3 * num_rows), dpi=DPI, layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for panel, (name, keys) in zip(axes, panels.items(), strict=False):
        for key in keys:
            _draw_curve(panel, rows, x, key)
        panel.set_title(name if len(keys) > 1 else keys[0], fontsize=11, parse_math=False)
        panel.set_xlabel(x)
        panel.spines[["top", "right"]].set_visible(False)
        if len(keys) > 1:
            panel.legend(frameon=False, fontsize=9)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    figure.savefig(path)


def _draw_curve(panel: Axes, rows: Sequence[Mapping[str, float | None]], x: str, key: str) -> None:
    colours = {"train": BLUE, "val": VERMILION}
    points = [(row[x], row[key]) for row in rows if row.get(key) is not None]
    moments, values = np.array(points, dtype=np.float64).reshape(-1, 2).T
    finite = np.isfinite(values)
    panel.plot(
        moments[finite],
        values[finite],
        color=colours.get(key.split("_")[0], BLACK),
        label=key,
        linewidth=1.6,
        marker="o" if finite.sum() <= 30 else None,
        markersize=3.5,
    )


def plot_flow_panel(
    current: np.ndarray,
    following: np.ndarray,
    warped: np.ndarray,
    flow: np.ndarray,
    gain_db: float,
    path: Path,
) -> None:
    """Draw two neighbouring frames, the second warped back onto the first, errors and flow.

    Args:
        current: (h, w, 3) in [0, 1].
        following: (h, w, 3), the next frame.
        warped: (h, w, 3), the next frame fetched back along the flow.
        flow: (2, h, w) in pixels, x first.
        gain_db: How much better `warped` explains `current` than `following` does.
        path: PNG file to write.
    """
    angle = (np.arctan2(flow[1], flow[0]) / (2 * np.pi)) % 1
    length = np.hypot(flow[0], flow[1])
    longest = max(float(np.percentile(length, 99)), 1e-6)
    colors = hsv_to_rgb(np.stack([angle, np.clip(length / longest, 0, 1), np.ones_like(angle)], -1))
    panels = {
        "frame": current,
        "next frame": following,
        "next frame, warped back": warped,
        "difference without flow": np.abs(current - following).clip(0, 1),
        "difference with flow": np.abs(current - warped).clip(0, 1),
        f"flow (full color: {longest:.1f} px)": colors,
    }
    figure = Figure(figsize=(9, 6.4), dpi=DPI, layout="constrained")
    for axes, (title, picture) in zip(figure.subplots(2, 3).flat, panels.items(), strict=True):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    figure.suptitle(f"flow explains {gain_db:.2f} dB more than no motion", fontsize=11)
    figure.savefig(path)
