"""MARS' files, and the same lists in a wrong order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.readers import mars
from pixelethogram.pose.readers.assembly import Facts

SHAPE = np.array([[30.0, 0], [20, -8], [20, 8], [12, 0], [-10, -9], [-10, 9], [-25, 0]])


@pytest.fixture
def mice() -> np.ndarray:
    """(T, 2, 7, 2)."""
    middles = np.array([[80.0, 60], [200, 120]])
    return np.arange(5.0)[:, None, None, None] + middles[:, None] + SHAPE


def write(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps({name: value.tolist() for name, value in content.items()}))
    return path


def test_all_comes_back(mice: np.ndarray, facts: Facts, tmp_path: Path) -> None:
    scores = np.random.default_rng(0).uniform(0, 1, mice.shape[:3])
    path = write(tmp_path / "a.json", keypoints=mice.transpose(0, 1, 3, 2), scores=scores)
    assert mars.can_read(path)
    ((name, pose),) = mars.read(path, facts)
    assert (name, pose.individuals) == ("a", ("resident", "intruder"))
    np.testing.assert_allclose(pose.positions, mice, rtol=1e-5)
    np.testing.assert_allclose(pose.confidence, scores, atol=1e-6)
    assert (pose.skeleton.front, pose.skeleton.back) == (0, 6)
    assert set(pose.skeleton.outline) >= {0, 4, 5, 6}


def test_another_order_of_axes_is_refused_with_the_expected_one(
    mice: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.json", keypoints=mice, scores=np.ones(mice.shape[:3]))
    with pytest.raises(InputError, match=r"expected \(frames, mice, xy, parts\) = \(5, 2, 2, 7\)"):
        list(mars.read(path, facts))
    path = write(
        tmp_path / "b.json", keypoints=mice.transpose(0, 1, 3, 2), scores=np.ones((5, 7, 2))
    )
    with pytest.raises(InputError, match=r"expected \(5, 2, 7\)"):
        list(mars.read(path, facts))


OTHERS = (
    *("", "{}", "[1]", "{", '{"keypoints": {"a": 1}, "scores": []}'),
    *('{"scores": [], "keypoints": {"a": 1}}', '{"keypoints": [], "score": []}'),
    '{"sequences": {"a": {"keypoints": [[1]], "scores": [[1]]}}}',
)


@pytest.mark.parametrize("text", OTHERS)
def test_other_json_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    assert not mars.can_read(tmp_path / "a.json")
    assert not mars.can_read(tmp_path / "none.json")


def test_a_long_file_is_recognised_without_being_parsed(
    mice: np.ndarray, facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = np.tile(mice.transpose(0, 1, 3, 2), (400, 1, 1, 1))
    more = {"bbox": np.zeros((2000, 4)), "scores": np.ones((2000, 2, 7)), "keypoints": many}
    path = write(tmp_path / "a.json", **more)
    with monkeypatch.context() as patch:
        patch.setattr("json.loads", None)
        assert mars.can_read(path)
    ((_, pose),) = mars.read(path, facts)
    assert pose.num_frames == 2000
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="damaged"):
        list(mars.read(path, facts))
