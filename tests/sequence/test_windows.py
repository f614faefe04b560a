"""Windows for training and chunks for prediction cover every frame exactly once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pixelethogram.sequence.models import MODELS
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.windows import (
    WindowDataset,
    chunk_bounds,
    predict_in_chunks,
    window_starts,
)


@given(st.integers(1, 500), st.integers(1, 60))
def test_tiles_hold_each_frame_once(num_frames: int, window: int) -> None:
    starts = window_starts(num_frames, window, jitter=False)
    assert all(len(possible) == 1 for possible in starts)
    frames = [f for (start,) in starts for f in range(start, min(start + window, num_frames))]
    assert frames == list(range(num_frames))


@given(st.integers(1, 600), st.integers(20, 60))
def test_with_jitter_every_frame_is_expected_equally_often(num_frames: int, window: int) -> None:
    expected = np.zeros(num_frames)
    for possible in window_starts(num_frames, window, jitter=True):
        for start in possible:
            assert start < num_frames
            expected[max(0, start) : start + window] += 1 / len(possible)
    assert 0.75 < expected.min() <= expected.max() < 1.35
    assert expected.max() / expected.min() < 1.1


def stretch(num_frames: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that say which frame they belong to."""
    features = np.repeat(np.arange(first, first + num_frames)[:, None], 2, axis=1)
    return features.astype(np.float16), np.ones((num_frames, 3), dtype=np.int8)


def real_frames(dataset: WindowDataset) -> list[int]:
    items = [dataset[index] for index in range(len(dataset))]
    return [int(frame) for item in items for frame in item["features"][item["mask"]][:, 0]]


def test_without_jitter_a_round_holds_each_frame_once() -> None:
    dataset = WindowDataset([stretch(23), stretch(7, first=100)], window=5)
    assert real_frames(dataset) == [*range(23), *range(100, 107)]


def test_jitter_moves_the_windows_but_not_their_number() -> None:
    dataset = WindowDataset([stretch(101), stretch(7, first=200)], window=20, jitter=True)
    firsts = {int(dataset[2]["features"][0, 0]) for _ in range(60)}
    assert len(firsts) > 10
    seen = set()
    for _ in range(100):
        for index in range(len(dataset)):
            item = dataset[index]
            frames = item["features"][item["mask"]][:, 0].tolist()
            assert frames == list(range(int(frames[0]), int(frames[0]) + len(frames)))
            seen.update(frames)
    assert seen == {*range(101), *range(200, 207)}


def test_the_same_random_numbers_give_the_same_windows() -> None:
    rounds = []
    for _ in range(2):
        torch.manual_seed(7)
        rounds.append(real_frames(WindowDataset([stretch(100)], window=20, jitter=True)))
    assert rounds[0] == rounds[1]


def test_a_window_is_padded_at_its_end() -> None:
    item = WindowDataset([stretch(3), stretch(9)], window=5)[0]
    assert item["mask"].tolist() == [True, True, True, False, False]
    assert item["features"][:, 0].tolist() == [0, 1, 2, 0, 0]
    assert item["labels"][:, 0].tolist() == [1, 1, 1, -1, -1]
    types = {name: value.dtype for name, value in item.items()}
    assert types == {"features": torch.float32, "mask": torch.bool, "labels": torch.int8}


@pytest.mark.parametrize("jitter", [False, True])
def test_where_all_stretches_are_shorter_the_longest_is_not_padded(jitter: bool) -> None:
    dataset = WindowDataset([stretch(3), stretch(7, first=100)], window=1024, jitter=jitter)
    assert [len(dataset[index]["mask"]) for index in range(2)] == [7, 7]
    assert real_frames(dataset) == [*range(3), *range(100, 107)]


def test_windows_nobody_scored_are_left_out() -> None:
    features, labels = stretch(20)
    labels[5:15] = -1
    labels[7, 1] = 0
    dataset = WindowDataset([(features, labels)], window=5)
    assert real_frames(dataset) == [*range(10), *range(15, 20)]


def test_features_and_labels_of_different_length_are_refused() -> None:
    features, labels = stretch(10)
    with pytest.raises(ValueError, match=r"\(10, 2\).*\(9, 3\)"):
        WindowDataset([(features, labels[:9])], window=5)


@given(st.integers(1, 500), st.integers(1, 80), st.integers(0, 40))
def test_chunks_keep_each_frame_once_with_full_context(
    num_frames: int, chunk: int, radius: int
) -> None:
    kept = []
    for read_start, read_stop, keep_start, keep_stop in chunk_bounds(num_frames, chunk, radius):
        kept += range(keep_start, keep_stop)
        assert read_start == max(0, keep_start - radius)
        assert read_stop == min(num_frames, keep_stop + radius)
    assert kept == list(range(num_frames))


def build(name: str, **settings: object) -> NormalizedSequence:
    network = MODELS[name](**settings).build(6, 3)
    return NormalizedSequence(network, torch.zeros(6), torch.ones(6)).eval()


def whole(model: NormalizedSequence, features: np.ndarray) -> np.ndarray:
    mask = torch.ones(1, len(features), dtype=torch.bool)
    with torch.inference_mode():
        return model(torch.from_numpy(features)[None], mask)[-1][0].numpy()


SHALLOW: dict[str, object] = {"hidden": 8, "num_layers": 4}
CUT: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in MODELS if name not in ("mstcn", "mstcn2", "asformer")),
    ("tgm", {"kernel": "cauchy"}),
    ("tgm", {"compatible": True}),
    ("conv1d", {"causal": True}),
    ("mstcn", SHALLOW),
    ("mstcn", {**SHALLOW, "causal": True}),
    ("mstcn2", {**SHALLOW, "num_first_layers": 5}),
    ("asformer", SHALLOW),
]


@pytest.mark.parametrize(("name", "settings"), CUT)
@pytest.mark.parametrize("chunk", [37, 180])
def test_chunks_with_overlap_equal_the_whole_video(
    name: str, settings: dict[str, object], chunk: int
) -> None:
    model = build(name, **settings)
    features = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    chunked = predict_in_chunks(model, lambda start, stop: features[start:stop], 500, chunk=chunk)
    np.testing.assert_allclose(chunked, whole(model, features), atol=1e-5)
    assert chunked.dtype == np.float32


@pytest.mark.parametrize("name", ["mstcn", "mstcn2"])
def test_at_full_depth_too(name: str) -> None:
    model = build(name, hidden=8)
    radius = model.receptive_radius
    assert radius is not None
    num_frames = 3 * radius
    features = np.random.default_rng(0).normal(size=(num_frames, 6)).astype(np.float32)
    chunked = predict_in_chunks(
        model, lambda start, stop: features[start:stop], num_frames, chunk=radius // 2
    )
    np.testing.assert_allclose(chunked, whole(model, features), atol=1e-5)


def test_chunks_without_overlap_differ_from_the_whole_video() -> None:
    model = build("tgm", kernel="cauchy")
    features = np.random.default_rng(0).normal(size=(700, 6)).astype(np.float32)
    parts = [whole(model, features[start : start + 180]) for start in range(0, 700, 180)]
    difference = np.abs(np.concatenate(parts) - whole(model, features)).max(axis=1)
    assert difference[165:195].max() > 1e-3
    assert difference[30:150].max() < 1e-5


def test_a_model_without_finite_radius_sees_the_whole_video() -> None:
    model = build("lstm", hidden=4)
    features = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    reads = []

    def read(start: int, stop: int) -> np.ndarray:
        reads.append((start, stop))
        return features[start:stop]

    chunked = predict_in_chunks(model, read, 60, chunk=10)
    assert reads == [(0, 60)]
    np.testing.assert_allclose(chunked, whole(model, features), atol=1e-6)


def test_a_wide_model_reads_little_more_than_it_keeps() -> None:
    class Wide(nn.Module):
        receptive_radius = 5000

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, features: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
            return [self.scale * features]

    reads: list[int] = []

    def read(start: int, stop: int) -> np.ndarray:
        reads.append(stop - start)
        return np.ones((stop - start, 1), np.float32)

    predict_in_chunks(Wide().eval(), read, 100_000)
    assert max(reads) == 20_000 + 2 * 5000
    assert sum(reads) <= 1.5 * 100_000


def test_half_precision_features_are_read_as_they_are_stored() -> None:
    model = build("linear")
    features = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float16)
    chunked = predict_in_chunks(model, lambda start, stop: features[start:stop], 50, chunk=7)
    np.testing.assert_allclose(chunked, whole(model, features.astype(np.float32)), atol=1e-6)


def test_the_last_refinement_is_the_prediction() -> None:
    class Refining(nn.Module):
        receptive_radius = 0

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, features: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
            return [features, self.scale * features]

    logits = predict_in_chunks(Refining().eval(), lambda a, b: np.ones((b - a, 2)), 3)
    assert logits.tolist() == [[2, 2]] * 3


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="eval"):
        predict_in_chunks(build("linear").train(), lambda a, b: np.ones((b - a, 6)), 3)
