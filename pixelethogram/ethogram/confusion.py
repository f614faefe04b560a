"""Which behaviors are taken for which: confusion where they exclude each other, else co-occurrence.

Comes in: labels and boolean predictions. Goes out: counts of frames. Frames nobody scored (−1)
never count.
"""

from __future__ import annotations

import numpy as np

from pixelethogram.ethogram.segments import to_states


def count_confusion(labels: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Frames per labelled (row) and predicted (column) behavior, where at most one is present.

    Args:
        labels: (N, K) int8; 1 present, 0 absent, −1 not scored.
        present: (N, K) bool.

    Returns:
        (K + 1, K + 1) int over frames scored for all behaviors; the last is "none of them".
    """
    scored = (labels >= 0).all(axis=1)
    num_states = labels.shape[1] + 1
    pairs = to_states(labels[scored] == 1) * num_states + to_states(present[scored])
    return np.bincount(pairs, minlength=num_states**2).reshape(num_states, num_states)


def count_co_occurrence(labels: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Frames with labelled behavior (row) and predicted behavior (column), scored for both.

    Args:
        labels: (N, K) int8; 1 present, 0 absent, −1 not scored.
        present: (N, K) bool.

    Returns:
        (K, K) int; the diagonal holds true positives.
    """
    found = ((labels >= 0) & present.astype(bool)).astype(np.float64)
    return np.rint((labels == 1).astype(np.float64).T @ found).astype(np.int64)
