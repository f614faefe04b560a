"""Sequence models are compared by what they cost and how well they do."""

from __future__ import annotations

import time
from types import ModuleType

import pytest

from pixelethogram import stages
from pixelethogram.evaluation import plot_evaluation
from pixelethogram.project import Project


def test_training_alone_is_timed_and_nothing_is_written_into_the_project(
    tool: ModuleType, trained_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plot_slowly(*arguments: object) -> None:
        time.sleep(2)
        plot_evaluation(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "plot_evaluation", plot_slowly)
    monkeypatch.setattr(tool, "TIMED_FRAMES", 100)
    before = sorted(trained_project.folder.rglob("*"))
    words = [str(trained_project.folder), "--one", "linear", "--set", "sequence.train.steps=2"]
    began = time.perf_counter()
    found = tool.measure(tool.parse_arguments(words))
    assert 0 < found["train_seconds"] < time.perf_counter() - began - 2
    assert 0 <= found["macro_f1"] <= 1
    num_features, num_behaviors = 16, len(trained_project.behaviors)
    assert found["parameters"] == (num_features + 1) * num_behaviors
    assert sorted(trained_project.folder.rglob("*")) == before


def result(macro_f1: float) -> dict[str, float]:
    costs = {"parameters": 1234, "train_seconds": 1.0, "frames_per_second": 2e4, "peak_mib": 600.0}
    return {"macro_f1": macro_f1, **costs}


def test_a_row_has_a_standard_error_from_two_seeds_on(tool: ModuleType) -> None:
    rest = "1,234 | 1.0 | 20,000 | 600 |"
    assert tool.summarise("tgm", [result(0.5)])["line"] == f"| tgm | 0.500 | {rest}"
    two = tool.summarise("tgm", [result(0.5), result(0.7)])["line"]
    assert two == f"| tgm | 0.600 ± 0.100 | {rest}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "sequence.ensemble_folds=3"], "leave sequence.ensemble_folds at 1"),
        (["--seeds", "0"], "--seeds is a number from 1"),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(
    words: list[str], message: str, tool: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        tool.parse_arguments(["project", *words])
    assert message in capsys.readouterr().err
