"""Which minutes of the videos the model gets most and least right.

Comes in: labels and predictions per video. Goes out: windows that do not overlap, and the frames in
them that show what happened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pixelethogram.ethogram.bouts import find_runs

WINDOW_SECONDS = 60.0
MIN_WINDOWS = 3  # per video; shorter windows where videos are short
MIN_SCORED = 0.5
MIN_EVENTS = 1


@dataclasses.dataclass(frozen=True)
class Minute:
    """A stretch of a video and how wrong the model is there."""

    video: str
    start: int
    stop: int
    error: float
    """Share of the scored entries (frame × behavior) on which labels and model differ."""
    changes: int
    """Onsets in the labels: how much happens."""


def rank_minutes(
    labels: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray], fps: Mapping[str, float]
) -> list[Minute]:
    """Windows of every video, the worst first.

    Args:
        labels: Video -> (T, K) int8; 1 present, 0 absent, −1 not scored.
        present: Video -> (T, K) bool, the prediction.
        fps: Video -> frames per second.

    Returns:
        Windows of a minute, or of a third of the video where that is less. One that is scored by
        less than half is left out.
    """
    found = []
    for video, truth in labels.items():
        length = max(1, min(round(WINDOW_SECONDS * fps[video]), len(truth) // MIN_WINDOWS))
        starts = np.arange(0, max(len(truth) - length, 0) + 1, length)
        scored = truth >= 0
        wrong = scored & ((truth == 1) != present[video])
        onsets = (truth[1:] == 1) & (truth[:-1] == 0)
        for start in starts.tolist():
            stop = start + length
            known = int(scored[start:stop].sum())
            if known < MIN_SCORED * scored[start:stop].size:
                continue
            error = float(wrong[start:stop].sum() / known)
            found.append(Minute(video, start, stop, error, int(onsets[start:stop].sum())))
    return sorted(found, key=lambda each: (-each.error, each.video, each.start))


def choose_minutes(ranked: Sequence[Minute], number: int) -> tuple[list[Minute], list[Minute]]:
    """The worst, and the best of those in which something happens; none is in both lists."""
    worst = [each for each in ranked[:number] if each.error > 0]
    rest = [each for each in ranked if each not in worst and each.changes >= MIN_EVENTS]
    best = sorted(rest, key=lambda each: (each.error, -each.changes, each.video, each.start))
    return worst, best[:number]


def choose_frames(
    minute: Minute, labels: np.ndarray, present: np.ndarray, number: int
) -> list[int]:
    """Frames to be shown, in order: middles of the longest disagreements, else evenly spaced.

    Args:
        minute: Where to look.
        labels: (T, K) of the whole video.
        present: (T, K) bool of the whole video.
        number: How many.
    """
    inside = slice(minute.start, minute.stop)
    truth = labels[inside]
    wrong = ((truth >= 0) & ((truth == 1) != present[inside])).any(axis=1)
    runs = find_runs(wrong)
    longest = runs[np.argsort(runs[:, 0] - runs[:, 1], kind="stable")][:number]
    frames = {minute.start + int(start + stop) // 2 for start, stop in longest}
    even = np.linspace(minute.start, minute.stop - 1, number + 2)[1:-1].astype(int).tolist()
    for frame in even:
        if len(frames) < number:
            frames.add(frame)
    return sorted(frames)
