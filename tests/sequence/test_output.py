"""Last layers start around the prior; refinements are told probabilities."""

from __future__ import annotations

import torch
from torch import nn

from pixelethogram.sequence.models.output import build_output, start_around, to_answer


def test_the_first_logits_are_little_but_the_prior() -> None:
    prior = torch.tensor([-4.0, 2.0])
    logits = build_output(64, 2, prior)(torch.randn(1000, 64))
    torch.testing.assert_close(logits.mean(dim=0), prior, atol=0.05, rtol=0)
    assert 0.01 < logits.std(dim=0).max() < 0.2


def test_without_a_prior_they_are_around_zero() -> None:
    conv = nn.Conv1d(8, 3, 3)
    start_around(conv, None)
    assert conv.bias is not None
    assert conv.bias.tolist() == [0, 0, 0]


def test_exclusive_answers_sum_to_one_and_others_do_not() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0]])
    torch.testing.assert_close(to_answer(logits, True), torch.full((1, 3), 1 / 3))
    torch.testing.assert_close(to_answer(logits, False), torch.full((1, 3), 1 / 2))
