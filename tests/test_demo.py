"""The demo on the toy world with a known answer (minutes; run with -m slow)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from pixelethogram.demo import demo_config, run_demo
from pixelethogram.evaluation import Evaluation
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.project_evaluation import evaluate_project
from pixelethogram.stages import Job
from pixelethogram.toy import TOY_BEHAVIORS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    torch.set_num_threads(os.cpu_count() or 1)  # the networks are of full size here
    return run_demo(folder, "cpu", Console(quiet=True))


@pytest.fixture(scope="module")
def evaluations(summary: dict[str, Any], folder: Path) -> dict[str, Evaluation]:
    project = Project(folder / "project")
    return evaluate_project(Job(project, demo_config(project), "cpu", SilentProgress()))


def motion_f1(evaluation: Evaluation) -> float:
    """Macro F1 of left, right and still on the part that judges."""
    f1 = evaluation.final.scores.f1
    return float(np.mean([f1[TOY_BEHAVIORS.index(name)] for name in ("left", "right", "still")]))


def test_the_demo_solves_the_toy_world_on_videos_it_has_not_seen(summary: dict[str, Any]) -> None:
    assert summary["macro_f1"] >= 0.9
    assert summary["macro_f1"] > summary["chance"] + 0.3


def test_the_demo_says_where_its_results_are(summary: dict[str, Any]) -> None:
    assert all(Path(summary[name]).is_file() for name in ("ethogram", "scores", "plot"))


def test_one_frame_does_not_show_where_the_animal_goes(
    evaluations: dict[str, Evaluation],
) -> None:
    assert motion_f1(evaluations["spatial stream"]) <= 0.65


def test_the_flow_shows_where_the_animal_goes(evaluations: dict[str, Evaluation]) -> None:
    assert motion_f1(evaluations["flow stream"]) >= 0.9


def test_one_frame_shows_the_stripes(evaluations: dict[str, Evaluation]) -> None:
    scores = evaluations["spatial stream"].final.scores
    assert scores.f1[TOY_BEHAVIORS.index("striped")] >= 0.9


def test_the_demo_called_again_trains_nothing(summary: dict[str, Any], folder: Path) -> None:
    before = sorted(path.name for path in (folder / "project" / "runs").glob("*/*"))
    again = run_demo(folder, "cpu", Console(quiet=True))
    assert sorted(path.name for path in (folder / "project" / "runs").glob("*/*")) == before
    assert again["macro_f1"] == summary["macro_f1"]
