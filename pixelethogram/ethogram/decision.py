"""From probabilities to present behaviors: thresholds, one at a time, bout lengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import logit

from pixelethogram.ethogram.bouts import choose_min_bout_frames, drop_short_bouts
from pixelethogram.ethogram.thresholds import apply_exclusive, apply_thresholds, choose_thresholds

TINY = 1e-6  # probabilities nearer to 0 or 1 count as this near


@dataclasses.dataclass(frozen=True)
class Decision:
    """How probabilities become an ethogram; kept in results.yaml of a sequence run."""

    behaviors: tuple[str, ...]
    thresholds: np.ndarray
    """(K,) float64; a behavior is present where its probability is larger."""
    min_bout_frames: np.ndarray
    """(K,) int; runs and gaps of at most this length are removed."""
    exclusive: bool = False
    """At most one behavior per frame."""
    always_one: bool = False
    """Exclusive projects in which every training frame that is scored in full shows a behavior."""
    usable: np.ndarray | None = None
    """(K,) bool, see `Thresholds.usable`; None in runs that did not keep it."""

    @property
    def unusable_behaviors(self) -> tuple[str, ...]:
        """Behaviors for which no threshold was found, so that another one stands in."""
        if self.usable is None:
            return ()
        found = zip(self.behaviors, self.usable, strict=True)
        return tuple(name for name, usable in found if not usable)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(T, K) bool of one whole video from its (T, K) probabilities."""
        if not self.exclusive:
            present = apply_thresholds(probabilities, self.thresholds)
            return drop_short_bouts(present, self.min_bout_frames)
        present = apply_exclusive(probabilities, self.thresholds, self.always_one)
        filtered = drop_short_bouts(present, self.min_bout_frames)
        kept = _keep_one(filtered, probabilities, self.thresholds)
        return _fill_from_neighbours(kept) if self.always_one else kept

    def to_dict(self) -> dict[str, Any]:
        """Plain values for results.yaml."""
        return {
            "thresholds": dict(zip(self.behaviors, self.thresholds.tolist(), strict=True)),
            "min_bout_frames": dict(
                zip(self.behaviors, self.min_bout_frames.tolist(), strict=True)
            ),
            "exclusive": self.exclusive,
            "always_one": self.always_one,
            "usable": self.usable
            if self.usable is None
            else dict(zip(self.behaviors, self.usable.tolist(), strict=True)),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Decision:
        """The decision that `to_dict` gave."""
        behaviors = tuple(values["thresholds"])
        usable = values.get("usable")
        return cls(
            behaviors,
            np.array([values["thresholds"][name] for name in behaviors], dtype=np.float64),
            np.array([values["min_bout_frames"][name] for name in behaviors], dtype=np.int64),
            values["exclusive"],
            values["always_one"],
            None if usable is None else np.array([usable[name] for name in behaviors], dtype=bool),
        )


def choose_decision(
    probabilities: np.ndarray,
    labels: np.ndarray,
    train_labels: Sequence[np.ndarray],
    behaviors: Sequence[str],
    *,
    exclusive: bool,
    threshold_floor: float,
    bout_percentile: float,
) -> Decision:
    """Thresholds that are best on validation frames, bout lengths from the training labels.

    Args:
        probabilities: (N, K) of validation frames.
        labels: (N, K), 1 / 0 / -1.
        train_labels: (T, K) of every stretch of the training part.
        behaviors: Names of the columns.
        exclusive: At most one behavior per frame.
        threshold_floor: No threshold is lower.
        bout_percentile: Runs shorter than this percentile of the training bouts go.
    """
    thresholds = choose_thresholds(probabilities, labels, floor=threshold_floor)
    shortest = choose_min_bout_frames(train_labels, bout_percentile)
    dropped = shortest - 1  # "shorter than": bouts as short as the shortest real ones stay
    always_one = exclusive and always_shows_one(np.concatenate(list(train_labels)))
    return Decision(
        tuple(behaviors), thresholds.values, dropped, exclusive, always_one, thresholds.usable
    )


def always_shows_one(labels: np.ndarray) -> bool:
    """Whether labels (N, K) are ever scored in full, and then always show a behavior."""
    scored = labels[(labels >= 0).all(axis=1)]
    return len(scored) > 0 and bool((scored == 1).any(axis=1).all())


def _keep_one(present: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """One behavior where filling gaps left several: the one furthest above its threshold.

    Summed over the stretch in which the same ones are present, so that noise makes no new flicker.
    """
    margins = logit(np.clip(probabilities, TINY, 1 - TINY)) - logit(thresholds)
    changes = (present[1:] != present[:-1]).any(axis=1)
    starts = np.flatnonzero(np.append(True, changes))
    sums = np.add.reduceat(margins, starts, axis=0)
    evidence = np.repeat(sums, np.diff(np.append(starts, len(present))), axis=0)
    winners = np.where(present, evidence, -np.inf).argmax(axis=1)
    return present & (np.arange(present.shape[1]) == winners[:, None])


def _fill_from_neighbours(present: np.ndarray) -> np.ndarray:
    """Give frames that dropping short bouts left empty the behavior of the nearest frame."""
    known = np.flatnonzero(present.any(axis=1))
    if len(known) == 0:
        return present
    frames = np.arange(len(present))
    after = np.searchsorted(known, frames).clip(max=len(known) - 1)
    before = (after - 1).clip(min=0)
    is_before = abs(frames - known[before]) <= abs(frames - known[after])
    return present[np.where(is_before, known[before], known[after])]
