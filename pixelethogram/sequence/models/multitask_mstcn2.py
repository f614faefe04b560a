"""MS-TCN++ for several tasks: one first answer that all share, refinements of their own for each.

The first answer is that of Li et al., "MS-TCN++", 2020. A task is a rater, whose habits its head
learns, or a behavior. Every head refines the probabilities of the shared answer, which so learns
from the labels of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pixelethogram.errors import UsageError
from pixelethogram.sequence.models.mstcn import DilatedStack, build_layers
from pixelethogram.sequence.models.mstcn2 import FirstAnswerSettings, build_first_answer
from pixelethogram.sequence.models.output import to_answer


class MultitaskMSTCN2Config(FirstAnswerSettings):
    """Settings of MS-TCN++ with a head per rater or behavior."""

    paper: ClassVar[str] = "Li et al. 2020, shared by tasks"

    name: Literal["multitask_mstcn2"] = "multitask_mstcn2"
    """Entry of the table of sequence models."""
    heads: Literal["raters", "behaviors"] = "raters"
    """Refinements for each rater (`rater` in video.yaml; all behaviors together), or for each
    behavior; videos teach those heads only that they have labels for."""
    head_weights: Literal["proportional", "equal", "inverse", "learned"] = "proportional"
    """Share of each head's loss: proportional to it (the worst counts most), equal, inversely
    proportional, or by learned variances."""
    balance: bool = True
    """Show videos of heads with fewer labels more often."""
    num_refinements: int = Field(default=1, ge=1)
    """Answers of each head after the first one, which is shared."""

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> Branching:
        """Network of a single rater; the arguments are explained in `sequence.models`."""
        return self.build_heads(in_features, num_outputs, [prior], exclusive)

    def build_heads(
        self,
        in_features: int,
        num_outputs: int,
        priors: Sequence[Tensor | None],
        exclusive: bool = False,
    ) -> Branching:
        """Network with fresh weights whose answers stand side by side, rater after rater.

        Args:
            in_features: D.
            num_outputs: O of one rater.
            priors: Of each rater what the logits (O,) start around; None leaves that open.
            exclusive: The probabilities of one rater are a softmax.
        """
        if self.heads == "behaviors" and exclusive:
            raise UsageError(
                "sequence.model.heads=behaviors is for behaviors that may occur together",
                why="in an exclusive project a frame's behaviors are one question, not several",
                do="set sequence.model.heads=raters",
            )
        known = [prior for prior in priors if prior is not None]
        shared = torch.stack(known).mean(dim=0) if known else None
        first = build_first_answer(self, in_features, num_outputs, shared)
        heads = []
        for prior in priors:
            if self.heads == "raters":
                heads.append(self._build_head(num_outputs, num_outputs, prior))
                continue
            for output in range(num_outputs):
                own = None if prior is None else prior[output : output + 1]
                heads.append(self._build_head(num_outputs, 1, own))
        return Branching(first, heads, len(priors), exclusive)

    def _build_head(
        self, in_channels: int, num_outputs: int, prior: Tensor | None
    ) -> nn.ModuleList:
        channels = [in_channels] + [num_outputs] * (self.num_refinements - 1)
        return nn.ModuleList(
            DilatedStack(self.hidden, each, build_layers(self), num_outputs, prior)
            for each in channels
        )


class Branching(nn.Module):
    """A first answer, and heads that refine it each in its own way.

    Args:
        first: Features to logits.
        heads: Of each head its refinements, probabilities to logits, in turn.
        num_raters: How often the first answer is repeated to stand beside those of the heads.
        exclusive: The probabilities of a head are a softmax; else a sigmoid each.
    """

    def __init__(
        self,
        first: DilatedStack,
        heads: Sequence[nn.ModuleList],
        num_raters: int,
        exclusive: bool,
    ) -> None:
        super().__init__()
        self.first = first
        self.heads = nn.ModuleList(heads)
        self.num_raters, self.exclusive = num_raters, exclusive
        reach = sum(stack.reach for stack in heads[0])  # type: ignore[misc]
        self.receptive_radius: int | None = first.reach + reach

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> answers (B, T, R · O)."""
        first = self.first(features.masked_fill(~mask[..., None], 0.0), mask)
        shared = to_answer(first, self.exclusive)
        branches = [self._refine(head, shared, mask) for head in self.heads]
        together = [torch.cat(level, dim=2) for level in zip(*branches, strict=True)]
        return [torch.cat([first] * self.num_raters, dim=2), *together]

    def _refine(self, head: nn.Module, probabilities: Tensor, mask: Tensor) -> list[Tensor]:
        answers = []
        for stack in head:  # type: ignore[attr-defined]
            answers.append(stack(probabilities, mask))
            probabilities = to_answer(answers[-1], self.exclusive)
        return answers
