"""What a sequence model is trained on: cached features and labels of stretches of video.

Where the network has a head for each rater, the labels stand in the columns of their raters. Every
training of a sequence model gets its data here, the learning curve's included.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pixelethogram.cached_features import read_features
from pixelethogram.config import SequenceConfig
from pixelethogram.progress import Progress
from pixelethogram.project import Project
from pixelethogram.runs import Run
from pixelethogram.sequence.heads import has_rater_heads, spread_labels
from pixelethogram.sequence.train import SequenceData, Stretch
from pixelethogram.splits import Segment

LEARNED_PARTS = ("train", "val")


@dataclasses.dataclass(frozen=True)
class LearningMaterial:
    """Labelled videos with features, from which trainings take stretches.

    Args:
        project: Of the videos.
        features_run: Where their features come from.
        labels: Video -> (T, K), or (T, R · K) where each of R raters has a head.
        raters: With a head each; empty where one head answers for all.
    """

    project: Project
    features_run: Run
    labels: Mapping[str, np.ndarray]
    raters: tuple[str, ...]

    def read(self, segments: Sequence[Segment]) -> list[Stretch]:
        """Features and labels of the segments of labelled videos."""
        return [
            (
                read_features(
                    self.project.video(each.video),
                    self.features_run,
                    "features",
                    each.start,
                    each.stop,
                ),
                self.labels[each.video][each.start : each.stop],
            )
            for each in segments
            if each.video in self.labels
        ]

    def join(self, train: Sequence[Stretch], val: Sequence[Stretch]) -> SequenceData:
        """Data of a training from what was read."""
        project = self.project
        return SequenceData(train, val, project.behaviors, project.exclusive, self.raters)

    def read_parts(self, splits: Mapping[str, Sequence[Segment]]) -> SequenceData:
        """Data of the training of one model on train, chosen on val."""
        train, val = (self.read(splits[part]) for part in LEARNED_PARTS)
        return self.join(train, val)


def open_material(
    project: Project,
    features_run: Run,
    settings: SequenceConfig,
    labels: Mapping[str, np.ndarray],
    splits: Mapping[str, Sequence[Segment]],
    progress: Progress,
) -> LearningMaterial:
    """Find the raters to learn from, and put labels into their columns.

    Args:
        project: Of the videos.
        features_run: Whose features they have.
        settings: Of the network, which may have a head for each rater.
        labels: Video -> (T, K), 1 / 0 / -1.
        splits: Its train and val are learned from.
        progress: Told whose labels are not.
    """
    raters = _find_raters(project, settings, labels, splits, progress)
    if raters:
        labels = {
            name: spread_labels(values, project.video(name).rater, raters)
            for name, values in labels.items()
        }
    return LearningMaterial(project, features_run, labels, raters)


def _find_raters(
    project: Project,
    settings: SequenceConfig,
    labels: Mapping[str, np.ndarray],
    splits: Mapping[str, Sequence[Segment]],
    progress: Progress,
) -> tuple[str, ...]:
    """Raters of the videos to learn from, where the network has a head for each; else nobody."""
    if not has_rater_heads(settings):
        return ()
    learned = {each.video for part in LEARNED_PARTS for each in splits[part]}
    found = {project.video(name).rater for name in labels if name in learned}
    if strange := sorted({video.rater for video in project.videos()} - found):
        progress.message(
            f"no labels of {', '.join(strange)} are learned from: the head of {min(found)} "
            "stands in"
        )
    return tuple(sorted(found)) if len(found) > 1 else ()
