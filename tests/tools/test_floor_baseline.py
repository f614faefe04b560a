"""The floor to beat is measured honestly: nothing near the held-out frames is trained on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.toy import TOY_BEHAVIORS, make_toy_video


def table_of(tool: ModuleType, lengths: list[int], group: list[str]) -> object:
    """Rows of videos of these lengths, one group each, with labels and features that are 0."""
    num_rows = sum(lengths)
    return tool.Table(
        behaviors=("groom",),
        labels=np.zeros((num_rows, 1), np.int8),
        colours=np.zeros((num_rows, 128)),
        differences=np.zeros((num_rows, 18)),
        video=np.repeat(np.arange(len(lengths)), lengths),
        frame=np.concatenate([np.arange(length) for length in lengths]),
        group=np.repeat(np.array(group, dtype=object), lengths),
    )


def test_the_guard_reaches_so_many_frames_and_never_into_another_video(tool: ModuleType) -> None:
    table = table_of(tool, [10, 5], ["a", "b"])
    test = np.zeros(15, bool)
    test[[4, 9]] = True
    near = tool.near_to(table, test, guard_frames=2)
    assert np.flatnonzero(near).tolist() == [2, 3, 4, 5, 6, 7, 8, 9]


def test_every_frame_is_held_out_once_and_groups_stay_together(tool: ModuleType) -> None:
    table = table_of(tool, [4, 3, 2], ["a", "b", "a"])
    held_out = np.stack(list(tool.folds(table, np.ones(9, bool), None)))
    assert held_out.astype(int).tolist() == [
        [1, 1, 1, 1, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1, 1, 0, 0],
    ]


def test_a_picture_that_stays_has_no_differences_and_one_colour(tool: ModuleType) -> None:
    red = np.zeros((20, 48, 80, 3), np.uint8)
    red[..., 0] = 255
    colours, differences = tool.pixel_features(iter(red))
    assert np.all(differences == 0)
    assert np.all(colours[:, 48] == 1)  # bin 3·16 + 0·4 + 0
    assert np.all(np.delete(colours[:, :64], 48, axis=1) == 0)


def test_a_flash_is_felt_five_frames_around(tool: ModuleType) -> None:
    frames = np.zeros((30, 64, 64, 3), np.uint8)
    frames[15:] = 200
    _, differences = tool.pixel_features(iter(frames))
    assert np.flatnonzero(differences[:, 6:12].max(axis=1)).tolist() == list(range(10, 21))


def test_toy_stripes_are_found_by_colour(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        labels = make_toy_video(tmp_path / f"toy {seed}.mp4", seed, num_frames=120, size=32)
        write_csv(Ethogram(labels, TOY_BEHAVIORS, 30.0), tmp_path / f"toy {seed}.labels.csv")
    out = tmp_path / "scores.json"
    monkeypatch.setattr(
        tool, "CLASSIFIERS", {"trees": lambda: ExtraTreesClassifier(20, random_state=0)}
    )
    monkeypatch.setattr(sys, "argv", ["floor_baseline.py", str(tmp_path), "--json", str(out)])
    tool.main()
    scores = json.loads(out.read_text())
    assert scores["trees, colours"]["f1"][3] >= 0.9
    assert scores["always positive"]["recall"] == [1.0, 1.0, 1.0, 1.0]


def test_a_folder_without_labels_says_what_to_put_there(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="labels.csv"):
        tool.find_labelled_videos(tmp_path)
