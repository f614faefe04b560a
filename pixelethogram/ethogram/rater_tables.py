"""Rater against rater: the human ceiling, by the same functions that judge a model.

Comes in: labels per rater and video. Goes out: for each pair F1 and Cohen's kappa per behavior on
the entries that both scored, the mean over pairs, and Fleiss' kappa of all.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pixelethogram.ethogram.agreement import (
    cohen_kappa,
    find_agreed,
    find_disputed,
    fleiss_kappa,
    hide_outside,
)
from pixelethogram.ethogram.scores import Scores, score

Videos = Mapping[str, np.ndarray]
"""Video -> (T, K) labels of one rater, 1 / 0 / -1."""


@dataclasses.dataclass(frozen=True, eq=False)
class PairAgreement:
    """How well two raters agree; F1 is the same both ways, precision and recall change places.

    Args:
        raters: The two names.
        num_videos: Videos that both scored.
        num_frames: Frames of which both scored at least one behavior.
        alike: Share of the frames that both scored in full on which they agree on every behavior.
        scores: The second rater as a prediction of the first.
        kappa: (K,) Cohen's, NaN where it does not exist.
    """

    raters: tuple[str, str]
    num_videos: int
    num_frames: int
    alike: float
    scores: Scores
    kappa: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "raters": list(self.raters),
            "num_videos": self.num_videos,
            "num_frames": self.num_frames,
            "alike": None if np.isnan(self.alike) else self.alike,
            "macro_f1": self.scores.macro_f1,
            "f1": self.scores.f1.tolist(),
            "kappa": [None if np.isnan(value) else value for value in self.kappa.tolist()],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class OverallAgreement:
    """How well all raters agree: Fleiss' kappa.

    Args:
        num_videos: Videos that every one of them scored; fewer than of most pairs.
        num_frames: Frames of which every one of them scored one and the same behavior.
        kappa: (K,) NaN where it does not exist.
    """

    num_videos: int
    num_frames: int
    kappa: np.ndarray


def compare_pairs(raters: Mapping[str, Videos], behaviors: Sequence[str]) -> list[PairAgreement]:
    """Every pair of raters that scored a frame in common.

    Args:
        raters: Rater -> video -> labels (T, K).
        behaviors: The K names.
    """
    found = []
    for pair in itertools.combinations(raters, 2):
        first, second, videos = _join_pair(raters[pair[0]], raters[pair[1]], len(behaviors))
        both = (first >= 0) & (second >= 0)
        if not both.any():
            continue
        found.append(
            PairAgreement(
                pair,
                videos,
                int(both.any(axis=1).sum()),
                _share_alike(first, second),
                score(hide_outside(first, both), None, second == 1, behaviors),
                cohen_kappa(first, second),
            )
        )
    return found


def kappa_of_all(raters: Mapping[str, Videos], num_behaviors: int) -> OverallAgreement:
    """Fleiss' kappa, on the entries that every rater scored."""
    names = sorted(set.intersection(*(set(each) for each in raters.values()))) if raters else []
    if not names:
        return OverallAgreement(0, 0, np.full(num_behaviors, np.nan))
    joined = [np.concatenate([each[name] for name in names]) for each in raters.values()]
    by_all = np.all([each >= 0 for each in joined], axis=0)
    return OverallAgreement(len(names), int(by_all.any(axis=1).sum()), fleiss_kappa(joined))


def judge_by_raters(
    raters: Mapping[str, Videos], present: Videos, behaviors: Sequence[str]
) -> dict[str, Scores]:
    """A prediction against each rater, and where raters agree and differ.

    Args:
        raters: Rater -> video -> labels (T, K).
        present: Video -> (T, K) bool, the prediction.
        behaviors: The K names.

    Returns:
        Scores by rater, `raters agree` (two or more, all alike), and of each rater
        `NAME, where raters differ`; what has no scored entry is left out.
    """
    videos = [name for name in present if any(name in each for each in raters.values())]
    if not videos:
        return {}
    joined = {rater: _join(each, videos, present) for rater, each in raters.items()}
    guess = np.concatenate([present[name] for name in videos])
    stacked = list(joined.values())
    agreed, disputed = find_agreed(stacked), find_disputed(stacked)
    wanted = dict(joined)
    wanted["raters agree"] = hide_outside(np.max(stacked, axis=0), agreed)
    for rater, labels in joined.items():
        wanted[f"{rater}, where raters differ"] = hide_outside(labels, disputed)
    return {
        name: score(labels, None, guess, behaviors)
        for name, labels in wanted.items()
        if (labels >= 0).any()
    }


def pair_rows(pairs: Sequence[PairAgreement], behaviors: Sequence[str]) -> list[list[Any]]:
    """Rows (pair, videos, frames, share alike, macro F1, F1 of each behavior), last the mean."""
    rows: list[list[Any]] = [
        [
            " / ".join(pair.raters),
            pair.num_videos,
            pair.num_frames,
            pair.alike,
            pair.scores.macro_f1,
            *pair.scores.f1.tolist(),
        ]
        for pair in pairs
    ]
    if len(rows) > 1:
        rows.append(["mean", None, None, *np.mean([row[3:] for row in rows], axis=0).tolist()])
    return rows


def kappa_rows(pairs: Sequence[PairAgreement], of_all: OverallAgreement) -> list[list[Any]]:
    """Rows (pair, videos, frames, mean kappa, kappa of each behavior), last Fleiss' of all."""
    named: list[tuple[str, PairAgreement | OverallAgreement]] = [
        (" / ".join(pair.raters), pair) for pair in pairs
    ]
    named.append(("all raters (Fleiss)", of_all))
    return [
        [name, each.num_videos, each.num_frames, *_with_mean(each.kappa)] for name, each in named
    ]


def _with_mean(values: np.ndarray) -> list[float | None]:
    exists = values[~np.isnan(values)]
    mean = float(exists.mean()) if len(exists) else None
    return [mean, *(None if np.isnan(value) else value for value in values.tolist())]


def _share_alike(first: np.ndarray, second: np.ndarray) -> float:
    full = np.all((first >= 0) & (second >= 0), axis=1)
    return float((first == second)[full].all(axis=1).mean()) if full.any() else float("nan")


def _join_pair(
    first: Videos, second: Videos, num_behaviors: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels (N, K) of the videos that both scored, and how many these are."""
    names = [name for name in first if name in second]
    empty = np.zeros((0, num_behaviors), dtype=np.int8)
    joined = (np.concatenate([empty, *(each[name] for name in names)]) for each in (first, second))
    return next(joined), next(joined), len(names)


def _join(labels: Videos, videos: Sequence[str], present: Videos) -> np.ndarray:
    """Labels (N, K) over videos; one that the rater did not score is -1 throughout."""
    return np.concatenate(
        [
            labels[name] if name in labels else np.full(present[name].shape, -1, dtype=np.int8)
            for name in videos
        ]
    )
