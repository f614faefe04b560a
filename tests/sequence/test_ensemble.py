"""Ensembles: folds that nobody leaks from, and the mean of all logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from pixelethogram.errors import InputError
from pixelethogram.sequence.ensemble import (
    Ensemble,
    divide_folds,
    drop_between_folds,
    folds_from_dict,
    folds_to_dict,
    intersect,
)
from pixelethogram.sequence.models import MODELS
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.splits import Segment
from pixelethogram.toy import toy_bouts

BEHAVIORS = ("lick", "groom")


class Constant(nn.Module):
    """The same logit for every frame."""

    receptive_radius = 3

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        first = torch.full((*features.shape[:2], 2), 99.0)
        return [first, self.logit.expand(*features.shape[:2], 2)]


def wrap(network: nn.Module) -> NormalizedSequence:
    return NormalizedSequence(network, torch.zeros(4), torch.ones(4))


class TestEnsemble:
    def test_the_last_answers_of_the_members_are_averaged(self) -> None:
        ensemble = Ensemble([wrap(Constant(logit)) for logit in (-1.0, 0.0, 4.0)])
        answers = ensemble(torch.randn(2, 7, 4), torch.ones(2, 7, dtype=torch.bool))
        assert [tuple(each.shape) for each in answers] == [(2, 7, 2)]
        torch.testing.assert_close(answers[0], torch.ones(2, 7, 2))

    @pytest.mark.parametrize(("name", "radius"), [("tgm", 21), ("linear", 0), ("lstm", None)])
    def test_it_sees_as_far_as_a_member(self, name: str, radius: int | None) -> None:
        members = [wrap(MODELS[name]().build(4, 2)) for _ in range(2)]
        assert Ensemble(members).receptive_radius == radius

    def test_each_member_has_the_statistics_of_its_own_training_frames(self) -> None:
        linear = MODELS["linear"]().build(4, 2)
        members = [
            NormalizedSequence(linear, torch.full((4,), mean), torch.ones(4)) for mean in (0.0, 2.0)
        ]
        features, mask = torch.randn(1, 5, 4), torch.ones(1, 5, dtype=torch.bool)
        expected = (linear(features, mask)[0] + linear(features - 2, mask)[0]) / 2
        torch.testing.assert_close(Ensemble(members)(features, mask)[0], expected)

    def test_members_are_paired_with_the_folds_they_left_out(self) -> None:
        members = [wrap(Constant(logit)) for logit in (1.0, 2.0)]
        folds = [[Segment("a", 0, 5)], [Segment("b", 0, 5)]]
        assert Ensemble(members).pair(folds) == list(zip(members, folds, strict=True))
        with pytest.raises(ValueError, match="shorter"):
            Ensemble(members).pair(folds[:1])


def draw_labels(seed: int, videos: str, num_frames: int = 400) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        video: np.stack(
            [toy_bouts(generator, num_frames, (0, 1)) for _ in BEHAVIORS], axis=1
        ).astype(np.int8)
        for video in videos
    }


def divide(
    labels: dict[str, np.ndarray], segments: list[Segment], num_folds: int, guard_frames: int = 10
) -> list[list[Segment]]:
    return divide_folds(
        labels,
        segments,
        BEHAVIORS,
        num_folds=num_folds,
        guard_frames=guard_frames,
        block_frames=None,
        seed=0,
    )


def frames_of(segments: list[Segment]) -> list[tuple[str, int]]:
    return [(each.video, frame) for each in segments for frame in range(each.start, each.stop)]


def whole(labels: dict[str, np.ndarray]) -> list[Segment]:
    return [Segment(video, 0, len(values)) for video, values in labels.items()]


class TestFolds:
    @pytest.mark.parametrize("num_folds", [2, 3, 5])
    def test_whole_videos_stay_together(self, num_folds: int) -> None:
        labels = draw_labels(0, "abcdefg")
        folds = divide(labels, whole(labels), num_folds)
        assert len(folds) == num_folds
        found = [each for fold in folds for each in fold]
        assert len(found) == 7
        assert set(found) == set(whole(labels))

    @pytest.mark.parametrize("videos", ["a", "ab"])
    def test_too_few_videos_are_cut_into_blocks_with_guards_between(self, videos: str) -> None:
        labels = draw_labels(1, videos, 1200)
        folds = divide(labels, whole(labels), 3)
        owner = {frame: n for n, fold in enumerate(folds) for frame in frames_of(fold)}
        assert len(owner) == sum(len(frames_of(fold)) for fold in folds)
        assert len(owner) > 0.7 * 1200 * len(videos)
        for (video, frame), fold in owner.items():
            near = {owner.get((video, frame + step), fold) for step in range(-10, 11)}
            assert near == {fold}

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("videos", ["ab", "abcdef"])
    def test_every_fold_has_every_behavior_and_no_frame_from_outside(
        self, seed: int, videos: str
    ) -> None:
        labels = draw_labels(seed, videos, 900)
        segments = [Segment(v, start, start + 350) for v in videos for start in (0, 500)]
        inside = set(frames_of(segments))
        seen: set[tuple[str, int]] = set()
        for fold in divide(labels, segments, 3):
            frames = frames_of(fold)
            assert set(frames) <= inside - seen
            seen |= set(frames)
            stacked = np.array([labels[video][frame] for video, frame in frames])
            assert (stacked == 1).any(axis=0).all()

    def test_a_behavior_in_too_few_videos_makes_time_blocks_of_all(self) -> None:
        labels = draw_labels(3, "abcd", 900)
        for video in "bcd":
            labels[video][:, 1] = 0
        folds = divide(labels, whole(labels), 3)
        for fold in folds:
            assert any(labels[v][frame, 1] for v, frame in frames_of(fold))

    def test_labels_outside_of_the_segments_play_no_part(self) -> None:
        labels = draw_labels(4, "abcdef", 300)
        segments = [Segment(video, 0, 200) for video in "abcde"]
        folds = divide(labels, segments, 2)
        other = {**labels, "f": 1 - labels["f"]}
        for video in "abcde":
            other[video] = labels[video].copy()
            other[video][200:] = 0
        assert divide(other, segments, 2) == folds

    def test_the_same_labels_give_the_same_folds(self) -> None:
        labels = draw_labels(5, "abcdefgh")
        assert divide(labels, whole(labels), 4) == divide(labels, whole(labels), 4)

    def test_what_cannot_be_divided_says_what_to_change(self) -> None:
        labels = {"a": np.zeros((200, 2), np.int8)}
        labels["a"][::20, 0] = 1
        labels["a"][55, 1] = 1
        with pytest.raises(InputError, match="3 folds.*groom") as refusal:
            divide(labels, whole(labels), 3, guard_frames=0)
        assert "sequence.ensemble_folds" in str(refusal.value.do)

    def test_val_frames_between_folds_are_dropped_and_other_parts_stay(self) -> None:
        splits = {
            "train": [Segment("a", 0, 40)],
            "val": [Segment("a", 50, 100), Segment("new", 0, 9)],
            "test": [Segment("a", 110, 150)],
        }
        folds = [[Segment("a", 0, 55), Segment("a", 80, 100)], [Segment("a", 65, 75)]]
        assert drop_between_folds(splits, folds) == {
            **splits,
            "val": [
                *(Segment("a", 50, 55), Segment("a", 80, 100), Segment("a", 65, 75)),
                Segment("new", 0, 9),
            ],
        }
        assert drop_between_folds(splits, []) == splits

    def test_stretches_that_touch_have_nothing_in_common(self) -> None:
        some = [Segment("a", 0, 10), Segment("b", 0, 10)]
        others = [Segment("a", 10, 20), Segment("b", 5, 20), Segment("c", 0, 20)]
        assert intersect(some, others) == [Segment("b", 5, 10)]

    def test_folds_survive_a_file(self) -> None:
        folds = [[Segment("é 1", 0, 5), Segment("é 1", 9, 12)], [Segment("b", 3, 4)], []]
        assert folds_from_dict(yaml.safe_load(yaml.safe_dump(folds_to_dict(folds)))) == folds
