"""Several raters, or several behaviors, as heads of one network: labels side by side, one answer.

The labels of a video stand in the columns of its rater and are not scored in those of the others;
so every head learns from its own videos, and nothing else has to know of raters.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pixelethogram.config import SequenceConfig
from pixelethogram.errors import UsageError
from pixelethogram.sequence.models.multitask_mstcn2 import MultitaskMSTCN2Config
from pixelethogram.training.classifier import Target, build_target

MAX_REPEATS = 50


@dataclasses.dataclass(frozen=True)
class Question:
    """What a network is asked about every frame, and in how many heads."""

    behaviors: tuple[str, ...]
    exclusive: bool
    raters: tuple[str, ...] = ()
    """With a head each; empty where one head answers for all of them."""

    def build_targets(self, labels: np.ndarray, settings: SequenceConfig) -> list[Target]:
        """What each head has to tell apart, from training labels (N, K), or (N, R · K)."""
        names = [f"{each} ({rater})" for rater in self.raters for each in self.behaviors]
        names = names or list(self.behaviors)
        loss = settings.loss
        given = {
            name: loss.positive_weights[behavior]
            for name, behavior in zip(names, itertools.cycle(self.behaviors), strict=False)
            if behavior in loss.positive_weights
        }
        width = 1 if _heads(settings) == "behaviors" else len(self.behaviors)
        return [
            build_target(
                labels[:, start : start + width],
                names[start : start + width],
                self.exclusive,
                loss.weight_exponent,
                given=given,
            )
            for start in range(0, len(names), width)
        ]

    def build_network(
        self, settings: SequenceConfig, in_features: int, priors: Sequence[Tensor] = ()
    ) -> nn.Module:
        """Network with fresh weights for D features.

        Args:
            settings: Which network.
            in_features: D.
            priors: Of each head what its logits start around; none leaves that open.
        """
        num_outputs = len(self.behaviors) + self.exclusive
        together = torch.cat(list(priors)) if priors else None
        if not self.raters or not isinstance(settings.model, MultitaskMSTCN2Config):
            return settings.model.build(in_features, num_outputs, together, self.exclusive)
        of_raters: list[Tensor | None] = [*priors] if priors else [None] * len(self.raters)
        return settings.model.build_heads(in_features, num_outputs, of_raters, self.exclusive)


def has_rater_heads(settings: SequenceConfig) -> bool:
    """True where every rater has a head."""
    return _heads(settings) == "raters"


def _heads(settings: SequenceConfig) -> str:
    model = settings.model
    return model.heads if isinstance(model, MultitaskMSTCN2Config) else "one"


class OneHead(nn.Module):
    """The answers of one rater's head."""

    def __init__(self, model: Any, number: int, num_raters: int) -> None:
        super().__init__()
        self.model = model
        self.receptive_radius: int | None = model.receptive_radius
        self._number, self._num_raters = number, num_raters

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask -> list of (B, T, O)."""
        return [
            answer.chunk(self._num_raters, dim=2)[self._number]
            for answer in self.model(features, mask)
        ]


def choose_head(model: Any, rater: str | None) -> Any:
    """The network as one rater would answer; the first rater stands in for one it does not know."""
    if len(model.raters) < 2:
        return model
    number = model.raters.index(rater) if rater in model.raters else 0
    return OneHead(model, number, len(model.raters)).train(model.training)


def choose_rater(raters: Sequence[str], wanted: str | None) -> str | None:
    """Whose head answers for new videos: the one asked for, else the first.

    Args:
        raters: Those that have a head; empty where one head answers for all.
        wanted: None where nobody was named.

    Returns:
        None where one head answers for all.

    Raises:
        UsageError: Nobody of that name has a head.
    """
    if wanted is not None and wanted not in raters:
        raise UsageError(
            f'--rater "{wanted}" is not one whose habits this model learned',
            do=f"choose one of {', '.join(raters)}" if raters else "leave --rater away",
        )
    return wanted or next(iter(raters), None)


def describe_rater(raters: Sequence[str], rater: str | None) -> str | None:
    """A line about whose head answers, where there are several."""
    others = ", ".join(each for each in raters if each != rater)
    if not others:
        return None
    return f"videos are scored as {rater} would; --rater takes another: {others}"


def spread_labels(labels: np.ndarray, rater: str, raters: Sequence[str]) -> np.ndarray:
    """Labels (T, K) in the columns of their rater, (T, R · K); -1 in those of the others."""
    num_frames, num_behaviors = labels.shape
    spread = np.full((num_frames, len(raters), num_behaviors), -1, dtype=labels.dtype)
    if rater in raters:
        spread[:, list(raters).index(rater)] = labels
    return spread.reshape(num_frames, -1)


def balance_heads(
    stretches: Sequence[tuple[np.ndarray, np.ndarray]], widths: Sequence[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stretches of heads with fewer scored frames several times, so that all are seen alike.

    Args:
        stretches: Features (T, D) and labels (T, C).
        widths: Columns of each head, in order; they sum to C.
    """
    ends = np.cumsum(widths)
    counts = np.array(
        [
            [
                (labels[:, stop - width : stop] >= 0).any(axis=1).sum()
                for width, stop in zip(widths, ends, strict=True)
            ]
            for _, labels in stretches
        ]
    )  # (stretches, heads)
    totals = counts.sum(axis=0)
    factors = np.where(totals > 0, totals.max() / np.maximum(totals, 1), 1)
    repeats = np.where(counts > 0, factors, 1).max(axis=1)
    repeats = np.rint(repeats).astype(int).clip(max=MAX_REPEATS)
    return [each for each, often in zip(stretches, repeats, strict=True) for _ in range(often)]
