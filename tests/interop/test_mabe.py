"""Submissions: what the sample asks for, whole or not at all; and the README's four commands."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram import cli
from pixelethogram.errors import InputError, UsageError
from pixelethogram.interop.mabe import (
    check_submission,
    read_submission,
    score_submission,
    to_bytes,
    to_numbers,
)
from pixelethogram.pose.readers.calms21 import read_sequences

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "simulate_calms21.py"))
VOCABULARY = ("attack", "investigation", "mount", "other")
BEHAVIORS = VOCABULARY[:3]
TINY = (
    "features.phases.spatial=2",
    "features.model.context_radii=[]",
    "features.train.batch_size=8",
    "sequence.model.hidden=8",
    "sequence.model.num_first_layers=4",
    "sequence.model.num_layers=3",
    "sequence.window_frames=60",
    "sequence.train.steps=6",
    "sequence.train.validate_every=3",
    "sequence.train.batch_size=2",
    "ethogram.chance_repetitions=2",
)
Answers = dict[tuple[str, str], np.ndarray]


def answers(**numbers: list[int]) -> Answers:
    return {("", key): np.array(values) for key, values in numbers.items()}


class TestNumbers:
    def test_every_frame_has_the_number_of_its_behavior_else_of_other(self) -> None:
        present = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
        assert to_numbers(present, BEHAVIORS, VOCABULARY).tolist() == [0, 1, 2, 3]
        shuffled = ("other", "mount", "attack", "investigation")
        assert to_numbers(present, BEHAVIORS, shuffled).tolist() == [2, 3, 1, 0]
        assert to_numbers(present, BEHAVIORS, ("mount", "other")).tolist() == [1, 1, 0, 1]

    def test_two_behaviors_at_once_are_not_one_number(self) -> None:
        with pytest.raises(UsageError, match="several behaviors"):
            to_numbers(np.ones((1, 3), bool), BEHAVIORS, VOCABULARY)

    def test_a_vocabulary_without_other_is_refused(self) -> None:
        with pytest.raises(InputError, match='no "other"'):
            to_numbers(np.zeros((1, 3), bool), BEHAVIORS, BEHAVIORS)


class TestCheck:
    wanted = answers(a=[0, 0, 0], b=[0, 0])

    @pytest.mark.parametrize(
        ("found", "message"),
        [
            (answers(a=[0, 1, 2]), "missing: b"),
            (answers(a=[0, 1, 2], b=[3, 3], c=[0]), "not asked for: c"),
            (answers(a=[0, 1], b=[3, 3]), "a has 2 frames instead of 3"),
            (answers(a=[0, 1, 4], b=[3, 3]), "a has numbers from 0 to 4 instead of 0 to 3"),
            (answers(a=[0, 1, -1], b=[3, 3]), "a has numbers from -1 to 1"),
            (answers(a=[0], b=[9, 9]), "a has 1 frame instead of 3; b has numbers from 9"),
        ],
    )
    def test_it_says_what_differs(self, found: Answers, message: str) -> None:
        with pytest.raises(InputError, match=message):
            check_submission(found, self.wanted, {"": VOCABULARY}, Path("s.npy"))

    def test_what_is_asked_for_passes(self) -> None:
        right = answers(a=[0, 3, 2], b=[1, 1])
        check_submission(right, self.wanted, {"": VOCABULARY}, Path("s.npy"))


class TestFile:
    def test_both_shapes_come_back_as_written(self, tmp_path: Path) -> None:
        path = tmp_path / "s.npy"
        for written in (
            answers(a=[0, 3], b=[1]),
            {("groom", "a"): np.array([1, 0]), ("approach", "a"): np.array([1, 1])},
        ):
            path.write_bytes(to_bytes(written))
            found = read_submission(path)
            assert {key: each.tolist() for key, each in found.items()} == {
                key: each.tolist() for key, each in written.items()
            }
            raw = np.load(path, allow_pickle=True).item()
            inner = raw["groom"]["a"] if "groom" in raw else raw["a"]
            assert isinstance(inner, list) and type(inner[0]) is int

    @pytest.mark.parametrize(
        "content", [{"a": [0.5]}, {"a": "text"}, {"a": [[1]]}, {"a": [[1], [1, 2]]}, {"a": 3}]
    )
    def test_other_content_is_refused(self, content: Any, tmp_path: Path) -> None:
        np.save(tmp_path / "s.npy", content)
        with pytest.raises(InputError, match="a is not one whole number per frame"):
            read_submission(tmp_path / "s.npy")

    def test_a_file_without_sequences_is_refused(self, tmp_path: Path) -> None:
        np.save(tmp_path / "s.npy", np.array([{}, {}]))
        with pytest.raises(InputError, match="not sequences by their ids"):
            read_submission(tmp_path / "s.npy")


class TestScore:
    def test_the_truth_itself_scores_one_and_nothing_but_other_zero(self, tmp_path: Path) -> None:
        for task in (1, 3):
            folder = tmp_path / str(task)
            TOOL["write"](folder, task, train=1, test=4, frames=500, seed=2)
            truth = read_sequences(folder / "truth.npy")
            right = {(each.group, each.id): np.asarray(each.annotations) for each in truth}
            other = {
                (each.group, each.id): np.full(each.pose.num_frames, each.vocabulary.index("other"))
                for each in truth
            }
            assert score_submission(right, truth, folder).macro_f1 == 1
            assert score_submission(other, truth, folder).macro_f1 == 0

    def test_frames_of_all_sequences_are_pooled(self, tmp_path: Path) -> None:
        points = np.random.default_rng(0).uniform(100, 500, (4, 2, 2, 7))
        sequences = {
            "a": {"keypoints": points, "annotations": [0, 1, 2, 3]},
            "b": {"keypoints": points, "annotations": [0, 0, 3, 3]},
        }
        path = tmp_path / "truth.npy"
        np.save(path, {"vocabulary": list(VOCABULARY), "sequences": sequences})  # type: ignore[arg-type]
        given = answers(a=[0, 1, 2, 3], b=[3, 3, 3, 0])
        found = score_submission(given, read_sequences(path), path)
        assert found.f1 == pytest.approx((2 * 1 / (2 + 3), 1, 1))  # not the mean of 1 and 0

    def test_a_truth_without_annotations_is_refused(self, tmp_path: Path) -> None:
        TOOL["write"](tmp_path, 1, train=1, test=1, frames=50, seed=0)
        truth = read_sequences(tmp_path / "test.npy")
        with pytest.raises(InputError, match="no annotations"):
            score_submission({}, truth, tmp_path)


@pytest.fixture
def type_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., str]:
    """Run a command line in a folder of its own; what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(line: str, *more: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", [*shlex.split(line), *more])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        found = capsys.readouterr()
        assert int(stop.value.code or 0) == code, found.err
        return found.out + found.err

    return run


def readme_commands() -> list[str]:
    readme = (ROOT / "README.md").read_text("utf-8")
    lines = re.findall(r"^pixelethogram .*$", readme, re.MULTILINE)
    return [line for line in lines if " challenge" in line]


@pytest.mark.parametrize(
    "task", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_the_four_commands_of_the_readme_lead_from_the_files_to_a_score(
    task: int, type_in: Callable[..., str], tmp_path: Path
) -> None:
    number, frames = {1: (6, 400), 2: (8, 400), 3: (6, 600)}[task]
    TOOL["write"](tmp_path, task, train=number, test=1, frames=frames, seed=3)
    bring, train, export, judge = readme_commands()
    assert "held out" in type_in(bring)
    heads = ("--set", "sequence.model.heads=behaviors") * (task == 3)
    tiny = [word for setting in TINY for word in ("--set", setting)]
    type_in(train, *heads, *tiny)
    assert "checked against" in type_in(export)
    sample, found = (
        read_submission(tmp_path / name) for name in ("sample_submission.npy", "submission.npy")
    )
    assert {key: len(each) for key, each in found.items()} == {
        key: len(each) for key, each in sample.items()
    }
    assert all(set(each.tolist()) <= set(range(4)) for each in found.values())
    assert "macro F1" in type_in(judge)
    assert_edited_thresholds_are_obeyed(tmp_path, export, type_in)
    scored = type_in(judge, *shlex.split("--submission submission.npy --truth truth.npy"))
    assert "submission.npy" in scored
    (tmp_path / "submission.npy").unlink()
    _spoil_sample(tmp_path)
    message = type_in(export, code=3)
    assert "the project lacks 1 sequence" in message and not (tmp_path / "submission.npy").exists()


def assert_edited_thresholds_are_obeyed(
    folder: Path, export: str, type_in: Callable[..., str]
) -> None:
    """With thresholds that nothing reaches every frame is `other`."""
    submission = folder / "submission.npy"
    before = submission.read_bytes()
    (table,) = (folder / "challenge").glob("runs/sequence/*/thresholds.csv")
    written = table.read_text()
    header, *rows = written.splitlines()
    edited = [",".join([row.split(",")[0], "0.9999999", "", "", ""]) for row in rows]
    table.write_text("\n".join([header, *edited]))
    type_in(f"{export} --overwrite")
    names = {key[0] for key in read_submission(submission)}
    other = 3 if names == {""} else 1
    assert all(set(each.tolist()) == {other} for each in read_submission(submission).values())
    table.write_text(written)
    type_in(f"{export} --overwrite")
    assert submission.read_bytes() == before


def _spoil_sample(folder: Path) -> None:
    path = folder / "sample_submission.npy"
    sample = np.load(path, allow_pickle=True).item()
    np.save(path, {**sample, "unknown": [0, 0]})


def test_a_submission_and_a_truth_go_together(type_in: Callable[..., str]) -> None:
    message = type_in("pixelethogram evaluate p --protocol calms21 --truth t.npy", code=2)
    assert "--submission and --truth go together" in message
    assert "and with --protocol" in type_in(
        "pixelethogram evaluate p --submission s.npy --truth t.npy", code=2
    )
