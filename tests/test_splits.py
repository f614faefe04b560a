"""Splits: hard layouts, guards, fixed videos, shares, and the words of refusals."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from pixelethogram.assignment import BALANCED_SOLVER, FEASIBLE_SOLVER
from pixelethogram.errors import InputError, ResourceError, UsageError
from pixelethogram.splits import Segment, Splits, hide_other_frames, solve_splits

Labels = dict[str, np.ndarray]


def make_videos(num_videos: int, num_behaviors: int, num_frames: int = 300) -> Labels:
    return {
        f"mouse_{video:02d}": np.zeros((num_frames, num_behaviors), dtype=np.int8)
        for video in range(num_videos)
    }


def make_random(seed: int, num_videos: int, num_behaviors: int, num_frames: int = 1000) -> Labels:
    """Bouts of random length all over, and unscored stretches at both ends."""
    generator = np.random.default_rng(seed)
    labels = make_videos(num_videos, num_behaviors, num_frames)
    for values in labels.values():
        for column in range(num_behaviors):
            for start in generator.integers(0, num_frames, num_frames // 50):
                values[start : start + generator.integers(2, 20), column] = 1
        values[: generator.integers(0, 30)] = -1
        values[num_frames - generator.integers(0, 30) :] = -1
    return labels


def name_behaviors(labels: Labels) -> list[str]:
    return [f"b{column}" for column in range(next(iter(labels.values())).shape[1])]


def counts(labels: Labels, splits: Splits, value: int) -> dict[str, np.ndarray]:
    return {
        part: sum(
            ((labels[s.video][s.start : s.stop] == value).sum(axis=0) for s in segments),
            start=np.zeros(next(iter(labels.values())).shape[1], dtype=int),
        )
        for part, segments in splits.items()
    }


def owners(labels: Labels, splits: Splits) -> dict[str, np.ndarray]:
    """Number of the part of each frame, −1 for none; fails if a frame has two."""
    owner = {video: np.full(len(values), -1) for video, values in labels.items()}
    for number, segments in enumerate(splits.values()):
        for segment in segments:
            stretch = owner[segment.video][segment.start : segment.stop]
            assert len(stretch) == segment.stop - segment.start > 0
            assert (stretch == -1).all()
            stretch[:] = number
    return owner


def make_triples(seed: int) -> tuple[Labels, list[list[int]]]:
    """Twenty videos, six behaviors, each in three random videos."""
    generator = np.random.default_rng(seed)
    labels = make_videos(20, 6, 120)
    triples = [generator.choice(20, 3, replace=False).tolist() for _ in range(6)]
    for column, videos in enumerate(triples):
        for video in videos:
            labels[f"mouse_{video:02d}"][10:30, column] = 1
    return labels, triples


def can_be_coloured(triples: list[list[int]], parts: dict[int, int] | None = None) -> bool:
    """Slow reference: try every way to give the videos of each triple three different parts."""
    if not triples:
        return True
    for order in itertools.permutations(range(3)):
        extended = dict(parts or {})
        fits = [extended.setdefault(v, p) == p for v, p in zip(triples[0], order, strict=True)]
        if all(fits) and can_be_coloured(triples[1:], extended):
            return True
    return False


def test_both_kinds_of_layout_are_met_below() -> None:
    assert [can_be_coloured(make_triples(seed)[1]) for seed in range(8)] == [False] + [True] * 7


@pytest.mark.parametrize("seed", range(8))
def test_behaviors_in_exactly_three_of_twenty_videos_are_in_every_part(seed: int) -> None:
    # a random 60/20/20 split has every behavior in every part once in 112,000 draws
    labels, triples = make_triples(seed)
    if not can_be_coloured(triples):
        with pytest.raises(InputError, match="gets none of them"):
            solve_splits(labels, name_behaviors(labels), seed=seed)
        return
    splits = solve_splits(labels, name_behaviors(labels), seed=seed)
    for part in ("train", "val", "test"):
        assert (counts(labels, splits, 1)[part] > 0).all()
        assert (counts(labels, splits, 0)[part] > 0).all()
    assert sorted(s.video for segments in splits.values() for s in segments) == sorted(labels)
    assert len(splits["train"]) in (11, 12, 13)


def test_a_chain_with_36_solutions_in_531441_is_solved() -> None:
    # the parts of the first three even and odd videos decide all others
    labels = make_videos(12, 8, 60)
    for column in range(8):
        for video in (column, column + 2, column + 4):
            labels[f"mouse_{video:02d}"][5:20, column] = 1
    splits = solve_splits(labels, name_behaviors(labels))
    assert all((positives > 0).all() for positives in counts(labels, splits, 1).values())


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_close_to_the_fractions(seed: int) -> None:
    labels = make_random(seed, 20, 4, 400)
    fractions = {"train": 0.6, "val": 0.2, "test": 0.2}
    splits = solve_splits(labels, name_behaviors(labels), seed=seed)
    positives = counts(labels, splits, 1)
    total = sum(positives.values())
    for part, fraction in fractions.items():
        np.testing.assert_allclose(positives[part] / total, fraction, atol=0.06)
        frames = sum(s.stop - s.start for s in splits[part])
        assert frames / (20 * 400) == pytest.approx(fraction, abs=0.06)


def test_two_hundred_videos_take_seconds() -> None:
    labels = make_random(0, 200, 10, 100)
    start = time.process_time()
    splits = solve_splits(labels, name_behaviors(labels))
    assert time.process_time() - start < 12  # about 1 s on an idle machine
    assert len(splits["train"]) == pytest.approx(120, abs=12)


def test_whole_videos_by_video_and_stretches_by_time() -> None:
    labels = make_random(0, 3, 2)
    splits = solve_splits(labels, ["a", "b"], by="auto")
    whole = {(s.video, s.start, s.stop) for segments in splits.values() for s in segments}
    assert whole == {(video, 0, 1000) for video in labels}
    pieces = solve_splits({"mouse_00": labels["mouse_00"]}, ["a", "b"], by="auto")
    assert {s.video for segments in pieces.values() for s in segments} == {"mouse_00"}
    assert all(pieces.values())


def test_unscored_videos_do_not_count_for_auto_and_get_no_part() -> None:
    labels = make_random(0, 2, 2)
    labels["unscored"] = np.full((100, 2), -1, dtype=np.int8)
    splits = solve_splits(labels, ["a", "b"])
    assert len([s for segments in splits.values() for s in segments]) > 2  # cut by time
    assert "unscored" not in {s.video for segments in splits.values() for s in segments}
    labels |= {"third": labels["mouse_00"]}
    assert sum(map(len, solve_splits(labels, ["a", "b"]).values())) == 3  # whole videos


@pytest.mark.parametrize("seed", range(20))
def test_frames_of_different_parts_are_further_apart_than_the_guard(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = make_random(seed, int(generator.integers(1, 3)), 2, 600)
    guard = int(generator.integers(0, 25))
    for values in labels.values():  # a hole that nobody scored
        hole = generator.integers(100, 500)
        values[hole : hole + generator.integers(1, 40)] = -1
    splits = solve_splits(
        labels, ["a", "b"], by="time", guard_frames=guard, block_frames=60, seed=seed
    )
    for owner in owners(labels, splits).values():
        frames = np.flatnonzero(owner >= 0)
        borders = np.flatnonzero(np.diff(owner[frames]))
        assert (np.diff(frames)[borders] > guard).all()
    for part in ("train", "val", "test"):
        assert (counts(labels, splits, 1)[part] > 0).all()


def test_the_guard_costs_no_more_than_itself() -> None:
    labels = {"mouse": make_random(1, 1, 2, 2000)["mouse_00"]}
    labels["mouse"][:] = np.maximum(labels["mouse"], 0)
    splits = solve_splits(labels, ["a", "b"], by="time", guard_frames=11)
    owner = owners(labels, splits)["mouse"]
    frames = np.flatnonzero(owner >= 0)
    assert set(np.diff(frames)[np.flatnonzero(np.diff(owner[frames]))]) == {12}
    num_borders = sum(map(len, splits.values())) - 1
    assert (owner < 0).sum() == 11 * num_borders


def test_tiny_blocks_and_a_large_guard_keep_their_distance() -> None:
    labels = {"mouse": np.tile(np.array([[0], [1]], dtype=np.int8), (120, 1))}
    for seed in range(4):
        splits = solve_splits(labels, ["a"], by="time", block_frames=12, guard_frames=10, seed=seed)
        for (one, first), (two, second) in itertools.combinations(splits.items(), 2):
            assert one != two
            for left, right in itertools.product(first, second):
                assert max(left.start, right.start) - min(left.stop, right.stop) >= 10


def test_neighbouring_blocks_of_one_part_are_one_segment() -> None:
    labels = make_random(3, 1, 1, 1200)
    splits = solve_splits(labels, ["a"], by="time")
    segments = sorted(
        (s.start, s.stop, part) for part, segments in splits.items() for s in segments
    )
    for before, after in itertools.pairwise(segments):
        assert before[2] != after[2] and before[1] <= after[0]
    assert len(segments) <= 12  # 24 blocks, borders cost


def test_by_time_blocks_hold_equally_many_scored_frames() -> None:
    # labels in the last tenth of a long video only
    values = np.full((5000, 1), -1, dtype=np.int8)
    values[4500:] = np.tile([[0], [0], [1], [1], [1]], (100, 1))
    splits = solve_splits({"mouse": values}, ["a"], by="time")
    frames = {part: sum(s.stop - s.start for s in segs) for part, segs in splits.items()}
    assert frames["train"] == pytest.approx(300, abs=45)
    assert frames["val"] == pytest.approx(100, abs=45)
    assert min(s.start for segments in splits.values() for s in segments) == 4500


@pytest.mark.parametrize("by", ["video", "time"])
def test_fixed_videos_keep_their_part(by: str) -> None:
    labels = make_random(0, 8, 2, 300)
    fixed = {"mouse_00": "test", "mouse_01": "test", "mouse_02": "test", "mouse_03": "val"}
    splits = solve_splits(labels, ["a", "b"], by=by, fixed=fixed, guard_frames=4)  # type: ignore[arg-type]
    for video, part in fixed.items():
        owner = owners(labels, splits)[video]
        assert set(owner[owner >= 0]) == {list(splits).index(part)}


def test_fixed_videos_may_use_a_part_that_gets_no_other() -> None:
    labels = make_random(0, 5, 1, 300)
    fractions = {"train": 0.7, "val": 0.3, "test": 0.0}
    splits = solve_splits(labels, ["a"], fractions=fractions, fixed={"mouse_02": "test"})
    assert [s.video for s in splits["test"]] == ["mouse_02"]


def test_a_part_without_a_share_gets_nothing_even_of_tiny_videos() -> None:
    labels = make_random(0, 80, 1, 50)
    fractions = {"train": 0.7, "val": 0.3, "test": 0.0}
    for seed in range(3):
        assert solve_splits(labels, ["a"], fractions=fractions, seed=seed)["test"] == []


def test_a_new_video_leaves_the_old_assignments_alone() -> None:
    labels = make_random(0, 6, 2, 300)
    old = {s.video: p for p, ss in solve_splits(labels, ["a", "b"]).items() for s in ss}
    labels["new"] = labels["mouse_00"]
    new = {s.video: p for p, ss in solve_splits(labels, ["a", "b"], fixed=old).items() for s in ss}
    assert {video: new[video] for video in old} == old and "new" in new


def test_the_same_seed_gives_the_same_split_and_others_differ() -> None:
    labels = make_random(0, 9, 2, 200)
    results = [solve_splits(labels, ["a", "b"], seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert results[0] == results[1]
    assert any(results[0] != other for other in results[2:])


def test_the_order_of_the_videos_does_not_matter() -> None:
    labels = make_random(0, 7, 2, 200)
    backwards = dict(reversed(list(labels.items())))
    assert solve_splits(labels, ["a", "b"]) == solve_splits(backwards, ["a", "b"])


def test_negatives_are_in_every_part_where_possible() -> None:
    # three of twelve videos hold the negatives; shares alone would not care
    labels = {f"v{number}": np.ones((100, 1), dtype=np.int8) for number in range(12)}
    for number in (2, 5, 7):
        labels[f"v{number}"][:3] = 0
    splits = solve_splits(labels, ["a"])
    assert all(negatives[0] > 0 for negatives in counts(labels, splits, 0).values())
    always = {f"v{number}": np.ones((100, 1), dtype=np.int8) for number in range(5)}
    assert all(solve_splits(always, ["a"]).values())


def test_partly_scored_columns_count_only_where_scored() -> None:
    # b was scored in three videos only, so each part gets one of them
    labels = make_videos(9, 2, 100)
    for number, values in enumerate(labels.values()):
        values[10:40, 0] = 1
        values[:, 1] = -1 if number % 3 else 0
        values[50:60, 1] = -1 if number % 3 else 1
    splits = solve_splits(labels, ["a", "b"])
    assert {part: positives[1] for part, positives in counts(labels, splits, 1).items()} == {
        "train": 10,
        "val": 10,
        "test": 10,
    }


def test_a_behavior_in_too_few_videos_is_named_with_its_videos() -> None:
    labels = make_videos(6, 2)
    for values in labels.values():
        values[10:50, 0] = 1
    labels["mouse_04"][5:9, 1] = 1
    with pytest.raises(InputError) as caught:
        solve_splits(labels, ["groom", "rear"])
    assert caught.value.what == (
        'Behavior "rear" occurs in 1 of 6 labelled videos (mouse_04). '
        "A split by video cannot test it."
    )
    assert caught.value.do == 'label one more video with "rear", or set split.by: time'
    labels["mouse_05"][5:9, 1] = 1
    with pytest.raises(InputError, match=r"2 of 6 labelled videos \(mouse_04, mouse_05\)"):
        solve_splits(labels, ["groom", "rear"])
    splits = solve_splits(labels, ["groom", "rear"], fractions={"train": 0.7, "val": 0.3})
    assert all(positives[1] > 0 for positives in counts(labels, splits, 1).values())


def test_a_behavior_in_too_few_blocks_is_named() -> None:
    labels = make_random(0, 1, 2, 1000)
    labels["mouse_00"][:, 1] = np.minimum(labels["mouse_00"][:, 1], 0)
    labels["mouse_00"][500:504, 1] = 1
    with pytest.raises(InputError) as caught:
        solve_splits(labels, ["groom", "rear"], by="time", block_frames=50)
    assert 'Behavior "rear" occurs in 1 of ' in caught.value.what
    assert "blocks (mouse_00). A split by time cannot test it." in caught.value.what
    assert "split.block_frames or split.guard_frames" in str(caught.value.do)


def test_a_guard_that_eats_the_blocks_is_refused() -> None:
    labels = make_random(0, 1, 1, 1000)
    with pytest.raises(InputError, match="split.guard_frames"):
        solve_splits(labels, ["a"], by="time", block_frames=50, guard_frames=200)


def test_a_behavior_that_occurs_nowhere_is_named_unless_allowed() -> None:
    labels = make_random(0, 4, 1, 200)
    wider = {video: np.pad(values, ((0, 0), (0, 1))) for video, values in labels.items()}
    with pytest.raises(InputError) as caught:
        solve_splits(wider, ["groom", "rear"])
    assert caught.value.what == 'Behavior "rear" occurs in none of 4 labelled videos.'
    assert caught.value.do == 'score "rear" in a video, or remove it from project.yaml'
    assert all(solve_splits(wider, ["groom", "rear"], allow_absent=True).values())


def test_demands_that_exclude_each_other_are_named() -> None:
    labels = make_random(0, 6, 1, 200)
    labels = {video: np.pad(values, ((0, 0), (0, 1))) for video, values in labels.items()}
    for video in ("mouse_01", "mouse_02", "mouse_03"):
        labels[video][100:120, 1] = 1
    fixed = {"mouse_01": "train", "mouse_02": "train"}
    with pytest.raises(InputError) as caught:
        solve_splits(labels, ["groom", "rear"], fixed=fixed)
    assert 'Behavior "rear" occurs in 3 of 6 labelled videos' in caught.value.what
    assert "gets none of them" in caught.value.what and "fixed" in str(caught.value.why)


def test_no_video_left_for_a_part_is_named() -> None:
    labels = make_videos(4, 1)
    fixed = {video: "train" for video in labels}
    with pytest.raises(InputError, match='No video is left for the part "(val|test)"'):
        solve_splits(labels, ["a"], fixed=fixed, allow_absent=True)


def test_too_few_videos_are_counted() -> None:
    labels = make_random(0, 2, 1, 200)
    with pytest.raises(InputError, match=r"2 labelled videos \(mouse_00, mouse_01\)"):
        solve_splits(labels, ["a"], by="video")
    with pytest.raises(InputError, match="No video has a scored frame"):
        solve_splits({"v": np.full((9, 1), -1, dtype=np.int8)}, ["a"])


@pytest.mark.parametrize(
    "settings",
    [
        {"fractions": {"train": 0.6, "val": 0.2}},
        {"fractions": {"train": 1.2, "val": -0.2}},
        {"fractions": {}},
        {"fixed": {"mouse_00": "exam"}},
        {"guard_frames": -1},
        {"block_frames": 0},
    ],
)
def test_settings_without_sense_are_refused(settings: dict) -> None:
    with pytest.raises(UsageError):
        solve_splits(make_random(0, 4, 1, 100), ["a"], **settings)


def test_labels_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="mouse_00"):
        solve_splits(make_random(0, 4, 2, 100), ["a"])


def test_an_exclusive_project_is_split_like_any_other() -> None:
    generator = np.random.default_rng(0)
    labels = {}
    for number in range(10):
        state = np.repeat(generator.integers(0, 4, 20), 15)
        labels[f"v{number}"] = (state[:, None] == np.arange(3)).astype(np.int8)
    splits = solve_splits(labels, ["a", "b", "c"])
    assert all((positives > 0).all() for positives in counts(labels, splits, 1).values())


def test_without_time_to_balance_every_part_still_has_every_behavior(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BALANCED_SOLVER, "time_limit", 0.0)
    labels, _ = make_triples(1)
    splits = solve_splits(labels, name_behaviors(labels))
    assert all((positives > 0).all() for positives in counts(labels, splits, 1).values())
    monkeypatch.setitem(FEASIBLE_SOLVER, "time_limit", 0.0)
    with pytest.raises(ResourceError, match="No split"):
        solve_splits(labels, name_behaviors(labels))


def test_a_segment_is_a_value() -> None:
    assert {Segment("v", 0, 3)} == {Segment("v", 0, 3)}


def test_frames_outside_of_the_stretches_become_unscored_and_the_labels_stay() -> None:
    labels = {"a": np.tile(np.array([[1, 0], [-1, 1]], np.int8), (15, 1)), "b": np.zeros((9, 2))}
    before = labels["a"].copy()
    segments = [Segment("a", 5, 9), Segment("a", 20, 22), Segment("gone", 0, 3)]
    hidden = hide_other_frames(labels, segments)
    assert list(hidden) == ["a"]
    kept = np.flatnonzero((hidden["a"] >= 0).any(axis=1))
    assert kept.tolist() == [5, 6, 7, 8, 20, 21]
    np.testing.assert_array_equal(hidden["a"][kept], labels["a"][kept])
    np.testing.assert_array_equal(labels["a"], before)
