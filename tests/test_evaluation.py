"""Evaluation: val chooses, test judges, and what nobody scored never counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.config import EthogramConfig
from pixelethogram.ethogram.decision import Decision
from pixelethogram.evaluation import (
    Evaluation,
    evaluate,
    final_part,
    plot_evaluation,
    score_columns,
    score_rows,
)
from pixelethogram.splits import Segment
from pixelethogram.toy import toy_bouts

BEHAVIORS = ("lick", "groom")
NUM_FRAMES = 200
SPLITS = {
    "train": [Segment("a", 0, NUM_FRAMES)],
    "val": [Segment("b", 0, NUM_FRAMES)],
    "test": [Segment("c", 0, 120), Segment("c", 150, NUM_FRAMES)],
}
Arrays = dict[str, np.ndarray]


@pytest.fixture
def world() -> tuple[Arrays, Arrays]:
    """Labels in bouts of 10 to 40 frames, and probabilities that are right up to noise."""
    generator = np.random.default_rng(0)
    labels, probabilities = {}, {}
    for video in "abc":
        columns = [toy_bouts(generator, NUM_FRAMES, (0, 1)) for _ in BEHAVIORS]
        labels[video] = np.stack(columns, axis=1).astype(np.int8)
        noise = generator.normal(0, 0.12, (NUM_FRAMES, 2))
        probabilities[video] = np.clip(0.3 + 0.4 * labels[video] + noise, 0.01, 0.99)
    return labels, probabilities


def judge(
    labels: Arrays,
    probabilities: Arrays,
    splits: Mapping[str, Sequence[Segment]] = SPLITS,
    *,
    exclusive: bool = False,
    decision: Decision | None = None,
) -> Evaluation:
    return evaluate(
        labels,
        probabilities,
        splits,
        BEHAVIORS,
        exclusive=exclusive,
        settings=EthogramConfig(chance_repetitions=10),
        seed=0,
        decision=decision,
    )


def changed(arrays: Arrays, video: str, values: np.ndarray) -> Arrays:
    return {**arrays, video: values}


def test_thresholds_come_from_val_alone(world: tuple[Arrays, Arrays]) -> None:
    labels, probabilities = world
    wanted = judge(labels, probabilities).decision.to_dict()["thresholds"]
    for video in "ac":
        other = judge(labels, changed(probabilities, video, 1 - probabilities[video]))
        assert other.decision.to_dict()["thresholds"] == wanted
    other = judge(labels, changed(probabilities, "b", probabilities["b"] ** 2))
    assert other.decision.to_dict()["thresholds"] != wanted


def test_bout_lengths_come_from_train_alone(world: tuple[Arrays, Arrays]) -> None:
    labels, probabilities = world
    wanted = judge(labels, probabilities).decision.min_bout_frames
    assert wanted.min() > 1
    flicker = np.tile(np.array([[0, 0], [1, 1]], dtype=np.int8), (100, 1))
    for video in "bc":
        other = judge(changed(labels, video, flicker), probabilities)
        assert other.decision.min_bout_frames.tolist() == wanted.tolist()
    other = judge(changed(labels, "a", flicker), probabilities)
    assert other.decision.min_bout_frames.tolist() == [0, 0]


def test_test_labels_change_the_verdict_and_not_the_rule(world: tuple[Arrays, Arrays]) -> None:
    labels, probabilities = world
    first = judge(labels, probabilities)
    other = judge(changed(labels, "c", 1 - labels["c"]), probabilities)
    assert other.decision.to_dict() == first.decision.to_dict()
    assert other.parts["val"].scores.macro_f1 == first.parts["val"].scores.macro_f1
    assert other.parts["test"].scores.macro_f1 < first.parts["test"].scores.macro_f1


def test_a_good_predictor_is_well_above_chance(world: tuple[Arrays, Arrays]) -> None:
    evaluation = judge(*world)
    for part in ("val", "test"):
        found = evaluation.parts[part]
        assert found.scores.macro_f1 > 0.9
        assert 0.2 < found.chance["macro_f1"] < 0.8
        assert len(found.chance["f1"]) == 2


def test_frames_nobody_scored_never_count(world: tuple[Arrays, Arrays]) -> None:
    labels, probabilities = world
    hidden = {}
    for video, values in labels.items():
        hidden[video] = values.copy()
        hidden[video][40:80, 0] = -1
    first = judge(hidden, probabilities)
    assert first.parts["val"].scores.support.tolist() == [
        int((hidden["b"][:, column] == 1).sum()) for column in range(2)
    ]
    wrong = changed(probabilities, "c", probabilities["c"].copy())
    wrong["c"][55:65, 0] = 1 - wrong["c"][55:65, 0]  # in the middle, away from scored frames
    other = judge(hidden, wrong, decision=first.decision)
    assert other.parts["test"].scores.to_dict() == first.parts["test"].scores.to_dict()


def test_frames_between_the_parts_never_count(world: tuple[Arrays, Arrays]) -> None:
    labels, probabilities = world
    first = judge(labels, probabilities)
    guarded = changed(labels, "c", labels["c"].copy())
    guarded["c"][120:150] = 1 - guarded["c"][120:150]
    other = judge(guarded, probabilities)
    assert other.parts["test"].scores.to_dict() == first.parts["test"].scores.to_dict()


def test_a_rule_that_is_given_is_used(world: tuple[Arrays, Arrays]) -> None:
    never = Decision(BEHAVIORS, np.array([0.999, 0.999]), np.array([0, 0]))
    evaluation = judge(*world, decision=never)
    assert evaluation.decision is never
    assert evaluation.final.scores.macro_recall == 0


def test_without_a_test_part_val_judges(world: tuple[Arrays, Arrays]) -> None:
    for splits in (
        {part: SPLITS[part] for part in ("train", "val")},
        {**SPLITS, "test": []},
    ):
        evaluation = judge(*world, splits)
        assert set(evaluation.parts) == {"val"}
        assert evaluation.final is evaluation.parts["val"]
        assert final_part({"sequence": evaluation}) == "val"
    assert final_part({"sequence": judge(*world)}) == "test"


def test_an_exclusive_project_is_judged_with_one_behavior_at_a_time(
    world: tuple[Arrays, Arrays],
) -> None:
    labels, probabilities = world
    single = {
        video: np.stack([values[:, 0], 1 - values[:, 0]], axis=1)
        for video, values in labels.items()
    }
    both = {
        video: np.stack([values[:, 0], 1 - values[:, 0]], axis=1)
        for video, values in probabilities.items()
    }
    evaluation = judge(single, both, exclusive=True)
    assert evaluation.decision.exclusive and evaluation.decision.always_one
    assert evaluation.final.scores.background_f1 == 0  # no frame without a behavior
    assert evaluation.final.scores.macro_f1 > 0.9


def test_scores_can_be_written_as_json(world: tuple[Arrays, Arrays]) -> None:
    labels, probabilities = world
    absent = changed(labels, "c", labels["c"] * np.array([1, 0], dtype=np.int8))
    plain = json.loads(json.dumps(judge(absent, probabilities).to_dict(), allow_nan=False))
    assert set(plain) == {"val", "test"}
    assert plain["test"]["average_precision"][1] is None
    assert set(plain["test"]["chance"]) == {"macro_f1", "f1", "macro_f1_high", "f1_high"}


def test_the_table_has_a_row_per_predictor(world: tuple[Arrays, Arrays]) -> None:
    evaluation = judge(*world)
    rows = score_rows({"sequence": evaluation, "features": evaluation}, "test")
    assert [row[0] for row in rows] == ["sequence", "features"]
    columns = score_columns(BEHAVIORS)
    assert columns == ["F1", "macro", "chance", "lick", "groom", "macro AP", "macro AUROC"]
    scores = evaluation.parts["test"].scores
    assert len(rows[0]) == len(columns)
    assert rows[0][1] == scores.macro_f1
    assert rows[0][2] == evaluation.parts["test"].chance["macro_f1"]
    assert rows[0][3:5] == scores.f1.tolist()


def test_a_part_that_was_not_judged_has_no_row(world: tuple[Arrays, Arrays]) -> None:
    evaluation = judge(*world, {part: SPLITS[part] for part in ("train", "val")})
    assert score_rows({"sequence": evaluation}, "test") == []


def test_scores_are_drawn(world: tuple[Arrays, Arrays], tmp_path: Path) -> None:
    plot_evaluation(judge(*world), tmp_path / "scores.png")
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
