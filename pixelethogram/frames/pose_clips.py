"""Clips of drawn poses, drawn when they are asked for, so that the pose can be changed before.

A proxy holds frames that are drawn once; here every training clip is drawn anew, of keypoints that
were turned, mirrored, scaled, shifted or made to tremble. Only the frames that a network sees are
drawn; a flow made of keypoints needs none.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pixelethogram.config import PoseAugmentConfig
from pixelethogram.frames.clips import clip_indices
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.frames.statistics import STRIDE, Statistics, measure_colors, pool_statistics
from pixelethogram.pose.augment import Change, draw_change

COLOR_FRAMES = 50  # of each recording, at most
STILL = Change()


class PoseClips(Dataset[dict[str, Tensor]]):
    """Clips of chosen frames, drawn from poses.

    Args:
        recordings: Each with all of its frames.
        samples: (recording number, frame) of every item.
        length: Frames per clip, L.
        labels: (T, K) per recording.
        spacing: Frames of the recording from one frame of a clip to the next.
        augment: How clips are changed at random, from torch's random numbers; None: not at all.
        with_rows: Give the numbers that `PoseFlow` makes the flow of.

    Items: "clip" (l, H, W, 3) uint8, l = L or, with `with_length(1)`, the frame itself; "labels"
    (K,) int8; with rows "pose" (L, D) float32, always of all frames.
    """

    def __init__(
        self,
        recordings: Sequence[DrawnPose],
        samples: Sequence[tuple[int, int]],
        length: int,
        labels: Sequence[np.ndarray],
        *,
        spacing: int = 1,
        augment: PoseAugmentConfig | None = None,
        with_rows: bool = True,
    ) -> None:
        self._recordings, self._samples = list(recordings), list(samples)
        self._length = self._drawn = length
        self._labels, self._spacing = labels, spacing
        self._augment, self._with_rows = augment, with_rows

    def with_length(self, length: int) -> PoseClips:
        """The same items with so many frames drawn around the middle of the clip."""
        shorter = copy.copy(self)
        shorter._drawn = length
        return shorter

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        video, frame = self._samples[index]
        recording = self._recordings[video]
        frames = clip_indices(frame, recording.num_frames, self._length, self._spacing)
        generator = np.random.default_rng(int(torch.randint(2**31, ())) if self._augment else 0)
        change = STILL
        if self._augment:
            animals = recording.layout.num_animals
            change = draw_change(generator, animals=animals, **self._augment.model_dump())
        clip = recording.take(frames, change, generator)
        first = self._length // 2 - self._drawn // 2
        item = {
            "clip": torch.from_numpy(clip.read(range(first, first + self._drawn))),
            "labels": torch.from_numpy(self._labels[video][frame].copy()),
        }
        return {**item, "pose": torch.from_numpy(clip.rows)} if self._with_rows else item


def sample_colors(recordings: Sequence[DrawnPose]) -> Statistics:
    """Colors of drawn frames, from a few of each recording."""
    return pool_statistics(
        measure_colors(
            each.read(range(0, each.num_frames, max(STRIDE, each.num_frames // COLOR_FRAMES)))
        )
        for each in recordings
    )
