"""L2-SP by identity of parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelethogram.start_weights.penalty import start_penalty


def weight(value: float) -> nn.Parameter:
    return nn.Parameter(torch.full((2, 3), value))


def test_some_are_pulled_to_their_start_and_the_others_to_zero() -> None:
    matched, other = weight(3.0), weight(2.0)
    start = {matched: torch.ones(2, 3)}
    found = start_penalty([matched, other], start, alpha=0.5, beta=0.1)
    assert found.item() == pytest.approx(0.5 / 2 * 6 * 2**2 + 0.1 / 2 * 6 * 2**2)
    found.backward()
    assert matched.grad is not None and other.grad is not None
    assert torch.allclose(matched.grad, torch.full((2, 3), 0.5 * 2.0))
    assert torch.allclose(other.grad, torch.full((2, 3), 0.1 * 2.0))


def test_equal_parameters_are_not_the_same() -> None:
    one, twin = weight(3.0), weight(3.0)
    found = start_penalty([one, twin], {one: one.detach().clone()}, alpha=7.0, beta=0.1)
    assert found.item() == pytest.approx(0.1 / 2 * 6 * 3**2)


def test_what_does_not_learn_is_left_out() -> None:
    learning, resting = weight(1.0), weight(5.0)
    start = {resting: torch.zeros(2, 3), learning: torch.zeros(2, 3)}
    found = start_penalty([learning], start, alpha=0.5, beta=0.1)
    assert found.item() == pytest.approx(0.5 / 2 * 6)


def test_without_any_start_it_is_plain_l2_of_the_first_strength() -> None:
    found = start_penalty([weight(2.0)], {weight(1.0): torch.ones(2, 3)}, alpha=0.5, beta=100)
    assert found.item() == pytest.approx(0.5 / 2 * 6 * 2**2)


def test_nothing_that_learns_costs_nothing() -> None:
    assert start_penalty([], {}, alpha=1, beta=1).item() == 0
