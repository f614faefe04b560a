"""Heads of raters and behaviors: labels in their columns, lessons of their own, one answer."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelethogram.config import ClassifierLossConfig, Config, SequenceConfig
from pixelethogram.errors import UsageError
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Run, finish_run, start_run
from pixelethogram.sequence.heads import (
    Question,
    balance_heads,
    choose_head,
    choose_rater,
    describe_rater,
    has_rater_heads,
    spread_labels,
)
from pixelethogram.sequence.models.multitask_mstcn2 import MultitaskMSTCN2Config
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.sequence.train import SequenceData, load_sequence, train_ensemble, train_sequence
from pixelethogram.training.classifier import Classifier

LIMITS = {"generous": -0.6, "strict": 0.6}
RATERS = ("early", "late", "strict")
SMALL = {"hidden": 16, "num_first_layers": 4, "num_layers": 3, "dropout": 0.0}


def settings(**model: object) -> SequenceConfig:
    return SequenceConfig(
        model=MultitaskMSTCN2Config(**{**SMALL, **model}),  # type: ignore[arg-type]
        window_frames=60,
        smoothness=0.0,
        weight_decay=0.0,
        train=Config().sequence.train.model_copy(
            update={
                "steps": 80,
                "validate_every": 40,
                "batch_size": 8,
                "learning_rate": 0.01,
                "ema_decay": 0.0,
                "schedule": "cosine",
            }
        ),
    )


@given(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9))
def test_labels_stand_in_the_columns_of_their_rater(
    number: int, num_behaviors: int, num_frames: int
) -> None:
    labels = np.random.default_rng(0).integers(-1, 2, (num_frames, num_behaviors)).astype(np.int8)
    spread = spread_labels(labels, RATERS[number], RATERS).reshape(num_frames, 3, num_behaviors)
    assert spread.dtype == np.int8
    np.testing.assert_array_equal(spread[:, number], labels)
    assert (np.delete(spread, number, axis=1) == -1).all()


def test_labels_of_a_stranger_teach_nobody() -> None:
    assert (spread_labels(np.ones((4, 2), np.int8), "stranger", RATERS) == -1).all()


def test_stretches_of_poor_heads_come_more_often() -> None:
    def stretch(number: int, head: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.full((number, 2), -1, np.int8)
        labels[:, head] = 1
        return np.zeros((number, 1)), labels

    rich, poor = [stretch(60, 0)] * 2, stretch(40, 1)
    balanced = balance_heads([*rich, poor], [1, 1])
    assert [len(labels) for _, labels in balanced] == [60, 60, 40, 40, 40]
    assert balance_heads([*rich, poor], [2]) == [*rich, poor]


class TestQuestion:
    def test_raters_have_targets_of_all_behaviors(self) -> None:
        question = Question(("lick", "groom"), True, RATERS)
        labels = np.full((6, 6), -1, np.int8)
        labels[:3, :2] = [[1, 0], [0, 1], [0, 0]]
        labels[3:, 2:4] = [[1, 0], [1, 0], [0, 0]]
        targets = question.build_targets(labels, settings())
        assert [target.behaviors[0] for target in targets] == [f"lick ({name})" for name in RATERS]
        assert targets[0].prior.softmax(0).tolist() == pytest.approx([1 / 3] * 3)
        assert targets[1].prior.softmax(0)[0].item() == pytest.approx(2 / 3.5)
        network = question.build_network(settings(), 5, [each.prior for each in targets])
        answers = network(torch.zeros(1, 7, 5), torch.ones(1, 7, dtype=torch.bool))
        assert [answer.shape for answer in answers] == [(1, 7, 9), (1, 7, 9)]
        assert torch.equal(answers[0][..., :3], answers[0][..., 6:])  # shared by all

    def test_behaviors_have_a_target_each(self) -> None:
        question, stage = Question(("lick", "groom"), False), settings(heads="behaviors")
        labels = np.array([[1, -1], [0, -1], [-1, 1], [-1, 1]], np.int8)
        targets = question.build_targets(labels, stage)
        assert [target.behaviors for target in targets] == [("lick",), ("groom",)]
        network = question.build_network(stage, 5, [each.prior for each in targets])
        answers = network(torch.zeros(1, 7, 5), torch.ones(1, 7, dtype=torch.bool))
        assert [answer.shape for answer in answers] == [(1, 7, 2), (1, 7, 2)]
        assert not has_rater_heads(stage) and has_rater_heads(settings())

    def test_every_head_has_the_weights_given_to_its_behaviors(self) -> None:
        loss = ClassifierLossConfig(positive_weights={"groom": 50.0})
        labels = np.tile(np.array([[1, 0], [0, 1]], np.int8), 3)  # present as often as absent
        of_raters = Question(("lick", "groom"), False, RATERS).build_targets(
            labels, settings().model_copy(update={"loss": loss})
        )
        assert [each.positive_weights.tolist() for each in of_raters] == [[1.0, 50.0]] * 3
        of_behaviors = Question(("lick", "groom"), False).build_targets(
            labels[:, :2], settings(heads="behaviors").model_copy(update={"loss": loss})
        )
        assert [each.positive_weights.tolist() for each in of_behaviors] == [[1.0], [50.0]]

    def test_other_networks_have_one_target(self) -> None:
        labels = np.zeros((4, 2), np.int8)
        (target,) = Question(("lick", "groom"), False).build_targets(labels, SequenceConfig())
        assert target.behaviors == ("lick", "groom")

    def test_behaviors_that_exclude_each_other_are_one_question(self) -> None:
        with pytest.raises(UsageError, match="may occur together"):
            Question(("a", "b"), True).build_network(settings(heads="behaviors"), 5)


@pytest.mark.parametrize("weight", [1.0, 50.0])
def test_the_loss_of_a_head_is_its_frames_times_their_weights(weight: float) -> None:
    loss = ClassifierLossConfig(
        gamma=0.0, smoothing=0.0, weight_exponent=0.0, positive_weights={"groom": weight}
    )
    stage = settings(heads="behaviors").model_copy(update={"loss": loss})
    labels = np.array([[1, 1], [1, 0], [0, 0], [0, 0]], np.int8)
    classifier = Classifier(
        torch.nn.Linear(1, 2),
        lambda _, batch: [torch.zeros(batch["labels"].shape)],  # probabilities of a half
        parameters=lambda network: list(network.parameters()),
        targets=Question(("lick", "groom"), False).build_targets(labels, stage),
        loss=loss,
        train_config=stage.train,
        penalty=lambda _: torch.zeros(()),
        head_weights="equal",
    )
    classifier.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = {"labels": torch.from_numpy(labels)[None], "mask": torch.ones(1, 4, dtype=torch.bool)}
    of_lick, of_groom = 4 * math.log(2), (weight + 3) * math.log(2)
    expected = (of_lick + of_groom) / 2
    assert classifier.training_step(batch, 0).item() == pytest.approx(expected)


def generous_and_strict(seed: int, raters: tuple[str, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """One sees a behavior where the first feature is above -0.6, the other above 0.6."""
    random = np.random.default_rng(seed)
    stretches = []
    for number in range(8):
        features = random.normal(size=(90, 3)).astype(np.float32)
        rater = raters[number % 2]
        labels = (features[:, :1] > LIMITS[rater]).astype(np.int8)
        stretches.append((features, spread_labels(labels, rater, raters)))
    return stretches


def begin(tmp_path: Path, config: Config) -> Run:
    return start_run(
        tmp_path, "sequence", config, behaviors=("a",), exclusive=False, parents={}, videos={},
        fingerprint="",
    )  # fmt: skip


@pytest.mark.parametrize("rule", ["proportional", "learned"])
def test_every_head_learns_the_habits_of_its_rater(rule: str, tmp_path: Path) -> None:
    raters = ("generous", "strict")
    config = Config(sequence=settings(head_weights=rule))
    data = SequenceData(
        generous_and_strict(0, raters), generous_and_strict(1, raters), ("a",), False, raters
    )
    run = begin(tmp_path, config)
    trained = train_sequence(run, data, config, device="cpu", progress=SilentProgress())
    assert trained.result.best["val_f1"] > 0.9
    finish_run(run, trained.model.state_dict(), {"raters": list(raters)})
    model = load_sequence(run)
    features = np.random.default_rng(5).normal(size=(200, 3)).astype(np.float32)

    def answer(rater: str | None) -> np.ndarray:
        return predict_probabilities(
            choose_head(model, rater), lambda a, b: features[a:b], 200, exclusive=False
        )

    between = np.abs(features[:, 0]) < 0.4
    for rater, limit in LIMITS.items():
        right = (answer(rater)[:, 0] > 0.5) == (features[:, 0] > limit)
        assert right.mean() > 0.9
        assert right[between].mean() > 0.9  # where no single answer suits both
    assert answer("strict").shape == (200, 1)
    np.testing.assert_array_equal(answer("a stranger"), answer("generous"))  # the first stands in
    np.testing.assert_array_equal(answer(None), answer("generous"))


def test_an_ensemble_has_the_heads_of_its_members(tmp_path: Path) -> None:
    raters = ("generous", "strict")
    stage = settings().model_copy(update={"ensemble_folds": 2})
    short = {"steps": 2, "validate_every": 1}
    stage = stage.model_copy(update={"train": stage.train.model_copy(update=short)})
    config = Config(sequence=stage)
    data = [
        SequenceData(
            generous_and_strict(n, raters), generous_and_strict(9, raters), ("a",), False, raters
        )
        for n in range(2)
    ]
    run = begin(tmp_path, config)
    trained = train_ensemble(run, data, config, device="cpu", progress=SilentProgress())
    finish_run(run, trained.model.state_dict(), {"raters": list(raters), "fit": []})
    features = torch.randn(1, 20, 3)
    mask = torch.ones(1, 20, dtype=torch.bool)
    with torch.no_grad():
        both = load_sequence(run)(features, mask)[-1]
        strict = choose_head(load_sequence(run), "strict")(features, mask)[-1]
    assert both.shape == (1, 20, 2)
    assert torch.equal(strict[..., 0], both[..., 1])


class TestWhoseHead:
    def test_the_first_answers_unless_another_is_named(self) -> None:
        assert choose_rater(("anna", "ben"), None) == "anna"
        assert choose_rater(("anna", "ben"), "ben") == "ben"
        assert choose_rater((), None) is None

    def test_a_name_that_has_no_head_is_refused_with_those_that_have(self) -> None:
        with pytest.raises(UsageError, match="choose one of anna, ben"):
            choose_rater(("anna", "ben"), "carl")
        with pytest.raises(UsageError, match="leave --rater away"):
            choose_rater((), "carl")

    def test_it_is_said_only_where_there_are_several(self) -> None:
        line = describe_rater(("anna", "ben", "carl"), "ben")
        assert line == "videos are scored as ben would; --rater takes another: anna, carl"
        assert describe_rater(("anna",), "anna") is None
        assert describe_rater((), None) is None
