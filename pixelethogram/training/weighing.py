"""What counts how much: behaviors that were given a weight, and heads whose losses become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pixelethogram.errors import UsageError

Rule = Literal["proportional", "equal", "inverse", "learned"]
SMALLEST = 1e-8


def refuse_unknown_weights(
    given: Mapping[str, float], behaviors: Sequence[str], setting: str
) -> None:
    """Weights are for behaviors that there are.

    Args:
        given: Behavior -> weight.
        behaviors: Of the project.
        setting: Where the weights stand.

    Raises:
        UsageError: One is for another behavior.
    """
    unknown = [name for name in given if name not in behaviors]
    if unknown:
        raise UsageError(
            f'{setting} names "{unknown[0]}", which is no behavior of the project',
            why=f"its behaviors are {', '.join(behaviors)}",
            do="correct the name, or leave it out: a behavior without a weight of its own weighs "
            "by how rare it is",
        )


def replace_weights(
    weights: Tensor, behaviors: Sequence[str], given: Mapping[str, float]
) -> Tensor:
    """The weights (O,) of behaviors and whatever follows them, where given those that were given.

    Example:
        >>> replace_weights(torch.tensor([2.0, 3.0]), ["rear", "groom"], {"groom": 5}).tolist()
        [2.0, 5.0]
    """
    weights = weights.clone()
    for column, name in enumerate(behaviors):
        weights[column] = given.get(name, weights[column])
    return weights


class HeadWeights(nn.Module):
    """Weighted mean of the losses of those heads that have labels in a batch.

    Args:
        rule: "proportional" to the loss itself, so that the worst head counts most; "equal";
            "inverse", so that all pull alike; "learned" by the variance of each task (Kendall, Gal
            & Cipolla 2018), from weights that make all losses of the first batch alike.
        num_heads: H.
    """

    scale: Tensor

    def __init__(self, rule: Rule, num_heads: int) -> None:
        super().__init__()
        self.rule: Rule = "equal" if num_heads == 1 else rule
        self.log_variance: nn.Parameter | None = None
        if self.rule == "learned":
            self.log_variance = nn.Parameter(torch.zeros(num_heads))
            self.register_buffer("scale", torch.zeros(()))  # 0: no batch was seen yet

    def forward(self, losses: Tensor, known: Tensor) -> Tensor:
        """(H,) losses and (H,) bool, True for heads with labels -> scalar."""
        if not known.any():
            return losses.sum() * 0
        if self.log_variance is not None:
            return self._learn(losses, known, self.log_variance)
        size = losses.detach().clamp_min(SMALLEST)
        share = {"proportional": size, "equal": torch.ones_like(size), "inverse": 1 / size}
        weights = share[self.rule] * known
        return (weights / weights.sum() * losses.masked_fill(~known, 0.0)).sum()

    def _learn(self, losses: Tensor, known: Tensor, log_variance: Tensor) -> Tensor:
        if self.training and not self.scale:
            self._start(losses.detach(), known)
        terms = (-log_variance).exp() * losses + log_variance
        scale = self.scale if self.scale else losses.detach().mean()
        return scale * terms[known].mean()

    @torch.no_grad()
    def _start(self, losses: Tensor, known: Tensor) -> None:
        """Logarithms of variance that make every loss 1; a head without labels gets their mean."""
        assert self.log_variance is not None
        size = losses.clamp_min(SMALLEST).log()
        self.log_variance.copy_(torch.where(known, size, size[known].mean()))
        self.scale.copy_(size[known].mean().exp())
