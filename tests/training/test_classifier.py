"""The classifier: what it learns from which labels, and how it is judged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixelethogram.config import ClassifierLossConfig, TrainConfig
from pixelethogram.progress import SilentProgress
from pixelethogram.training.classifier import (
    Classifier,
    Target,
    best_macro_f1,
    build_target,
    to_probabilities,
)
from pixelethogram.training.losses import exclusive_loss, focal_loss, truncated_mse


def column_labels(*present_shares: float, num_frames: int = 100) -> np.ndarray:
    """(num_frames, K) labels; the first part of each column is present."""
    frames = np.arange(num_frames)[:, None]
    return (frames < np.array(present_shares) * num_frames).astype(np.int8)


def build(
    labels: np.ndarray, *, exclusive: bool = False, penalty: float = 0.0, **options: Any
) -> Classifier:
    """A classifier whose network is one bias per output."""
    names = tuple("abcdef"[: labels.shape[1]])
    target = build_target(labels, names, exclusive, 0.25, given={})
    return Classifier(
        Bias(target.num_outputs),
        options.pop("predict", lambda network, batch: [network(batch["labels"])]),
        parameters=lambda network: list(network.parameters()),
        targets=[target],
        loss=ClassifierLossConfig(**options.pop("loss", {})),
        train_config=TrainConfig(),
        penalty=lambda network: penalty * network.bias.square().sum(),
        **options,
    )


class Bias(nn.Module):
    """The same logits for every frame."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.linspace(-1, 1, num_outputs))

    def forward(self, labels: Tensor) -> Tensor:
        return self.bias.expand(*labels.shape[:-1], -1)


def train_on(classifier: Classifier, labels: Tensor, **batch: Tensor) -> Tensor:
    """Loss of one step, without a trainer."""
    classifier.log = lambda *_, **__: None  # type: ignore[method-assign]
    return classifier.training_step({"labels": labels, **batch}, 0)


class TestTarget:
    def test_rare_behaviors_weigh_more(self) -> None:
        target = build_target(column_labels(0.5, 0.01), ("a", "b"), False, 0.25, given={})
        assert target.positive_weights.tolist() == pytest.approx([1.0, 99**0.25])

    def test_the_prior_is_the_log_odds_of_the_training_labels(self) -> None:
        target = build_target(column_labels(0.5, 0.01), ("a", "b"), False, 0.25, given={})
        assert target.prior.sigmoid().tolist() == pytest.approx([0.5, 0.01])
        assert target.num_outputs == 2

    def test_a_behavior_that_never_occurs_cannot_be_trained(self) -> None:
        target = build_target(column_labels(0.5, 0.0), ("a", "b"), False, 0.25, given={})
        assert target.trainable.tolist() == [True, False]

    def test_unscored_frames_count_for_nothing(self) -> None:
        labels = column_labels(0.5, 0.2)
        unscored = np.full((40, 2), -1, np.int8)
        with_gaps = build_target(
            np.concatenate([labels, unscored]), ("a", "b"), False, 0.25, given={}
        )
        without = build_target(labels, ("a", "b"), False, 0.25, given={})
        assert torch.equal(with_gaps.positive_weights, without.positive_weights)
        assert torch.equal(with_gaps.prior, without.prior)

    def test_exclusive_projects_have_one_more_output_for_none_of_them(self) -> None:
        labels = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.int8)
        target = build_target(labels, ("a", "b"), True, 0.25, given={})
        assert target.num_outputs == 3
        assert target.prior.softmax(0).tolist() == pytest.approx([0.5, 0.25, 0.25])

    @pytest.mark.parametrize(
        ("exclusive", "last_frame", "always_one"),
        [
            (True, [0, 1], True),
            (True, [0, 0], False),
            (True, [-1, -1], True),
            (True, [0, -1], True),
            (False, [0, 1], False),
        ],
    )
    def test_always_one_holds_where_no_scored_frame_is_empty(
        self, exclusive: bool, last_frame: list[int], always_one: bool
    ) -> None:
        labels = np.array([[1, 0], [0, 1], last_frame], np.int8)
        assert build_target(labels, ("a", "b"), exclusive, 0.25, given={}).always_one is always_one

    @pytest.mark.parametrize("frames", [[[1, -1], [-1, 1]], [[-1, -1]]])
    def test_always_one_needs_a_frame_that_is_scored_in_full(self, frames: list[list[int]]) -> None:
        assert not build_target(
            np.array(frames, np.int8), ("a", "b"), True, 0.25, given={}
        ).always_one

    def test_exclusive_projects_weigh_every_class(self) -> None:
        labels = np.array([[1, 0], [0, 0], [0, 0], [0, 0], [0, 1]], np.int8)
        target = build_target(labels, ("a", "b"), True, 0.5, given={})
        assert target.positive_weights.tolist() == pytest.approx([2, 2, (2 / 3) ** 0.5])

    def test_a_given_weight_takes_the_place_of_its_own(self) -> None:
        labels = column_labels(0.5, 0.01)
        target = build_target(labels, ("a", "b"), False, 0.25, given={"a": 20.0})
        assert target.positive_weights.tolist() == pytest.approx([20.0, 99**0.25])
        of_classes = np.array([[1, 0], [0, 0], [0, 0], [0, 0], [0, 1]], np.int8)
        target = build_target(of_classes, ("a", "b"), True, 0.5, given={"b": 7.0})
        assert target.positive_weights.tolist() == pytest.approx([2, 7, (2 / 3) ** 0.5])

    def test_behaviors_that_cannot_be_learned_are_named(self) -> None:
        messages: list[str] = []
        progress = SilentProgress()
        progress.message = messages.append  # type: ignore[method-assign]
        build_target(column_labels(0.5, 0.2), ("a", "b"), False, 0.25, given={}).report_untrainable(
            progress
        )
        assert messages == []
        build_target(column_labels(0.5, 0), ("a", "b"), False, 0.25, given={}).report_untrainable(
            progress
        )
        assert [text.split(";")[0] for text in messages] == ["cannot be learned: b"]


class TestLoss:
    def test_it_is_the_focal_loss_with_the_settings_plus_the_penalty(self) -> None:
        labels = torch.tensor([[1, 0], [0, 0], [1, -1]], dtype=torch.int8)
        classifier = build(column_labels(0.5, 0.1), penalty=3.0, loss={"gamma": 2, "smoothing": 0})
        bias = classifier.network.bias
        weights = torch.tensor([1.0, 9**0.25])
        expected = focal_loss(
            bias.expand(3, 2), labels, positive_weights=weights, gamma=2, smoothing=0
        )
        loss = train_on(classifier, labels)
        assert loss.item() == pytest.approx((expected + 3 * bias.square().sum()).item())

    def test_every_answer_of_the_network_is_supervised(self) -> None:
        labels = torch.tensor([[1, 0]], dtype=torch.int8)
        once = build(column_labels(0.5, 0.1))
        thrice = build(
            column_labels(0.5, 0.1), predict=lambda network, batch: [network(batch["labels"])] * 3
        )
        assert train_on(thrice, labels).item() == pytest.approx(3 * train_on(once, labels).item())

    def test_frames_that_nobody_scored_give_no_gradient(self) -> None:
        classifier = build(column_labels(0.5, 0.1))
        train_on(classifier, torch.tensor([[1, -1], [0, -1]], dtype=torch.int8)).backward()
        gradient = classifier.network.bias.grad
        assert gradient[0] != 0
        assert gradient[1] == 0

    def test_a_behavior_without_a_positive_frame_is_not_pushed_down(self) -> None:
        classifier = build(column_labels(0.5, 0.0))
        train_on(classifier, torch.tensor([[1, 0], [0, 0]], dtype=torch.int8)).backward()
        gradient = classifier.network.bias.grad
        assert gradient[0] != 0
        assert gradient[1] == 0

    def test_exclusive_projects_use_the_exclusive_loss_with_the_settings(self) -> None:
        labels = np.array([[1, 0], [0, 1], [0, 0], [0, 0]], np.int8)
        settings = {"gamma": 2.0, "smoothing": 0.1}
        classifier = build(labels, exclusive=True, loss=settings)
        tensor = torch.from_numpy(labels)
        expected = exclusive_loss(
            classifier.network.bias.expand(4, 3),
            tensor,
            class_weights=torch.tensor([3**0.25, 3**0.25, 1.0]),
            **settings,
        )
        assert train_on(classifier, tensor).item() == pytest.approx(expected.item())

    def test_jumps_cost_what_smoothness_says_per_real_frame(self) -> None:
        """The loss is a sum over frames; so the weight is that of MS-TCN, whose loss is a mean."""
        labels = torch.zeros(2, 5, 1, dtype=torch.int8)
        mask = torch.ones(2, 5, dtype=torch.bool)
        mask[:, 3:] = False
        logits = torch.tensor([0.0, 1.0, 0.0, 99.0, 0.0]).expand(2, 5).unsqueeze(2)
        options = {"predict": lambda network, batch: [logits + 0 * network.bias]}
        plain = train_on(build(column_labels(0.5), **options), labels, mask=mask)
        smooth = train_on(build(column_labels(0.5), smoothness=0.5, **options), labels, mask=mask)
        jump = truncated_mse(logits, mask, exclusive=False)
        assert jump > 0
        assert (smooth - plain).item() == pytest.approx(0.5 * 3 * jump.item(), rel=1e-5)

    @pytest.mark.parametrize("exclusive", [False, True])
    def test_the_jumps_of_every_answer_count(self, exclusive: bool) -> None:
        labels = np.array([[1, 0], [0, 1], [0, 0], [1, 0]], np.int8)
        tensor, mask = torch.from_numpy(labels)[None], torch.ones(1, 4, dtype=torch.bool)
        answers = list(torch.randn(3, 1, 4, 2 + exclusive))
        options: dict[str, Any] = {
            "predict": lambda network, batch: [each + 0 * network.bias for each in answers],
            "exclusive": exclusive,
        }
        plain = train_on(build(labels, **options), tensor, mask=mask)
        smooth = train_on(build(labels, smoothness=0.15, **options), tensor, mask=mask)
        jumps = sum(truncated_mse(each, mask, exclusive=exclusive).item() for each in answers)
        assert (smooth - plain).item() == pytest.approx(0.15 * 4 * jumps, rel=1e-4)


class TestValidation:
    def judge(
        self, classifier: Classifier, batches: list[tuple[Tensor, Tensor]]
    ) -> dict[str, float]:
        """What is logged after batches of (logits, labels)."""
        logged: dict[str, float] = {}
        classifier.log = lambda name, value: logged.update({name: float(value)})  # type: ignore
        for logits, labels in batches:
            classifier._predict = lambda network, batch, logits=logits: [logits]
            classifier.validation_step({"labels": labels}, 0)
        classifier.on_validation_epoch_end()
        return logged

    def test_perfect_answers_score_one_whatever_the_batches(self) -> None:
        labels = torch.tensor([[1, 0], [0, 1], [0, 0], [1, 1]], dtype=torch.int8)
        logits = 4.0 * labels - 3
        classifier = build(column_labels(0.5, 0.5))
        whole = self.judge(classifier, [(logits, labels)])
        halves = self.judge(classifier, [(logits[:2], labels[:2]), (logits[2:], labels[2:])])
        assert whole["val_f1"] == halves["val_f1"] == 1.0
        assert whole["val_loss"] == pytest.approx(halves["val_loss"])

    def test_one_validation_does_not_leak_into_the_next(self) -> None:
        labels = torch.tensor([[1], [0]], dtype=torch.int8)
        logits = torch.tensor([[2.0], [-2.0]])
        classifier = build(column_labels(0.5))
        assert self.judge(classifier, [(-logits, labels)])["val_f1"] < 1
        assert self.judge(classifier, [(logits, labels)])["val_f1"] == 1

    def test_windows_are_judged_frame_by_frame(self) -> None:
        labels = torch.tensor([1, 0, 1, -1], dtype=torch.int8).reshape(1, 4, 1)
        logits = torch.tensor([3.0, -3.0, 3.0, 3.0]).reshape(1, 4, 1)
        classifier = build(column_labels(0.5))
        as_window = self.judge(classifier, [(logits, labels)])
        as_frames = self.judge(classifier, [(logits[0], labels[0])])
        assert as_window == pytest.approx(as_frames)
        assert as_window["val_f1"] == 1.0


class TestMacroF1:
    def test_the_best_thresholds_are_used(self) -> None:
        labels = np.array([[1], [1], [0], [0]], np.int8)
        probabilities = np.array([[0.04], [0.03], [0.02], [0.015]])
        assert best_macro_f1(labels, probabilities, target_of(("a",))) == 1.0

    def test_it_is_the_mean_over_behaviors(self) -> None:
        labels = np.array([[1, 1], [0, 1], [0, 0]], np.int8)
        probabilities = np.array([[0.9, 0.1], [0.1, 0.1], [0.1, 0.9]])
        second = 2 * 2 / (3 + 2)  # everything above the threshold floor is called present
        expected = (1.0 + second) / 2
        assert best_macro_f1(labels, probabilities, target_of(("a", "b"))) == pytest.approx(
            expected
        )

    def test_exclusive_projects_choose_one_per_frame(self) -> None:
        labels = np.array([[1, 0], [0, 1], [1, 0]], np.int8)
        probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [0.7, 0.3]])
        target = target_of(("a", "b"), exclusive=True)
        assert best_macro_f1(labels, probabilities, target) == 1.0


def target_of(behaviors: tuple[str, ...], exclusive: bool = False) -> Target:
    ones = torch.ones(len(behaviors))
    return Target(behaviors, exclusive, ones, ones > 0, torch.zeros(len(behaviors)), False)


def test_probabilities_are_sigmoids_or_a_softmax_without_its_last_column() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 0.0]])
    assert to_probabilities(logits, False).tolist()[0] == pytest.approx([0.5, 0.75, 0.5])
    assert to_probabilities(logits, True).tolist()[0] == pytest.approx([0.2, 0.6])
