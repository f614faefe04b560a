"""Clips: the frames around each frame, edges repeated."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from pixelethogram.frames.clips import (
    ClipDataset,
    clip_indices,
    fixed_offset,
    stretch_indices,
)
from pixelethogram.frames.proxy import build_proxy
from pixelethogram.progress import SilentProgress


class Recording:
    """Frames whose every value is their number."""

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames

    def iterate(self) -> Iterator[np.ndarray]:
        return (np.full((8, 10, 3), number, np.uint8) for number in range(self.num_frames))


@given(st.integers(1, 40), st.integers(1, 15), st.integers(1, 4), st.data())
def test_a_clip_is_centred_and_stays_in_the_video(
    num_frames: int, length: int, spacing: int, data: st.DataObject
) -> None:
    frame = data.draw(st.integers(0, num_frames - 1))
    indices = clip_indices(frame, num_frames, length, spacing)
    slow = [
        min(max(frame + spacing * offset, 0), num_frames - 1)
        for offset in range(-(length // 2), length - length // 2)
    ]
    assert indices.tolist() == slow
    assert indices[length // 2] == frame
    assert indices.dtype == np.int64


def test_inner_clips_equal_the_reference_windows(golden: Path) -> None:
    windows = np.load(golden / "clip_windows.npz")
    num_frames = int(windows["n_frames"])
    reference = windows["inference_window_workers0"]
    length = reference.shape[1]
    compared = 0
    for frame in range(num_frames):
        indices = clip_indices(frame, num_frames, length)
        inside = reference[frame] >= 0  # blank pictures at the edges are repeated frames here
        np.testing.assert_array_equal(indices[inside], reference[frame][inside])
        assert set(indices[~inside].tolist()) <= {0, num_frames - 1}
        compared += int(inside.sum())
    assert compared > num_frames * length * 0.8


@pytest.fixture
def proxies(tmp_path: Path) -> list[Path]:
    """Two recordings, of 20 and of 3 frames."""
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path, num_frames in zip(paths, (20, 3), strict=True):
        build_proxy(Recording(num_frames), path, 8, 10, "stretch", SilentProgress())  # type: ignore[arg-type]
    return paths


def test_items_are_the_clips_asked_for(proxies: list[Path]) -> None:
    labels = [np.arange(40, dtype=np.int8).reshape(20, 2), -np.ones((3, 2), np.int8)]
    samples = [(0, 7), (1, 0), (0, 19), (0, 7)]
    dataset = ClipDataset(proxies, samples, 5, labels)
    assert len(dataset) == 4
    shown = [dataset[index]["clip"][:, 0, 0, 0].tolist() for index in range(4)]
    assert shown == [[5, 6, 7, 8, 9], [0, 0, 0, 1, 2], [17, 18, 19, 19, 19], [5, 6, 7, 8, 9]]
    item = dataset[0]
    assert item["clip"].shape == (5, 8, 10, 3)
    assert item["clip"].dtype == torch.uint8
    assert item["labels"].tolist() == [14, 15]
    assert item["labels"].dtype == torch.int8
    assert dataset[1]["labels"].tolist() == [-1, -1]


def test_frames_of_a_clip_can_lie_apart(proxies: list[Path]) -> None:
    dataset = ClipDataset(proxies, [(0, 7), (0, 18)], 5, spacing=3)
    shown = [dataset[index]["clip"][:, 0, 0, 0].tolist() for index in range(2)]
    assert shown == [[1, 4, 7, 10, 13], [12, 15, 18, 19, 19]]


def test_without_labels_an_item_is_a_clip(proxies: list[Path]) -> None:
    assert set(ClipDataset(proxies, [(0, 0)], 11)[0]) == {"clip"}


def test_changing_an_item_changes_no_label(proxies: list[Path]) -> None:
    labels = [np.zeros((20, 2), np.int8), np.zeros((3, 2), np.int8)]
    ClipDataset(proxies, [(0, 4)], 3, labels)[0]["labels"].fill_(1)
    assert not labels[0].any()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_the_same_in_worker_processes(proxies: list[Path], num_workers: int) -> None:
    samples = [(0, frame) for frame in range(20)] + [(1, frame) for frame in range(3)]
    dataset = ClipDataset(proxies, samples, 3)
    dataset[0]  # the files are open before the processes start
    batches = list(DataLoader(dataset, batch_size=4, num_workers=num_workers))
    centres = torch.cat([batch["clip"][:, 1, 0, 0, 0] for batch in batches])
    assert centres.tolist() == [*range(20), 0, 1, 2]


def test_a_dataset_can_be_sent_to_another_process(proxies: list[Path]) -> None:
    dataset = ClipDataset(proxies, [(1, 1)], 3)
    again = pickle.loads(pickle.dumps(dataset))
    assert again[0]["clip"][:, 0, 0, 0].tolist() == [0, 1, 2]


def test_a_dataset_of_length_one_reads_only_the_frame_itself(proxies: list[Path]) -> None:
    dataset = ClipDataset(proxies, [(0, 4)], 5)
    shorter = dataset.with_length(1)
    assert shorter[0]["clip"].equal(dataset[0]["clip"][2:3])
    assert len(dataset[0]["clip"]) == 5


@given(
    frame=st.integers(0, 29),
    length=st.integers(2, 13),
    offset=st.integers(0, 11),
    spacing=st.integers(1, 4),
)
def test_a_stretch_holds_the_clip_of_its_frame_at_the_offset(
    frame: int, length: int, offset: int, spacing: int
) -> None:
    offset %= length - 1
    stretch = stretch_indices(frame, 30, length, offset, spacing)
    assert len(stretch) == 2 * length - 1
    own = stretch[offset : offset + length]
    assert own.tolist() == clip_indices(frame, 30, length, spacing).tolist()


@given(frame=st.integers(0, 200), length=st.integers(2, 13), spacing=st.integers(1, 4))
def test_stretches_of_the_same_clips_begin_at_the_same_frame(
    frame: int, length: int, spacing: int
) -> None:
    """Clips lie end to end: a stretch starts at a whole number of clips from its lane's start."""
    offset = fixed_offset(frame, length, spacing)
    start = frame - spacing * (length // 2 + offset)
    lane = frame % spacing
    assert (start - lane + spacing * (length // 2)) % (spacing * (length - 1)) == 0


def test_stretches_come_with_their_offset(proxies: list[Path]) -> None:
    dataset = ClipDataset(proxies, [(0, 7), (0, 10)], 5, offsets="fixed")
    assert [int(dataset[index]["offset"]) for index in range(2)] == [3, 2]
    shown = [dataset[index]["clip"][:, 0, 0, 0].tolist() for index in range(2)]
    assert shown == [list(range(2, 11)), list(range(6, 15))]
    random = ClipDataset(proxies, [(0, 9)], 5, offsets="random")
    for _ in range(20):
        item = random[0]
        begin = int(item["offset"])
        assert item["clip"][begin : begin + 5, 0, 0, 0].tolist() == [7, 8, 9, 10, 11]
    assert {int(random[0]["offset"]) for _ in range(100)} == {0, 1, 2, 3}


def test_a_stretch_cut_to_one_frame_is_that_frame(proxies: list[Path]) -> None:
    single = ClipDataset(proxies, [(0, 9)], 5, offsets="random").with_length(1)[0]
    assert single["clip"][:, 0, 0, 0].tolist() == [9]
    assert set(single) == {"clip"}
