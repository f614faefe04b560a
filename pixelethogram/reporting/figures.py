"""Figures of the report as SVG inside of data URIs; colors of Okabe and Ito, no color alone.

Behaviors are told apart by color, marker and their name in the legend.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pixelethogram.ethogram.bout_statistics import BoutStatistics
from pixelethogram.ethogram.calibration import Reliability
from pixelethogram.ethogram.plots import BLACK, BLUE, GREEN, GREY, SKY, VERMILION

COLORS = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", SKY, BLACK, "#A08A00")
MARKERS = "osD^vPX*"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pixelethogram",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "font.family": "sans-serif",
}
PER_ROW = 3
MAX_LABEL = 18


def draw_scores(
    behaviors: Sequence[str],
    predictors: Mapping[str, np.ndarray],
    interval: np.ndarray,
    chance: np.ndarray,
    ceiling: np.ndarray | None,
) -> str:
    """F1 per behavior and their mean: sequence model as bars, others as markers.

    Args:
        behaviors: The K names.
        predictors: Name -> (K + 1,) F1, last the mean; the first one is drawn as bars.
        interval: (2, K + 1) ends of the interval of the first one; NaN leaves it out.
        chance: (K + 1,) F1 of shifted labels.
        ceiling: (K + 1,) F1 of people against people; None where one person scored.
    """
    names = [*map(_shorten, behaviors), "mean"]
    rows = np.arange(len(names))

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        (first, bars), *others = predictors.items()
        panel.barh(rows, bars, height=0.6, color=SKY, label=first)
        errors = np.nan_to_num(np.abs(interval - bars))
        if np.isfinite(interval).any():
            panel.errorbar(bars, rows, xerr=errors, fmt="none", ecolor=BLACK, capsize=3, lw=1)
        for (name, values), marker, color in zip(
            others, "Dv^", (BLUE, VERMILION, GREEN), strict=False
        ):
            panel.scatter(values, rows, 34, color, marker=marker, label=name, zorder=3)
        panel.scatter(chance, rows, 260, BLACK, marker="|", linewidths=2, label="chance", zorder=2)
        if ceiling is not None:
            panel.scatter(
                ceiling, rows, 70, "#E69F00", marker="*", label="person against person", zorder=4
            )
        for row, value in enumerate(bars):
            panel.text(1.02, row, f"{value:.2f}", va="center", fontsize=9)
        panel.set_yticks(rows, names)
        panel.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xlabel="F1 (1 is perfect)")
        panel.axhline(len(names) - 1.5, color=GREY, lw=0.8)
        figure.legend(loc="outside upper center", ncols=5)

    return _to_uri(draw, 7.5, 0.36 * len(names) + 1.1)


def draw_precision_recall(
    behaviors: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
    points: np.ndarray,
) -> str:
    """A curve per behavior, the ethogram as a dot on or near it, the share of frames as a line.

    Args:
        behaviors: The K names.
        labels: (N, K) int8; 1 present, 0 absent, −1 not scored.
        probabilities: (N, K) float.
        points: (K, 2) precision and recall of the ethogram.
    """
    from sklearn.metrics import precision_recall_curve

    def draw(panel: Axes, column: int) -> None:
        scored = labels[:, column] >= 0
        truth = labels[scored, column] == 1
        if truth.any():
            precision, recall, _ = precision_recall_curve(truth, probabilities[scored, column])
            kept = _thin(recall, precision)
            panel.plot(recall[kept], precision[kept], color=BLUE, lw=1.6)
        panel.axhline(truth.mean() if len(truth) else 0, color=GREY, lw=1, ls=":")
        panel.plot(points[column, 1], points[column, 0], "o", color=VERMILION, ms=7, zorder=3)
        panel.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall", ylabel="precision")

    return _draw_panels(behaviors, draw)


def draw_reliability(behaviors: Sequence[str], tables: Sequence[Reliability]) -> str:
    """How often a behavior was there when the model gave it a probability; the line is honest."""

    def draw(panel: Axes, column: int) -> None:
        table = tables[column]
        panel.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
        panel.plot(table.confidence, table.share, "o-", color=BLUE, ms=4, lw=1.2)
        panel.text(0.04, 0.92, f"error {table.error:.3f}", fontsize=9)
        panel.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="probability", ylabel="share present")

    return _draw_panels(behaviors, draw)


def draw_confusion(names: Sequence[str], counts: np.ndarray, totals: np.ndarray) -> str:
    """Frames by label (row) and model (column), shaded by the share of the row.

    Args:
        names: Of rows and columns.
        counts: (n, n) int.
        totals: (n,) int, labelled frames of each row.
    """
    shares = counts / np.maximum(totals[:, None], 1)
    size = max(3.2, 0.75 * len(names) + 1.8)
    short = [_shorten(name) for name in names]

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(len(names)):
            for column in range(len(names)):
                share = shares[row, column]
                panel.text(
                    column,
                    row,
                    f"{share:.0%}\n{int(counts[row, column])}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if share > 0.6 else BLACK,
                )
        panel.set_xticks(range(len(names)), short, rotation=35, ha="right")
        panel.set_yticks(range(len(names)), short)
        panel.set(xlabel="model", ylabel="label")
        panel.spines[:].set_visible(False)

    return _to_uri(draw, size + 0.6, size)


def draw_statistics(
    behaviors: Sequence[str], labelled: BoutStatistics, predicted: BoutStatistics
) -> str:
    """Label against model, a dot per video and behavior; on the line they agree."""
    panels = {
        "share of time": ("time_fraction", "1"),
        "bouts per minute": ("bouts_per_minute", "1/min"),
        "mean bout": ("mean_seconds", "s"),
    }

    def draw(figure: Figure) -> None:
        for panel, (title, (name, unit)) in zip(
            figure.subplots(1, len(panels)), panels.items(), strict=True
        ):
            true, guess = getattr(labelled, name), getattr(predicted, name)
            for column, behavior in enumerate(behaviors):
                color, marker = _look(column)
                panel.scatter(
                    true[:, column],
                    guess[:, column],
                    26,
                    color,
                    marker=marker,
                    alpha=0.85,
                    label=_shorten(behavior) if name == "time_fraction" else None,
                )
            both = np.concatenate([true.ravel(), guess.ravel()])
            top = float(np.nanmax(both)) if np.isfinite(both).any() else 1.0
            top = 1.08 * top or 1.0
            panel.plot([0, top], [0, top], color=GREY, lw=1, ls=":")
            panel.set(xlim=(0, top), ylim=(0, top), xlabel=f"label ({unit})", title=title)
            panel.set_aspect("equal")
        figure.axes[0].set_ylabel("model")
        figure.legend(loc="outside lower center", ncols=min(8, len(behaviors)))

    return _to_uri(draw, 9.2, 3.7 + 0.2 * math.ceil(len(behaviors) / 8))


def draw_curves(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> str:
    """Metrics over the steps of a training, one panel each, train and val together.

    Args:
        rows: With `step` and values by `train_` and `val_` names.
        names: Metrics without these beginnings.
    """

    def draw(figure: Figure) -> None:
        for panel, name in zip(
            figure.subplots(1, len(names), squeeze=False)[0], names, strict=True
        ):
            for part, color, marker in (("train", BLUE, "o"), ("val", VERMILION, "s")):
                points = [
                    (row["step"], row[key]) for row in rows if (key := f"{part}_{name}") in row
                ]
                if points:
                    steps, values = np.array(points).T
                    panel.plot(steps, values, color=color, marker=marker, ms=3, lw=1.3, label=part)
            panel.set(xlabel="step", title=name)
            if name == "f1":
                panel.set_ylim(0, 1.02)
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            panel.legend()

    return _to_uri(draw, 3.4 * len(names), 2.5)


def draw_shortcuts(
    behaviors: Sequence[str], baselines: Sequence[str], auroc: np.ndarray, within: np.ndarray
) -> str:
    """AUROC of baselines that see no behavior, and of the model inside of single videos."""
    rows = np.arange(len(behaviors))

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        panel.axvline(0.5, color=GREY, lw=1, ls=":")
        for number, name in enumerate(baselines):
            color, marker = _look(number + 1)
            panel.scatter(auroc[number], rows, 34, color, marker=marker, label=name)
        panel.scatter(within, rows, 60, BLUE, marker="o", label="the model, inside of videos")
        panel.set_yticks(rows, [_shorten(name) for name in behaviors])
        lowest = float(np.nanmin([0.33, *auroc.ravel(), *within])) - 0.03
        panel.set(xlim=(lowest, 1.01), ylim=(len(rows) - 0.5, -0.5))
        panel.set_xlabel("AUROC (0.5 is chance)")
        figure.legend(loc="outside upper center", ncols=3)

    return _to_uri(draw, 7.5, 0.34 * len(rows) + 1.6)


def draw_learning_curve(
    behaviors: Sequence[str],
    points: Mapping[str, Sequence[tuple[float, float]]],
    fits: Mapping[str, Sequence[np.ndarray]],
) -> Figure:
    """F1 against positive frames, a panel per behavior, with what more labels may bring.

    Args:
        behaviors: Names, `mean` among them.
        points: Name -> (positive frames, F1) of each training.
        fits: Name -> positive frames, median, lower and upper end (n,) each; absent without a fit.
    """
    num_columns = min(PER_ROW, len(behaviors))
    num_rows = math.ceil(len(behaviors) / num_columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(3.4 * num_columns, 2.8 * num_rows), layout="constrained")
        axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
        for panel, name in zip(axes, behaviors, strict=False):
            known = np.array(points[name]).reshape(-1, 2)
            if name in fits:
                frames, middle, low, high = fits[name]
                panel.fill_between(frames, low, high, color=SKY, alpha=0.4, lw=0)
                panel.plot(frames, middle, color=BLUE, lw=1.5)
                panel.axvline(known[:, 0].max(), color=GREY, lw=1, ls=":")
            panel.scatter(known[:, 0], known[:, 1], 18, VERMILION, zorder=3)
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
            panel.xaxis.set_major_formatter("{x:,.0f}")
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.set(ylim=(0, 1.02), title=_shorten(name), xlabel="positive frames", ylabel="F1")
        for panel in axes[len(behaviors) :]:
            panel.set_axis_off()
    return figure


def to_svg_uri(figure: Figure) -> str:
    """A figure as a data URI."""
    content = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}"


def _draw_panels(behaviors: Sequence[str], draw: Callable[[Axes, int], None]) -> str:
    num_columns = min(4, len(behaviors))
    num_rows = math.ceil(len(behaviors) / num_columns)

    def draw_all(figure: Figure) -> None:
        axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
        for column, behavior in enumerate(behaviors):
            draw(axes[column], column)
            axes[column].set_title(_shorten(behavior))
        for panel in axes[len(behaviors) :]:
            panel.set_axis_off()

    return _to_uri(draw_all, 2.4 * num_columns + 0.3, 2.5 * num_rows)


def _to_uri(draw: Callable[[Figure], None], width: float, height: float) -> str:
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
    return to_svg_uri(figure)


def _look(number: int) -> tuple[str, str]:
    return COLORS[number % len(COLORS)], MARKERS[(number + number // len(COLORS)) % len(MARKERS)]


def _shorten(name: str) -> str:
    return name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"


def _thin(x: np.ndarray, y: np.ndarray, steps: int = 400) -> np.ndarray:
    """Indices of points that a picture can tell apart, the first and last among them."""
    cells = np.stack([np.rint(x * steps), np.rint(y * steps)], axis=1)
    new = np.append(True, (np.diff(cells, axis=0) != 0).any(axis=1))
    new[-1] = True
    return np.flatnonzero(new)
