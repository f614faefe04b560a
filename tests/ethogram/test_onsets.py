"""Onsets and offsets: shifted bouts have the shift as their error."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pixelethogram.ethogram.onsets import boundary_errors


def trace(num_frames: int, *bouts: tuple[int, int]) -> np.ndarray:
    values = np.zeros((num_frames, 1), dtype=np.int8)
    for start, stop in bouts:
        values[start:stop] = 1
    return values


def test_shifted_bouts_have_the_shift_as_their_error() -> None:
    labels = trace(200, (10, 40), (60, 90), (120, 150))
    present = trace(200, (13, 38), (63, 88), (123, 148)) == 1
    errors = boundary_errors([labels], [present])
    assert (errors.num_bouts.item(), errors.num_matched.item()) == (3, 3)
    assert (errors.onset_median.item(), errors.onset_p90.item(), errors.onset_shift.item()) == (
        3,
        3,
        3,
    )
    assert (errors.offset_median.item(), errors.offset_shift.item()) == (2, -2)


def test_median_and_p90_over_all_videos() -> None:
    shifts = range(11)
    labels = [trace(100, (40, 80)) for _ in shifts]
    present = [trace(100, (40 + shift, 80)) == 1 for shift in shifts]
    errors = boundary_errors(labels, present)
    assert errors.onset_median.item() == 5
    assert errors.onset_p90.item() == pytest.approx(9)
    assert errors.offset_p90.item() == 0


def test_early_and_late_cancel_in_the_shift_but_not_in_the_error() -> None:
    labels = trace(200, (20, 60), (100, 140))
    present = trace(200, (15, 60), (105, 140)) == 1
    errors = boundary_errors([labels], [present])
    assert (errors.onset_median.item(), errors.onset_shift.item()) == (5, 0)


def test_borders_of_what_was_scored_are_no_onsets() -> None:
    labels = trace(60, (0, 20), (40, 60))
    labels[18:22] = -1
    errors = boundary_errors([labels], [trace(60, (2, 18), (42, 55)) == 1])
    assert errors.num_matched.item() == 2
    assert (errors.onset_median.item(), errors.offset_median.item()) == (
        2,
        pytest.approx(np.nan, nan_ok=True),
    )


def test_a_bout_that_was_not_found_has_no_error() -> None:
    errors = boundary_errors([trace(60, (10, 20))], [trace(60, (30, 40)) == 1])
    assert (errors.num_bouts.item(), errors.num_matched.item()) == (1, 0)
    assert json.loads(json.dumps(errors.to_dict()))["onset_median"] == [None]
