"""Pictures for people: raster of labels and predictions, scores per behavior, training curves.

Comes in: ethograms, scores, rows of metrics. Goes out: PNG files. Colours are those of Okabe
and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
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
PNG_LEVEL = 2  # 6, the default, takes twice as long for files of nearly the same size
ROW_GAP = 0.25  # between a behavior and the next, where a probability of 1 has the height 1


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
    figure = Figure(figsize=(14, 0.95 * shape[1] + 1.1), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    bands = {"model": PREDICTION_BAND} | ({} if labels is None else {"label": LABEL_BAND})
    pitch = max(top for _, top in bands.values()) + ROW_GAP
    floors = np.arange(shape[1])[::-1] * pitch
    fps = prediction.fps
    _draw_bands(axes, prediction.values, fps, band=PREDICTION_BAND, floors=floors, colour=VERMILION)
    if labels is not None:
        _draw_bands(axes, labels.values, fps, band=LABEL_BAND, floors=floors, colour=BLUE)
    _draw_probabilities(axes, probabilities, thresholds, floors, fps)
    _name_rows(axes, prediction.behaviors, bands, floors)
    axes.set_xlabel("time (s)")
    axes.set_xlim(0, shape[0] / fps)
    axes.set_ylim(-ROW_GAP / 4, shape[1] * pitch - 3 * ROW_GAP / 4)
    _add_raster_legend(figure, labels)
    figure.savefig(path, pil_kwargs={"compress_level": PNG_LEVEL})


def _draw_bands(
    axes: Axes,
    values: np.ndarray,
    fps: float,
    *,
    band: tuple[float, float],
    floors: np.ndarray,
    colour: str,
) -> None:
    """Coloured where present; hatched where not scored. One collection each, for speed."""
    whole = [np.array([[0.0, len(values) / fps]])] * len(floors)
    gaps, spans = (
        [_to_spans(trace, fps) for trace in chosen.T] for chosen in (values < 0, values == 1)
    )
    hatched: dict[str, Any] = {"facecolor": "white", "edgecolor": GREY, "hatch": "////"}
    for stretches, look in ((whole, {"color": PALE}), (gaps, hatched), (spans, {"color": colour})):
        boxes = [
            _to_boxes(each, band, floor) for each, floor in zip(stretches, floors, strict=True)
        ]
        axes.add_collection(
            PolyCollection(list(np.concatenate(boxes)), linewidth=0, **look), autolim=False
        )


def _to_boxes(spans: np.ndarray, band: tuple[float, float], floor: float) -> np.ndarray:
    """Corners (n, 4, 2) of the rectangles between the times of spans (n, 2)."""
    corners = np.empty((len(spans), 4, 2))
    corners[:, :, 0] = spans[:, [0, 1, 1, 0]]
    corners[:, :, 1] = floor + np.array(band)[[0, 0, 1, 1]]
    return corners


def _to_spans(trace: np.ndarray, fps: float) -> np.ndarray:
    """Start and stop (n, 2) in seconds of the runs of true, in columns of equally many frames."""
    frames = _frames_per_column(len(trace))
    starts = np.arange(0, len(trace), frames)
    runs = find_runs(np.logical_or.reduceat(trace, starts)) * frames
    return np.minimum(runs, len(trace)) / fps


def _draw_probabilities(
    axes: Axes, probabilities: np.ndarray, thresholds: np.ndarray, floors: np.ndarray, fps: float
) -> None:
    frames = _frames_per_column(len(probabilities))
    starts = np.arange(0, len(probabilities), frames)
    stops = np.minimum(starts + frames, len(probabilities))
    seconds = (starts + stops) / 2 / fps
    if frames > 1:
        low, high = (
            each.reduceat(probabilities, starts, axis=0) + floors
            for each in (np.minimum, np.maximum)
        )
        there_and_back = np.concatenate([low, high[::-1]])
        outlines = _to_curves(np.concatenate([seconds, seconds[::-1]]), there_and_back)
        shade = PolyCollection(list(outlines), color=GREY, alpha=0.35, linewidth=0)
        axes.add_collection(shade, autolim=False)
    sums = np.add.reduceat(probabilities.astype(np.float64), starts, axis=0)
    curves = _to_curves(seconds, sums / (stops - starts)[:, None] + floors)
    axes.add_collection(LineCollection(list(curves), color=BLACK, linewidth=0.9), autolim=False)
    end = len(probabilities) / fps
    axes.hlines(floors, 0, end, color=GREY, linewidth=0.6)
    axes.hlines(floors + thresholds, 0, end, color=GREEN, linewidth=1.2, linestyle="--")


def _to_curves(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(K, n, 2) points over time, of values (n, K)."""
    times = np.broadcast_to(seconds[:, None], values.shape)
    return np.stack([times, values], axis=-1).transpose(1, 0, 2)


def _frames_per_column(num_frames: int) -> int:
    return max(1, math.ceil(num_frames / MAX_COLUMNS))


def _name_rows(
    axes: Axes,
    behaviors: Sequence[str],
    bands: Mapping[str, tuple[float, float]],
    floors: np.ndarray,
) -> None:
    """What lies where: small beside the axis, and the behavior left of it."""
    middles = {name: (bottom + top) / 2 for name, (bottom, top) in bands.items()}
    marks = {"0": 0.0, "1": 1.0} | middles
    axes.set_yticks(np.add.outer(floors, list(marks.values())).ravel(), minor=True)
    axes.set_yticklabels([*marks] * len(floors), minor=True)
    axes.set_yticks(floors + max(middles.values()) / 2)
    axes.set_yticklabels(behaviors, fontsize=11, parse_math=False)
    axes.tick_params(axis="y", which="minor", labelsize=8)
    axes.tick_params(axis="y", which="major", length=0, pad=38)
    axes.spines[["top", "right"]].set_visible(False)


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
