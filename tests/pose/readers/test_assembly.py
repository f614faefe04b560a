"""What all readers share: facts from elsewhere, and warnings and refusals with a remedy."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.readers.assembly import Facts, build_pose, read_size

PARTS = ("nose", "left_ear", "right_ear", "tail_base")


def build(points: np.ndarray, facts: Facts, parts: tuple[str, ...] = PARTS) -> Pose:
    path = Path("some.csv")
    return build_pose(path, points, None, keypoints=parts, individuals=("a", "b"), facts=facts)


def test_size_and_rate_must_be_known(points: np.ndarray) -> None:
    for facts in (Facts(None, 200, 300), Facts(30.0, None, 300), Facts()):
        with pytest.raises(UsageError, match=r"some\.csv does not say") as refusal:
            build(points, facts)
        assert "--size" in str(refusal.value.do)


def test_given_facts_come_before_found_ones() -> None:
    assert Facts(fps=25.0).or_else(Facts(30.0, 200, 300)) == Facts(25.0, 200, 300)


@pytest.mark.parametrize("text", ["1024", "1024x", "axb", "0x5", "1x2x3", "-1x5"])
def test_a_size_is_two_numbers(text: str) -> None:
    assert read_size("1024x570") == (1024, 570)
    with pytest.raises(UsageError, match="is no size"):
        read_size(text)


def test_swapped_sides_are_warned_of(
    points: np.ndarray, facts: Facts, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        build(points, facts)
        assert not caplog.records
        build(points, facts, (PARTS[0], PARTS[2], PARTS[1], PARTS[3]))
    assert "mirror" in caplog.text


def test_a_wrong_size_is_noticed(points: np.ndarray) -> None:
    with pytest.raises(InputError, match="outside 150 x 200") as refusal:
        build(points, Facts(30.0, 200, 150))
    assert "x reaches" in str(refusal.value.why)


def test_odd_names_are_refused_with_the_file(points: np.ndarray, facts: Facts) -> None:
    with pytest.raises(InputError, match="same name") as refusal:
        build(points, facts, ("nose", "nose", "a", "b"))
    assert "some.csv" in str(refusal.value.where)
    with pytest.raises(InputError, match=r"expected \(frames, animals") as refusal:
        build(points.transpose(0, 1, 3, 2), facts)
    assert "some.csv" in str(refusal.value.where)
