"""Files of weights: names and tensors come out, and no code of theirs is ever run."""

from __future__ import annotations

import argparse
import collections
import os
import pickle
import sys
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixelethogram.errors import InputError
from pixelethogram.start_weights.weights_file import read_tensors

TENSORS = {"conv1.weight": torch.arange(6.0).view(2, 3), "bn1.num_batches_tracked": torch.tensor(7)}


def read(path: Path) -> dict[str, torch.Tensor]:
    return read_tensors(path, "features.start_weights")


def save(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def assert_same(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(value, TENSORS[name]) for name, value in found.items())


@pytest.fixture
def omegaconf(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class as that package has it, which would be noticed if it were opened."""

    class DictConfig:
        def __init__(self, content: dict[str, Any]) -> None:
            self._content = content

        def __setstate__(self, _: Any) -> None:
            raise AssertionError("the object was opened")

    DictConfig.__module__, DictConfig.__qualname__ = "omegaconf.dictconfig", "DictConfig"
    for name in ("omegaconf", "omegaconf.dictconfig"):
        module = types.ModuleType(name)
        module.DictConfig = DictConfig  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    return DictConfig


class TestWhatIsRead:
    def test_a_state_dict(self, tmp_path: Path) -> None:
        assert_same(read(save(TENSORS, tmp_path / "weights.pth")))

    def test_an_ordered_one_of_the_old_format(self, tmp_path: Path) -> None:
        torch.save(
            collections.OrderedDict(TENSORS),
            tmp_path / "old.pth",
            _use_new_zipfile_serialization=False,
        )
        assert_same(read(tmp_path / "old.pth"))

    def test_a_checkpoint_around_it(self, tmp_path: Path) -> None:
        content = {"epoch": 3, "state_dict": TENSORS, "optimizer": None, "hyperparameters": None}
        assert_same(read(save(content, tmp_path / "checkpoint.pt")))

    def test_a_prefix_of_parallel_training_is_taken_off(self, tmp_path: Path) -> None:
        parallel = {f"module.{name}": value for name, value in TENSORS.items()}
        assert_same(read(save(parallel, tmp_path / "weights.pth")))

    def test_a_checkpoint_of_lightning_with_settings_of_the_program(
        self, omegaconf: type, tmp_path: Path
    ) -> None:
        flags = collections.defaultdict(int, {"a": 1})
        content = {
            "state_dict": {
                **{f"model.{name}": value for name, value in TENSORS.items()},
                "criterion.pos_weight": torch.ones(3),
            },
            "hyper_parameters": omegaconf({"kind": typing.Any, "flags": flags, "where": tmp_path}),
            "callbacks": {"best": np.float64(0.5), "options": argparse.Namespace(steps=3)},
        }
        assert_same(read(save(content, tmp_path / "epoch=3-step=9.ckpt")))

    def test_nothing_stays_allowed_afterwards(self, omegaconf: type, tmp_path: Path) -> None:
        path = save({"state_dict": TENSORS, "settings": omegaconf({})}, tmp_path / "last.ckpt")
        read(path)
        with pytest.raises(pickle.UnpicklingError):
            torch.load(path, weights_only=True)


class Program:
    """Pickled, it is a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class TestWhatIsRefused:
    @pytest.mark.parametrize("place", ["beside", "inside", "instead"])
    def test_code(self, tmp_path: Path, place: str) -> None:
        program = Program(os.mkdir, str(tmp_path / "it ran"))
        content = {
            "beside": {"state_dict": TENSORS, "extra": program},
            "inside": {**TENSORS, "extra": program},
            "instead": program,
        }[place]
        path = save(content, tmp_path / "weights.pth")
        with pytest.raises(InputError) as caught:
            read(path)
        message = str(caught.value)
        assert "asks for code: posix.mkdir" in message or "asks for code: nt.mkdir" in message
        assert "never opened here" in message
        assert "checkpoint.pt of a DeepEthogram run" in message
        assert not (tmp_path / "it ran").exists()

    def test_code_among_harmless_settings(self, omegaconf: type, tmp_path: Path) -> None:
        content = {"state_dict": TENSORS, "a": omegaconf({}), "b": Program(eval, "1 + 1")}
        with pytest.raises(InputError, match=r"asks for code: builtins\.eval\n"):
            read(save(content, tmp_path / "weights.pth"))

    def test_code_in_a_file_of_the_old_format(self, tmp_path: Path) -> None:
        path = tmp_path / "weights.pth"
        program = Program(os.mkdir, str(tmp_path / "it ran"))
        torch.save({**TENSORS, "extra": program}, path, _use_new_zipfile_serialization=False)
        with pytest.raises(InputError, match="does not hold a state dict"):
            read(path)
        assert not (tmp_path / "it ran").exists()

    def test_a_plain_pickle(self, tmp_path: Path) -> None:
        path = tmp_path / "weights.pkl"
        path.write_bytes(pickle.dumps(Program(os.mkdir, str(tmp_path / "it ran")), protocol=2))
        with pytest.raises(InputError, match="does not hold a state dict"):
            read(path)
        assert not (tmp_path / "it ran").exists()

    def test_a_missing_file(self) -> None:
        with pytest.raises(InputError, match="no file nowhere.pth") as caught:
            read(Path("nowhere.pth"))
        assert "where: features.start_weights" in str(caught.value)

    @pytest.mark.parametrize("content", [b"", b"not a file of tensors", b"PK\x03\x04broken"])
    def test_a_damaged_file(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "weights.pth").write_bytes(content)
        with pytest.raises(InputError, match="does not hold a state dict"):
            read(tmp_path / "weights.pth")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_a_file_that_was_cut_off(self, share: float, tmp_path: Path) -> None:
        path = save({"big": torch.ones(1000), **TENSORS}, tmp_path / "weights.pth")
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError, match="does not hold a state dict"):
            read(path)

    @pytest.mark.parametrize(
        "content",
        [[1], {}, {"state_dict": {}}, {"a": 1}, {3: torch.ones(1)}, torch.ones(2), np.float64(3)],
    )
    def test_something_else(self, content: Any, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="does not hold a state dict"):
            read(save(content, tmp_path / "weights.pth"))
