"""The worst and best stretches of videos whose errors are known."""

from __future__ import annotations

import numpy as np

from pixelethogram.reporting.minutes import Minute, choose_frames, choose_minutes, rank_minutes

FPS = {"a": 2.0}


def world() -> tuple[np.ndarray, np.ndarray]:
    """Five minutes of 120 frames, a bout in each; the third is all wrong, the fifth not scored."""
    labels = np.zeros((600, 2), np.int8)
    for start in range(10, 600, 120):
        labels[start : start + 20, 0] = 1
    present = labels == 1
    present[240:360] = ~present[240:360]
    present[5:8, 1] = True
    labels[480:] = -1
    return labels, present


def test_minutes_are_ranked_by_their_errors() -> None:
    labels, present = world()
    ranked = rank_minutes({"a": labels}, {"a": present}, FPS)
    assert [(each.start, each.stop) for each in ranked] == [
        (240, 360),
        (0, 120),
        (120, 240),
        (360, 480),
    ]
    assert [each.error for each in ranked] == [1.0, 3 / 240, 0.0, 0.0]
    assert {each.changes for each in ranked} == {1}


def test_short_videos_have_shorter_windows() -> None:
    labels, present = world()
    ranked = rank_minutes({"a": labels[:90]}, {"a": present[:90]}, FPS)
    assert sorted((each.start, each.stop) for each in ranked) == [(0, 30), (30, 60), (60, 90)]


def test_best_and_worst_do_not_overlap_and_something_happens_in_the_best() -> None:
    empty = Minute("a", 0, 9, 0.0, 0)
    full = Minute("a", 9, 18, 0.1, 3)
    wrong = Minute("a", 18, 27, 0.9, 2)
    assert choose_minutes([wrong, full, empty], 1) == ([wrong], [full])
    assert choose_minutes([empty], 2) == ([], [])


def test_frames_are_from_the_longest_disagreements_and_never_from_unscored_ones() -> None:
    labels, present = np.zeros((2, 100, 1), np.int8)
    present = present.astype(bool)
    present[20:30], present[60:62], present[80:90] = True, True, True
    labels[80:90] = -1
    minute = Minute("a", 10, 100, 0.0, 0)
    assert choose_frames(minute, labels, present, 1) == [25]
    frames = choose_frames(minute, labels, present, 4)
    assert len(frames) == 4 and {25, 61} <= set(frames) and frames == sorted(frames)
    assert all(10 <= frame < 100 for frame in frames)
