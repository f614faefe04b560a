"""Ensembles: folds of the labelled frames, one model trained without each, the mean of all logits.

In: labels, and the stretches that may be learned from (train and val; the test part is never
divided). Out: folds, and a network of networks. Of a frame of a fold, the member that left the
fold out has not seen the label. The features network has, on train; so only val frames of a fold
can tell how good the answers are.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from pixelethogram.errors import InputError
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.splits import Segment, Splits, hide_other_frames, solve_splits


class Ensemble(nn.Module):
    """Sequence networks of one kind whose logits are averaged."""

    def __init__(self, members: Sequence[NormalizedSequence]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.receptive_radius = members[0].receptive_radius
        self.raters = members[0].raters

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) raw features and (B, T) mask -> [(B, T, O) mean of the members' logits]."""
        return [torch.stack([member(features, mask)[-1] for member in self.members]).mean(dim=0)]

    def pair(
        self, folds: Sequence[Sequence[Segment]]
    ) -> list[tuple[NormalizedSequence, Sequence[Segment]]]:
        """Each member and the stretches that it did not learn from, its fold."""
        members = cast("list[NormalizedSequence]", list(self.members))
        return list(zip(members, folds, strict=True))


def divide_folds(
    labels: Mapping[str, np.ndarray],
    segments: Sequence[Segment],
    behaviors: Sequence[str],
    *,
    num_folds: int,
    guard_frames: int,
    block_frames: int | None,
    seed: int,
) -> list[list[Segment]]:
    """Divide stretches of video into folds of about equal size, each with every behavior.

    Whole videos stay together. Where there are too few of them, or too few that show a behavior,
    the folds are time blocks.

    Args:
        labels: (T, K) per video, 1 / 0 / -1.
        segments: The stretches to divide.
        behaviors: Names of the columns.
        num_folds: 2 or more.
        guard_frames: Time blocks of different folds are this far apart.
        block_frames: Length of a time block; None chooses it.
        seed: Decides between equally good folds.

    Returns:
        Stretches of each fold, inside of `segments`.

    Raises:
        InputError: Not even time blocks can be divided so.
    """
    solve = functools.partial(
        solve_splits,
        hide_other_frames(labels, segments),
        behaviors,
        fractions={f"fold {number + 1}": 1 / num_folds for number in range(num_folds)},
        seed=seed,
        allow_absent=True,
    )
    try:
        found = solve(by="video")
    except InputError:  # cured by smaller pieces
        try:
            found = solve(by="time", guard_frames=guard_frames, block_frames=block_frames)
        except InputError as error:
            raise InputError(
                f"train and val cannot be divided into {num_folds} folds: {error.what}",
                why=error.why,
                do="lower sequence.ensemble_folds, or label more",
            ) from error
    return [intersect(fold, segments) for fold in found.values()]


def drop_between_folds(
    splits: Mapping[str, Sequence[Segment]], folds: Sequence[Sequence[Segment]]
) -> Splits:
    """The parts, val without its frames between time blocks of different folds.

    No member left those out: they are predicted by all, some of which learned right beside them.
    A video that is in no fold at all was learned from by nobody, and keeps its frames.
    """
    inside = [each for fold in folds for each in fold]
    divided = {each.video for each in inside}
    kept = [
        piece
        for each in splits["val"]
        for piece in (intersect(inside, [each]) if each.video in divided else [each])
    ]
    return {**{part: list(each) for part, each in splits.items()}, "val": kept}


def intersect(some: Sequence[Segment], others: Sequence[Segment]) -> list[Segment]:
    """Stretches that both cover."""
    pieces = [
        Segment(one.video, max(one.start, other.start), min(one.stop, other.stop))
        for one in some
        for other in others
        if one.video == other.video
    ]
    return [piece for piece in pieces if piece.start < piece.stop]


def folds_to_dict(folds: Sequence[Sequence[Segment]]) -> list[dict[str, list[list[int]]]]:
    """Plain values for YAML: of each fold, video -> [start, stop] of its stretches."""
    plain: list[dict[str, list[list[int]]]] = []
    for fold in folds:
        plain.append({})
        for each in fold:
            plain[-1].setdefault(each.video, []).append([each.start, each.stop])
    return plain


def folds_from_dict(plain: Sequence[Mapping[str, Any]]) -> list[list[Segment]]:
    """The folds that `folds_to_dict` gave."""
    return [
        [Segment(video, start, stop) for video, bounds in fold.items() for start, stop in bounds]
        for fold in plain
    ]
