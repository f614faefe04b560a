"""Figures are self-contained SVG with the text of what they show, whatever behaviors are called."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree

import numpy as np

from pixelethogram.ethogram.bout_statistics import BoutStatistics
from pixelethogram.ethogram.calibration import reliability
from pixelethogram.reporting import figures

NAMES = ("lick", "$x^2_<groom>&", "a very long name of a behavior")


def texts(uri: str) -> list[str]:
    """All texts of an SVG; it has no link to anything outside."""
    assert uri.startswith("data:image/svg+xml;base64,")
    root = ElementTree.fromstring(base64.b64decode(uri.split(",", 1)[1]))
    links = [value for each in root.iter() for key, value in each.attrib.items() if "href" in key]
    assert all(link.startswith(("#", "data:")) for link in links)
    return ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("}text")]


def test_scores_show_the_number_of_every_behavior() -> None:
    values = np.array([0.5, 0.25, 0.125, 0.29])
    interval = np.stack([values - 0.1, values + 0.1])
    found = texts(
        figures.draw_scores(NAMES, {"model": values, "features": values}, interval, values, values)
    )
    assert {"0.50", "0.25", "0.29", "lick", "$x^2_<groom>&", "a very long name …", "mean"} <= set(
        found
    )
    assert {"chance", "person against person", "features"} <= set(found)


def test_a_score_without_interval_and_raters_is_drawn() -> None:
    values = np.array([0.5, 0.5, 0.5, 0.5])
    found = texts(figures.draw_scores(NAMES, {"m": values}, np.full((2, 4), np.nan), values, None))
    assert "person against person" not in found


def test_curves_over_thresholds_survive_behaviors_that_never_occur() -> None:
    labels = np.array([[1, 0, -1], [0, 0, -1], [1, 0, -1], [0, -1, -1]], np.int8)
    probabilities = np.linspace(0.1, 0.9, 12).reshape(4, 3)
    points = np.zeros((3, 2))
    drawn = texts(figures.draw_precision_recall(NAMES, labels, probabilities, points))
    assert "recall" in drawn and "lick" in drawn
    assert "probability" in texts(
        figures.draw_reliability(NAMES, reliability(labels, probabilities))
    )


def test_confusion_shows_counts_and_shares_of_the_row() -> None:
    counts = np.array([[3, 1], [0, 0]])
    found = texts(figures.draw_confusion(("a", "b"), counts, np.array([4, 0])))
    joined = " ".join(found)
    assert "75%" in joined and "25%" in joined and "0%" in joined


def test_statistics_without_any_value_are_drawn() -> None:
    empty = BoutStatistics(*np.full((5, 2, 3), np.nan))
    assert "share of time" in texts(figures.draw_statistics(NAMES, empty, empty))


def test_training_curves_have_a_panel_per_metric() -> None:
    rows = [
        {"step": 1.0, "train_loss": 2.0, "val_loss": 1.0, "val_f1": 0.5},
        {"step": 2.0, "val_f1": 0.6},
    ]
    assert {"loss", "f1", "train", "val"} <= set(texts(figures.draw_curves(rows, ["loss", "f1"])))


def test_shortcuts_and_learning_curves_are_drawn() -> None:
    auroc = np.array([[0.5, np.nan, 0.9]])
    found = texts(figures.draw_shortcuts(NAMES, ["camera"], auroc, np.array([0.9, np.nan, 0.8])))
    assert {"camera", "the model, inside of videos"} <= set(found)
    frames = np.geomspace(10, 100, 5)
    fits = {"lick": (frames, frames / 200, frames / 300, frames / 150)}
    points = {"lick": [(10.0, 0.1), (20.0, 0.2)], "mean": [(10.0, 0.3)]}
    figure = figures.draw_learning_curve(["lick", "mean"], points, fits)
    assert {"lick", "mean", "positive frames"} <= set(texts(figures.to_svg_uri(figure)))
