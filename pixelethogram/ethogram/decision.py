"""From probabilities to present behaviors: thresholds, one at a time, bout lengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.special import logit

from pixelethogram.ethogram.bouts import choose_min_bout_frames, drop_short_bouts
from pixelethogram.ethogram.calibration import Calibration, Method, fit_calibration
from pixelethogram.ethogram.thresholds import (
    Thresholds,
    apply_exclusive,
    apply_thresholds,
    choose_thresholds,
    choose_thresholds_across,
)

ThresholdMethod = Literal["exact", "cv"]
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
    plateau: np.ndarray | None = None
    """(K, 2) float64, see `Thresholds.plateau`; None in runs that did not keep it."""
    calibration: Calibration | None = None
    """What makes probabilities honest before the thresholds; None leaves them as they are."""

    @property
    def unusable_behaviors(self) -> tuple[str, ...]:
        """Behaviors for which no threshold was found, so that another one stands in."""
        if self.usable is None:
            return ()
        found = zip(self.behaviors, self.usable, strict=True)
        return tuple(name for name, usable in found if not usable)

    def with_thresholds(self, changed: Mapping[str, float]) -> Decision:
        """The same rule with other thresholds of some behaviors."""
        values = self.thresholds.copy()
        for name, value in changed.items():
            values[self.behaviors.index(name)] = value
        return dataclasses.replace(self, thresholds=values)

    def calibrate(self, probabilities: np.ndarray) -> np.ndarray:
        """(T, K) probabilities as the thresholds are meant for them; the same without a cure."""
        return probabilities if self.calibration is None else self.calibration.apply(probabilities)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(T, K) bool of one whole video from the (T, K) probabilities of the model."""
        probabilities = self.calibrate(probabilities)
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
            "plateau": self.plateau
            if self.plateau is None
            else dict(zip(self.behaviors, self.plateau.tolist(), strict=True)),
            "calibration": None
            if self.calibration is None
            else {
                "scale": dict(zip(self.behaviors, self.calibration.scale.tolist(), strict=True)),
                "shift": dict(zip(self.behaviors, self.calibration.shift.tolist(), strict=True)),
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Decision:
        """The decision that `to_dict` gave."""
        behaviors = tuple(values["thresholds"])
        usable, plateau = values.get("usable"), values.get("plateau")
        calibration = values.get("calibration")
        return cls(
            behaviors,
            np.array([values["thresholds"][name] for name in behaviors], dtype=np.float64),
            np.array([values["min_bout_frames"][name] for name in behaviors], dtype=np.int64),
            values["exclusive"],
            values["always_one"],
            None if usable is None else np.array([usable[name] for name in behaviors], dtype=bool),
            None if plateau is None else np.array([plateau[name] for name in behaviors]),
            None
            if calibration is None
            else Calibration(
                *(
                    np.array([calibration[kind][name] for name in behaviors], dtype=np.float64)
                    for kind in ("scale", "shift")
                )
            ),
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
    thresholds: ThresholdMethod = "exact",
    calibration: Method = "none",
    video_lengths: Sequence[int] = (),
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
        thresholds: "cv" averages over leaving out each validation video.
        calibration: How probabilities are made honest before.
        video_lengths: Frames of each validation video, which lie one after the other; for "cv".
    """
    cure = None if calibration == "none" else fit_calibration(labels, probabilities, calibration)
    honest = probabilities if cure is None else cure.apply(probabilities)
    found = _choose(honest, labels, threshold_floor, video_lengths if thresholds == "cv" else ())
    shortest = choose_min_bout_frames(train_labels, bout_percentile)
    dropped = shortest - 1  # "shorter than": bouts as short as the shortest real ones stay
    always_one = exclusive and always_shows_one(np.concatenate(list(train_labels)))
    return Decision(
        tuple(behaviors),
        found.values,
        dropped,
        exclusive,
        always_one,
        found.usable,
        found.plateau,
        cure,
    )


def _choose(
    probabilities: np.ndarray, labels: np.ndarray, floor: float, video_lengths: Sequence[int]
) -> Thresholds:
    """Exact thresholds, or those across videos where their lengths are given."""
    if not video_lengths:
        return choose_thresholds(probabilities, labels, floor=floor)
    borders = np.cumsum(video_lengths)[:-1]
    return choose_thresholds_across(
        np.split(probabilities, borders), np.split(labels, borders), floor
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
