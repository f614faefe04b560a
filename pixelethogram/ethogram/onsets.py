"""Onsets and offsets: how many frames beside the true ones predicted bouts begin and end.

Comes in: labels and boolean predictions per video. Goes out: per behavior the errors of the bouts
that were found, and their median and 90th percentile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pixelethogram.ethogram.bouts import find_runs
from pixelethogram.ethogram.segments import cut_bouts, match_bouts

MATCH_OVERLAP = 0.1


@dataclass(frozen=True, eq=False)
class BoundaryErrors:
    """Errors in frames of the true bouts that a predicted one overlaps, per behavior (K,).

    Args:
        num_bouts: int, bouts in the labels.
        num_matched: int, those with a predicted bout.
        onset_median, onset_p90: float, of |predicted − true onset|; NaN where there is none.
        offset_median, offset_p90: float, the same of the frame after the last.
        onset_shift, offset_shift: float, median with its sign: positive is too late.
    """

    num_bouts: np.ndarray
    num_matched: np.ndarray
    onset_median: np.ndarray
    onset_p90: np.ndarray
    onset_shift: np.ndarray
    offset_median: np.ndarray
    offset_p90: np.ndarray
    offset_shift: np.ndarray

    def to_dict(self) -> dict[str, list[float | None]]:
        """Plain lists for YAML or JSON; NaN becomes None."""
        return {
            field.name: [
                None if np.isnan(value) else value for value in getattr(self, field.name).tolist()
            ]
            for field in fields(self)
        }


def boundary_errors(
    labels: Sequence[np.ndarray], present: Sequence[np.ndarray], overlap: float = MATCH_OVERLAP
) -> BoundaryErrors:
    """Compare where matched bouts begin and end.

    An onset in the first frame of a scored stretch (of a video, or after −1) is not known and is
    left out; so is an offset at the end of one.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        present: One (T, K) bool array per video, the predictions.
        overlap: Least intersection over union of a match.
    """
    columns = [
        _measure_column(
            [video[:, column] for video in labels], [video[:, column] for video in present], overlap
        )
        for column in range(labels[0].shape[1])
    ]
    return BoundaryErrors(
        np.array([num_bouts for num_bouts, _, _, _ in columns]),
        np.array([num_matched for _, num_matched, _, _ in columns]),
        *_summarise([onsets for _, _, onsets, _ in columns]),
        *_summarise([offsets for _, _, _, offsets in columns]),
    )


def _measure_column(
    labels: Sequence[np.ndarray], present: Sequence[np.ndarray], overlap: float
) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Number of true bouts, of matches, and the errors of known onsets and offsets."""
    num_bouts = num_matched = 0
    onsets, offsets = [np.zeros(0)], [np.zeros(0)]
    for truth, guess in zip(labels, present, strict=True):
        stretches = find_runs(truth >= 0)
        for bounds, (true, predicted) in zip(stretches, cut_bouts(truth, guess), strict=True):
            pairs = match_bouts(true, predicted, overlap)
            errors = predicted[pairs[:, 1]] - true[pairs[:, 0]]
            known = true[pairs[:, 0]] != bounds
            onsets.append(errors[known[:, 0], 0])
            offsets.append(errors[known[:, 1], 1])
            num_bouts += len(true)
            num_matched += len(pairs)
    return num_bouts, num_matched, np.concatenate(onsets), np.concatenate(offsets)


def _summarise(errors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median and 90th percentile of the size, and median with sign, of each list."""
    rows = [
        (np.median(abs(each)), np.percentile(abs(each), 90), np.median(each))
        if len(each)
        else (np.nan, np.nan, np.nan)
        for each in errors
    ]
    median, p90, shift = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return median, p90, shift
