"""Do labels lie on the frames they belong to? Labels are moved along a trace of motion energy.

Whatever a behavior looks like, the motion of its frames differs from that of others. So the share
of the motion that labels explain, R² of the mean motion of each combination of behaviors, is
largest where they lie right. A shift is proposed only when it is clear: better than any far shift,
clearly better than no shift, and found again in the parts of the video.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

NUM_PARTS = 4
NUM_FAR_SHIFTS = 60
MIN_SPANS = 6  # a video must be this many times as long as the largest shift
MIN_FRAMES = 120
MIN_GAIN = 0.1  # share of the best fit that is lost where the labels lie now


@dataclass(frozen=True)
class Shift:
    """The best place of labels, and how sure it is."""

    frames: int
    """Labels fit best when they are moved so many frames later; negative: earlier."""
    fit: float
    """R² of the motion there."""
    fit_now: float
    """R² where the labels lie."""
    fit_far: float
    """Largest R² of labels moved farther than allowed, round the end: what chance reaches."""
    parts_agree: int
    """Parts of the video, of NUM_PARTS, that have their best place there too."""
    clear: bool
    """The labels should be looked at."""


def find_shift(
    labels: np.ndarray, energy: np.ndarray, max_frames: int, tolerance_frames: int
) -> Shift | None:
    """Where labels fit the motion best.

    Args:
        labels: (T, K) int8; 1 present, 0 absent, −1 not scored. Frames not scored in full are left
            out.
        energy: (T,) motion energy.
        max_frames: Largest shift that is tried, either way; less where the video is short.
        tolerance_frames: Shifts up to this are no shift, and parts that differ by it agree.

    Returns:
        None where nothing can be said: the video is too short, or labels or motion never change.
    """
    if len(labels) != len(energy):
        raise ValueError(f"{len(labels)} frames of labels, {len(energy)} of motion")
    reach = min(max_frames, len(labels) // (2 * MIN_SPANS))
    states = _to_states(labels)
    if len(labels) < MIN_FRAMES or reach <= tolerance_frames or states.max(initial=-1) < 1:
        return None
    motion = rankdata(energy) / len(energy)
    middle = np.arange(reach, len(labels) - reach)
    shifts = np.arange(-reach, reach + 1)
    fits = _fits(states, motion, middle, shifts)
    if not fits.max() > 0:
        return None
    best = int(shifts[fits.argmax()])
    far = np.linspace(2 * reach, len(labels) - 2 * reach, NUM_FAR_SHIFTS).astype(int)
    parts = [
        shifts[_fits(states, motion, part, shifts).argmax()]
        for part in np.array_split(middle, NUM_PARTS)
    ]
    agree = int(sum(abs(part - best) <= tolerance_frames for part in parts))
    fit, fit_now = float(fits.max()), float(fits[reach])
    fit_far = float(_fits(states, motion, middle, far).max())
    clear = (
        abs(best) > tolerance_frames
        and fit > fit_far
        and fit - fit_now > MIN_GAIN * fit
        and agree > NUM_PARTS // 2
    )
    return Shift(best, fit, fit_now, fit_far, agree, clear)


def _to_states(labels: np.ndarray) -> np.ndarray:
    """(T,) number of the combination of behaviors of each frame; −1 where not scored in full."""
    scored = (labels >= 0).all(axis=1)
    states = np.full(len(labels), -1)
    states[scored] = np.unique(labels[scored], axis=0, return_inverse=True)[1].ravel()
    return states


def _fits(
    states: np.ndarray, motion: np.ndarray, frames: np.ndarray, shifts: np.ndarray
) -> np.ndarray:
    """R² of the motion of some frames, for labels that were moved later by each shift."""
    return np.array(
        [_explained(states[(frames - shift) % len(states)], motion[frames]) for shift in shifts]
    )


def _explained(states: np.ndarray, motion: np.ndarray) -> float:
    """Share of the variance that lies between the means of the states, unscored frames left out."""
    motion, states = motion[states >= 0], states[states >= 0]
    if len(motion) == 0 or np.ptp(motion) == 0:
        return 0.0
    counts = np.bincount(states)
    sums = np.bincount(states, weights=motion - motion.mean())
    return float((sums**2 / np.maximum(counts, 1)).sum() / len(motion) / motion.var())
