"""Plots: the files exist, hold what they should, and long videos stay small."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from pixelethogram.ethogram import plots
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.ethogram.scores import chance_scores, score

BEHAVIORS = ("groom", "rear, $up$", "lécher")


def make_case(
    num_frames: int, behaviors: tuple[str, ...] = BEHAVIORS
) -> tuple[Ethogram, Ethogram, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    probabilities = generator.random((num_frames, len(behaviors))).astype(np.float32)
    labels = (probabilities > 0.9).astype(np.int8)
    labels[num_frames // 3 : num_frames // 2] = -1
    thresholds = np.full(len(behaviors), 0.9)
    prediction = Ethogram((probabilities > 0.9).astype(np.int8), behaviors, 30.0)
    return Ethogram(labels, behaviors, 30.0), prediction, probabilities, thresholds


def count_pixels(path: Path, colour: str) -> int:
    rgb = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    image = cv2.imread(str(path))
    assert image is not None
    return int((image[..., ::-1] == rgb).all(axis=-1).sum())


@pytest.mark.parametrize("num_frames", [1, 60, 3001])
def test_a_raster_shows_labels_and_predictions(num_frames: int, tmp_path: Path) -> None:
    labels, prediction, probabilities, thresholds = make_case(num_frames)
    plots.plot_raster(labels, prediction, probabilities, thresholds, tmp_path / "raster.png")
    image = cv2.imread(str(tmp_path / "raster.png"))
    assert image is not None and image.shape[1] == 2100
    if num_frames > 1:
        assert count_pixels(tmp_path / "raster.png", plots.BLUE) > 100
        assert count_pixels(tmp_path / "raster.png", plots.VERMILION) > 100


def test_a_raster_without_labels_has_none(tmp_path: Path) -> None:
    _, prediction, probabilities, thresholds = make_case(60)
    plots.plot_raster(None, prediction, probabilities, thresholds, tmp_path / "raster.png")
    assert count_pixels(tmp_path / "raster.png", plots.BLUE) == 0
    assert count_pixels(tmp_path / "raster.png", plots.VERMILION) > 100


def find_rows(path: Path, colour: str) -> np.ndarray:
    """Rows of the picture in which at least a fifth of the pixels have a colour."""
    rgb = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    image = cv2.imread(str(path))
    assert image is not None
    return np.flatnonzero((image[..., ::-1] == rgb).all(axis=-1).mean(axis=1) > 0.2)


@pytest.mark.parametrize("behavior", range(3))
def test_a_band_lies_beside_the_name_of_its_behavior(behavior: int, tmp_path: Path) -> None:
    """Rows from the top are behaviors in order; in each the label lies above the prediction."""
    values = np.zeros((60, 3), np.int8)
    values[:, behavior] = 1
    ethogram = Ethogram(values, BEHAVIORS, 30.0)
    path = tmp_path / "raster.png"
    plots.plot_raster(ethogram, ethogram, np.zeros((60, 3)), np.full(3, 0.5), path)
    label, prediction = (find_rows(path, each) for each in (plots.BLUE, plots.VERMILION))
    image = cv2.imread(str(path))
    assert image is not None
    assert label.max() < prediction.min()
    top, bottom = 0.12, 0.82  # the legend lies above, the time axis below
    share = prediction.mean() / image.shape[0]
    assert int((share - top) / (bottom - top) * 3) == behavior


def test_what_nobody_scored_is_hatched_and_not_colored(tmp_path: Path) -> None:
    labels, prediction, probabilities, thresholds = make_case(60)
    absent, unknown = (
        Ethogram(np.full_like(labels.values, value), BEHAVIORS, 30.0) for value in (0, -1)
    )
    shown = []
    for each in (absent, unknown):
        plots.plot_raster(each, prediction, probabilities, thresholds, tmp_path / "raster.png")
        shown.append([count_pixels(tmp_path / "raster.png", c) for c in (plots.PALE, plots.GREY)])
    assert shown[1][0] < shown[0][0] / 1.5  # the band is not that of absence
    assert shown[1][1] > shown[0][1] + 1000  # but hatched


def test_one_frame_of_two_hours_stays_visible_and_memory_flat(tmp_path: Path) -> None:
    values = np.zeros((216_000, 1), dtype=np.int8)
    values[123_456] = 1
    prediction = Ethogram(values, ("groom",), 30.0)
    probabilities = values.astype(np.float32)
    plots.plot_raster(None, prediction, probabilities, np.array([0.5]), tmp_path / "without.png")
    empty = Ethogram(np.zeros_like(values), ("groom",), 30.0)
    tracemalloc.start()
    plots.plot_raster(None, empty, probabilities, np.array([0.5]), tmp_path / "empty.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    # the legend has the same colour in both
    difference = count_pixels(tmp_path / "without.png", plots.VERMILION) - count_pixels(
        tmp_path / "empty.png", plots.VERMILION
    )
    assert difference > 5


def test_spans_cover_every_true_frame_in_few_pieces() -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        trace = generator.random(generator.integers(1, 9000)) < 0.3
        spans = plots._to_spans(trace, 10.0)
        assert len(spans) <= plots.MAX_COLUMNS
        covered = np.zeros(len(trace), dtype=bool)
        for start, stop in spans:
            covered[round(start * 10) : round(stop * 10)] = True
        assert (trace <= covered).all()
        if len(trace) <= plots.MAX_COLUMNS:
            np.testing.assert_array_equal(trace, covered)


def test_arrays_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    labels, prediction, probabilities, thresholds = make_case(60)
    with pytest.raises(ValueError, match="expected probabilities"):
        plots.plot_raster(labels, prediction, probabilities[1:], thresholds, tmp_path / "r.png")
    with pytest.raises(ValueError, match="expected probabilities"):
        plots.plot_raster(labels, prediction, probabilities, thresholds[1:], tmp_path / "r.png")
    other, _, _, _ = make_case(60, ("x", "y", "z"))
    with pytest.raises(ValueError, match="differ in behaviors"):
        plots.plot_raster(other, prediction, probabilities, thresholds, tmp_path / "r.png")


@pytest.mark.parametrize("with_chance", [True, False])
def test_scores_are_drawn_even_where_some_do_not_exist(with_chance: bool, tmp_path: Path) -> None:
    labels, prediction, _, _ = make_case(60)
    values = labels.values.copy()
    values[:, 2] = 0  # no average precision
    scores = score(values, None, prediction.values == 1, BEHAVIORS)
    chance = chance_scores([values], [prediction.values == 1], 5) if with_chance else None
    plots.plot_scores(scores, chance, tmp_path / "scores.png")
    assert count_pixels(tmp_path / "scores.png", plots.SKY) > 100


def test_curves_skip_what_was_not_measured(tmp_path: Path) -> None:
    rows: list[dict[str, float | None]] = [
        {"step": step, "train_loss": 1 / (step + 1), "val_loss": None, "val_f1": float("nan")}
        for step in range(40)
    ]
    rows += [{"step": 40, "val_loss": 0.5, "lr": 1e-3}, {"step": 41, "val_loss": 0.4}]
    plots.plot_curves(rows, tmp_path / "curves.png")
    assert count_pixels(tmp_path / "curves.png", plots.BLUE) > 50
    assert count_pixels(tmp_path / "curves.png", plots.VERMILION) > 50


def test_no_metric_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no metric"):
        plots.plot_curves([{"step": 1}], tmp_path / "curves.png")


def test_no_window_system_is_touched() -> None:
    import sys

    assert "matplotlib.pyplot" not in sys.modules or matplotlib.get_backend().lower() == "agg"
