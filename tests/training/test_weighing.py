"""Shares of heads: closed forms, heads without labels, and what the learned ones tend to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pixelethogram.errors import UsageError
from pixelethogram.training.weighing import (
    HeadWeights,
    Rule,
    refuse_unknown_weights,
    replace_weights,
)

LOSSES = [1.0, 4.0]


def weigh(rule: Rule, losses: list[float], known: list[bool] | None = None) -> Tensor:
    tensor = torch.tensor(losses, requires_grad=True)
    mask = torch.tensor(known or [True] * len(losses))
    HeadWeights(rule, len(losses))(tensor, mask).backward()
    assert tensor.grad is not None
    return tensor.grad


def test_given_take_the_place_of_those_of_their_behaviors_only() -> None:
    weights = torch.tensor([2.0, 3.0, 4.0])  # the last is "none of them"
    replaced = replace_weights(weights, ("rear", "groom"), {"groom": 50.0})
    assert replaced.tolist() == [2.0, 50.0, 4.0]
    assert weights.tolist() == [2.0, 3.0, 4.0]
    assert torch.equal(replace_weights(weights, ("rear", "groom"), {}), weights)


def test_a_weight_of_a_behavior_that_is_not_there_is_refused() -> None:
    refuse_unknown_weights({"groom": 5.0}, ("rear", "groom"), "here")
    refuse_unknown_weights({}, ("rear",), "here")
    with pytest.raises(UsageError, match='here names "grooming", which is no behavior') as refusal:
        refuse_unknown_weights({"groom": 5.0, "grooming": 5.0}, ("rear", "groom"), "here")
    assert "rear, groom" in str(refusal.value.why)


@pytest.mark.parametrize(
    ("rule", "shares"),
    [("proportional", [0.2, 0.8]), ("equal", [0.5, 0.5]), ("inverse", [0.8, 0.2])],
)
def test_shares_are_those_of_the_rule_and_sum_to_one(rule: Rule, shares: list[float]) -> None:
    assert weigh(rule, LOSSES).tolist() == pytest.approx(shares)


@pytest.mark.parametrize("rule", ["proportional", "equal", "inverse", "learned"])
def test_a_head_without_labels_takes_no_part(rule: Rule) -> None:
    gradient = weigh(rule, [3.0, 0.0, 3.0], [True, False, True])
    assert gradient[1] == 0
    assert gradient[0] == pytest.approx(0.5)
    assert gradient[2] == pytest.approx(0.5)


@pytest.mark.parametrize("rule", ["proportional", "equal", "inverse", "learned"])
def test_a_batch_without_any_labels_has_no_gradient(rule: Rule) -> None:
    assert weigh(rule, LOSSES, [False, False]).tolist() == [0, 0]


def test_one_head_is_its_loss_whatever_the_rule() -> None:
    weights = HeadWeights("learned", 1)
    assert weights(torch.tensor([7.0]), torch.tensor([True])) == 7
    assert not list(weights.parameters())


def test_learned_weights_start_inversely_proportional_and_move_to_the_loss() -> None:
    weights = HeadWeights("learned", 2)
    losses = torch.tensor([2.0, 8.0], requires_grad=True)
    known = torch.ones(2, dtype=torch.bool)
    weights(losses, known).backward()
    assert losses.grad is not None
    assert losses.grad.tolist() == pytest.approx([4 / 2 / 2, 4 / 8 / 2])  # geometric mean is 4
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        weights(torch.tensor([5.0, 0.5]), known).backward()
        optimizer.step()
    assert weights.log_variance is not None
    assert weights.log_variance.exp().tolist() == pytest.approx([5.0, 0.5], rel=0.05)
