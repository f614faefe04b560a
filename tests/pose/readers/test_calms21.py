"""Every layout of the challenge and of the release gives the same sequences; nothing is guessed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.pose.readers.calms21 import (
    SKELETON,
    can_read,
    read,
    read_sequences,
    share_of_swapped_sides,
)

VOCABULARY = ["attack", "investigation", "mount", "other"]
# a mouse that looks to the right: nose, ears, neck, hips, tail base; y points down
BODY = np.array([[30, 15, 15, 10, -15, -15, -30], [0, -8, 8, 0, -10, 10, 0]], dtype=float)


def two_mice(num_frames: int, seed: int = 0) -> np.ndarray:
    """(T, 2, 2, 7) keypoints of two mice that wander, turned any way."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * np.pi, (num_frames, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = random.uniform((100, 100), (924, 470), (num_frames, 2, 2))
    return np.einsum("ijtm,jp->tmip", turn, BODY) + centre[..., None]


def sequence(num_frames: int, seed: int, **more: Any) -> dict[str, Any]:
    annotations = np.arange(num_frames) % 4
    return {"keypoints": two_mice(num_frames, seed), "annotations": annotations, **more}


def save(content: Any, path: Path) -> Path:
    if path.suffix == ".npy":
        np.save(path, content)
    else:
        path.write_text(json.dumps(content, default=lambda array: array.tolist()), "utf-8")
    return path


def challenge() -> dict[str, Any]:
    sequences = {key: sequence(5 + n, n, annotator_id=n) for n, key in enumerate("ab")}
    return {"vocabulary": VOCABULARY, "sequences": sequences}


def release() -> dict[str, Any]:
    numbers = {name: number for number, name in enumerate(VOCABULARY)}
    return {
        f"annotator-id_{n}": {
            f"task1/train/mouse00{n}_task1_annotator1": sequence(
                5 + n, n, scores=np.full((5 + n, 2, 7), 0.75), metadata={"vocab": numbers}
            )
        }
        for n in range(2)
    }


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("content", [challenge(), release()], ids=["challenge", "release"])
def test_both_layouts_give_the_same_sequences(
    content: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    path = save(content, tmp_path / f"train{suffix}")
    assert can_read(path)
    found = read_sequences(path)
    assert [each.rater for each in found] == ["annotator 0", "annotator 1"]
    for number, each in enumerate(found):
        expected = two_mice(5 + number, number)
        np.testing.assert_allclose(
            each.pose.positions, expected.transpose(0, 1, 3, 2), rtol=0, atol=1e-4
        )
        assert each.annotations is not None
        assert each.annotations.tolist() == [n % 4 for n in range(5 + number)]
        assert (each.vocabulary, each.group) == (tuple(VOCABULARY), "")
        assert (each.pose.height, each.pose.width, each.pose.fps) == (570, 1024, 30.0)
    assert found[0].pose.confidence[0, 0, 0] == (0.75 if "annotator-id_0" in content else 1)


def test_names_are_those_of_folders(tmp_path: Path) -> None:
    path = save(release(), tmp_path / "train.npy")
    names = [name for name, _ in read(path, Facts())]
    assert names[0] == "task1_train_mouse000_task1_annotator1"
    assert read_sequences(path)[0].id == "task1/train/mouse000_task1_annotator1"


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_test_file_may_be_wrapped(wrapped: bool, tmp_path: Path) -> None:
    sequences = {"x": {"keypoints": two_mice(4), "annotator_id": 2}}
    path = save({"sequences": sequences} if wrapped else sequences, tmp_path / "test.npy")
    (found,) = read_sequences(path)
    assert (found.id, found.rater, found.annotations) == ("x", "annotator 2", None)
    assert can_read(path)


@pytest.mark.parametrize("inner", ["challenge", "release"])
@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_task_3_has_a_group_per_behavior(inner: str, suffix: str, tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    for name in ("approach", "groom"):
        if inner == "challenge":
            one = {"s": {"keypoints": two_mice(6), "annotations": [0, 0, 1, 1, 0, 1]}}
            content[name] = {"vocabulary": [name, "other"], "sequences": one}
        else:
            one = {
                f"task3/train/{name}": {
                    "keypoints": two_mice(6),
                    "annotations": [0, 0, 1, 1, 0, 1],
                    "metadata": {"vocab": {"other": 1, name: 0}},
                }
            }
            content[name] = one
    path = save(content, tmp_path / f"train{suffix}")
    assert can_read(path)
    found = read_sequences(path)
    assert [each.group for each in found] == ["approach", "groom"]
    assert [each.vocabulary for each in found] == [("approach", "other"), ("groom", "other")]
    assert [each.rater for each in found] == [None, None]


@pytest.mark.parametrize(
    "order",
    [(0, 3, 1, 2), (0, 1, 3, 2), (1, 0, 2, 3), (3, 1, 2, 0)],
    ids=["part-mouse-xy", "mouse-part-xy", "mouse-first", "part-first"],
)
def test_another_order_of_axes_is_refused_with_the_expected_one(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    path = save({"x": {"keypoints": two_mice(9).transpose(order)}}, tmp_path / "test.npy")
    with pytest.raises(InputError, match=r"expected \(frames, mouse, xy, part\) = \(T, 2, 2, 7\)"):
        read_sequences(path)


@pytest.mark.parametrize("wrong", ["mice and xy", "y before x", "another camera"])
def test_axes_of_the_same_size_that_changed_places_are_found_by_the_camera(
    wrong: str, tmp_path: Path
) -> None:
    keypoints = two_mice(200)
    keypoints = {
        "mice and xy": keypoints.transpose(0, 2, 1, 3),
        "y before x": keypoints[:, :, ::-1],
        "another camera": keypoints * 2,
    }[wrong]
    path = save({"x": {"keypoints": keypoints}}, tmp_path / "test.npy")
    with pytest.raises(InputError, match="x before y"):
        read_sequences(path)


def test_a_few_points_outside_of_the_picture_are_believed(tmp_path: Path) -> None:
    keypoints = two_mice(200)
    keypoints[0, 0, 1, 0] = 900
    path = save({"x": {"keypoints": keypoints}}, tmp_path / "test.npy")
    assert read_sequences(path)[0].pose.positions[0, 0, 0, 1] == 900


@pytest.mark.parametrize("swapped", [False, True])
def test_left_and_right_that_changed_places_are_told(
    swapped: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keypoints = two_mice(50)
    if swapped:
        keypoints = keypoints[..., list(SKELETON.mirror)]
    path = save({"x": {"keypoints": keypoints}}, tmp_path / "test.npy")
    with caplog.at_level(logging.WARNING):
        (found,) = read_sequences(path)
    assert ("left and right" in caplog.text) is swapped
    assert share_of_swapped_sides([found.pose]) == float(swapped)
    np.testing.assert_allclose(  # told, never mended
        found.pose.positions, keypoints.transpose(0, 1, 3, 2), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [0, 1]}, "one per frame"),
        ({"annotations": [0.0] * 5}, "whole numbers"),
        ({"annotations": [0, 1, 2, 3, 4]}, "from 0 to 4, the vocabulary has 4"),
        ({"annotations": [-1] * 5}, "from -1 to -1"),
        ({"keypoints": "none"}, "not numbers"),
    ],
)
def test_sequences_that_are_not_what_they_should_be_are_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    content = {"vocabulary": VOCABULARY, "sequences": {"bad": sequence(5, 0) | change}}
    path = save(content, tmp_path / "train.npy")
    with pytest.raises(InputError, match=message) as error:
        read_sequences(path)
    assert 'sequence "bad"' in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no sequence"),
        ([{"a": 1}], "holds a ndarray"),
        ({"a": 1}, "holds a int"),
        ({"a": {"b": {"scores": 1}}}, "has no keypoints"),
        ({"vocabulary": ["a", "a"], "sequences": {"x": sequence(5, 0)}}, "the vocabulary is"),
        ({"sequences": {"x": sequence(5, 0)}}, "no vocabulary"),
    ],
)
def test_other_content_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_sequences(save(content, tmp_path / "train.npy"))


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "mars.json").write_text('{"keypoints": [[[[1, 2]]]], "scores": [[[1]]]}')
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    for name in ("array.npy", "mars.json", "coco.json", "absent.npy", "absent.json", "a.csv"):
        assert not can_read(tmp_path / name), name
    with pytest.raises(InputError, match="not JSON"):
        (tmp_path / "broken.json").write_text("{")
        read_sequences(tmp_path / "broken.json")


def test_missing_points_stay_missing(tmp_path: Path) -> None:
    keypoints = two_mice(5)
    keypoints[2, 1, :, 4] = np.nan
    (found,) = read_sequences(save({"x": {"keypoints": keypoints}}, tmp_path / "test.npy"))
    assert np.argwhere(found.pose.missing).tolist() == [[2, 1, 4]]
