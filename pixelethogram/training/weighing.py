"""The losses of several heads become one loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Rule = Literal["proportional", "equal", "inverse", "learned"]
SMALLEST = 1e-8


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
