"""Logits: the layer they come from, and what the next refinement is told of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

START_GAIN = 0.1  # of the last weights, so that the first logits are little but the prior


def build_output(in_features: int, num_outputs: int, prior: Tensor | None) -> nn.Linear:
    """Linear layer whose outputs start around `prior` (num_outputs,); None: around 0."""
    layer = nn.Linear(in_features, num_outputs)
    start_around(layer, prior)
    return layer


def start_around(layer: nn.Linear | nn.Conv1d, prior: Tensor | None) -> None:
    """Change the fresh weights of a last layer such that its outputs are nearly `prior`."""
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.mul_(START_GAIN)
        layer.bias.copy_(torch.zeros_like(layer.bias) if prior is None else prior)


def to_answer(logits: Tensor, exclusive: bool) -> Tensor:
    """Probabilities (…, O) of logits (…, O): what a refinement gets of the answer before it."""
    return logits.softmax(-1) if exclusive else logits.sigmoid()
