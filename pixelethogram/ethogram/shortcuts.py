"""What can be told about labels without seeing any behavior: baselines that know only the video.

Comes in: facts about each video (brightness, camera, its empty scene) and how often each behavior
was labelled there. Goes out: how well such facts alone rank the frames of videos they have not
seen. Where they do, a good score of a model may come from the camera and not from the animal.

One video is left out at a time; a ridge regression on the others predicts how often the behavior is
present in it. All frames of the video get that number. Chance: the labels are dealt out to other
videos, and the best result over all behaviors and baselines is kept, so that testing many does not
make alarms (Westfall and Young 1993).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge

MIN_VIDEOS = 6
REPETITIONS = 500


@dataclass(frozen=True, eq=False)
class Shortcuts:
    """What each of B baselines reaches for K behaviors.

    Args:
        baselines: The B names.
        auroc: (B, K) float; 0.5 is chance, NaN where a behavior is always or never present.
        p_value: (B, K) float; share of dealt-out labels whose best baseline reaches as much.
    """

    baselines: tuple[str, ...]
    auroc: np.ndarray
    p_value: np.ndarray


def ask_baselines(
    facts: Mapping[str, np.ndarray],
    positives: np.ndarray,
    negatives: np.ndarray,
    *,
    repetitions: int = REPETITIONS,
    seed: int = 0,
) -> Shortcuts:
    """Ask every baseline.

    Args:
        facts: Baseline -> (V, D) float, what it knows of each video.
        positives: (V, K) int, scored frames with the behavior.
        negatives: (V, K) int, scored frames without it.
        repetitions: How often the labels are dealt out.
        seed: Of that.

    Raises:
        ValueError: Fewer than MIN_VIDEOS videos.
    """
    if len(positives) < MIN_VIDEOS:
        raise ValueError(f"{len(positives)} videos, at least {MIN_VIDEOS} are needed")
    operators = [leave_one_out(each) for each in facts.values()]
    auroc = _ask(operators, positives, negatives)
    generator = np.random.default_rng(seed)
    best = np.empty(repetitions)
    for repetition in range(repetitions):
        deal = generator.permutation(len(positives))
        best[repetition] = np.nanmax(_ask(operators, positives[deal], negatives[deal]), initial=0.0)
    reached = (best[:, None, None] >= auroc - 1e-12).sum(axis=0)
    p_value = np.where(np.isnan(auroc), np.nan, (1 + reached) / (1 + repetitions))
    return Shortcuts(tuple(facts), auroc, p_value)


def leave_one_out(facts: np.ndarray) -> np.ndarray:
    """(V, V) weights W: what is predicted for each video from the values y of the others is W y.

    Args:
        facts: (V, D) float. Columns are brought to the same spread; constant ones say nothing.
    """
    spread = facts.std(axis=0)
    varying = spread > 1e-12
    scaled = (facts[:, varying] - facts[:, varying].mean(axis=0)) / spread[varying]
    scaled /= max(np.sqrt(varying.sum()), 1)
    number = len(facts)
    weights = np.full((number, number), 1 / (number - 1))
    np.fill_diagonal(weights, 0)
    if not varying.any():
        return weights
    each = np.eye(number)
    for video in range(number):
        others = np.arange(number) != video
        model = Ridge(alpha=1.0).fit(scaled[others], each[others])
        weights[video] = model.predict(scaled[[video]])[0]
    return weights


def auroc_of_videos(scores: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """AUROC (K,) over all frames, when all frames of a video have the same score.

    Args:
        scores: (V, K) float.
        positives: (V, K) int, frames with the behavior.
        negatives: (V, K) int, frames without it.
    """
    higher = (scores[:, None] > scores[None]) + 0.5 * (scores[:, None] == scores[None])
    wins = np.einsum("vk,vwk,wk->k", positives.astype(float), higher, negatives.astype(float))
    pairs = positives.sum(axis=0, dtype=float) * negatives.sum(axis=0, dtype=float)
    return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def within_auroc(labels: list[np.ndarray], probabilities: list[np.ndarray]) -> np.ndarray:
    """AUROC (K,) of a model inside of single videos, where no fact about the video can help.

    Args:
        labels: One (T, K) int8 array per video; 1 present, 0 absent, −1 not scored.
        probabilities: One (T, K) float array per video.

    Returns:
        Mean over videos, weighted by their pairs of a frame with and one without the behavior; NaN
        where no video has both.
    """
    from sklearn.metrics import roc_auc_score

    num_behaviors = labels[0].shape[1]
    wins, pairs = np.zeros(num_behaviors), np.zeros(num_behaviors)
    for truth, guess in zip(labels, probabilities, strict=True):
        for column in range(num_behaviors):
            scored = truth[:, column] >= 0
            present = truth[scored, column] == 1
            weight = float(present.sum()) * float((~present).sum())
            if weight:
                wins[column] += weight * roc_auc_score(present, guess[scored, column])
                pairs[column] += weight
    return np.divide(wins, pairs, out=np.full(num_behaviors, np.nan), where=pairs > 0)


def _ask(operators: list[np.ndarray], positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """AUROC (B, K) of each baseline."""
    scored = positives + negatives
    mean = positives.sum(axis=0) / np.maximum(scored.sum(axis=0), 1)
    shares = np.where(scored > 0, positives / np.maximum(scored, 1), mean)
    return np.stack(
        [auroc_of_videos(operator @ shares, positives, negatives) for operator in operators]
    )
