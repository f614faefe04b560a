"""A file of weights, of any program: names and tensors come out, its code never runs.

Files of PyTorch are pickles, and opening a pickle can run whatever it names. Here they are only
read with `weights_only=True`. Files that hold the settings of a program beside the weights are
read too: every class of a few known packages is replaced by one that does nothing.
"""

from __future__ import annotations

import contextlib
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelethogram.errors import InputError

HARMLESS_PACKAGES = {"omegaconf", "numpy", "pytorch_lightning", "lightning", "argparse", "pathlib"}
HARMLESS_NAMES = {
    *("typing.Any", "typing.Union", "typing.Optional", "collections.defaultdict"),
    *(f"builtins.{kind}" for kind in ("object", "dict", "list", "tuple", "str", "bytes")),
    *(f"builtins.{kind}" for kind in ("int", "float", "bool", "type")),
}
UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError),
    *(AssertionError, struct.error, pickle.UnpicklingError),
)
"""What torch.load may raise for a file that is damaged or none of its own."""
WRAPPED_IN = "state_dict"
PREFIXES = ("model.", "module.")  # of PyTorch Lightning's tasks and of parallel training


class _Inert:
    """Stands for an object of another program: takes anything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Ignore the arguments."""

    def __setstate__(self, _: Any) -> None:
        """Ignore the content."""


def read_tensors(path: Path, setting: str) -> dict[str, Tensor]:
    """Names and tensors of a state dict, alone or in a checkpoint under "state_dict".

    A prefix "model." or "module." is taken off; what lies beside names with "model." (losses and
    their tensors in checkpoints of PyTorch Lightning) is left out.

    Args:
        path: The file.
        setting: The setting that names it, for errors.

    Raises:
        InputError: There is no such file, it is damaged or holds something else, or it asks for
            code that has no business in a file of weights.
    """
    if not path.is_file():
        raise InputError(
            f"there is no file {path}",
            where=setting,
            do="give the path of a file of weights or of a run's folder, or none",
        )
    strange = _strange_globals(path)
    suspicious = sorted(name for name in strange if not _is_harmless(name))
    if suspicious:
        raise InputError(
            f"{path} asks for code: {', '.join(suspicious[:5])}",
            where=path,
            why="it holds pickled objects beside the weights; opening them can run any program, so "
            "they are never opened here",
            do="give the weights alone: checkpoint.pt of a DeepEthogram run, or what "
            "torch.save(model.state_dict(), path) writes",
        )
    stand_ins: list[Any] = [(_stand_in(name), name) for name in strange]
    try:
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise _no_weights(path, error) from error
    if isinstance(content, Mapping) and isinstance(content.get(WRAPPED_IN), Mapping):
        content = content[WRAPPED_IN]
    if not _is_state_dict(content):
        raise _no_weights(path, "there are no names and tensors in it")
    return _take_prefix_off(content)


def _strange_globals(path: Path) -> list[str]:
    """Classes and functions that the file names and torch does not know; nothing is run."""
    with contextlib.suppress(*UNREADABLE):  # torch.load explains better what is wrong with it
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return []


def _is_harmless(name: str) -> bool:
    return name in HARMLESS_NAMES or name.partition(".")[0] in HARMLESS_PACKAGES


def _stand_in(name: str) -> Any:
    if name == "collections.defaultdict":  # torch fills nothing but plain dicts
        return _empty_dict
    return _Inert


def _empty_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(name, str) for name in content)
        and all(isinstance(value, Tensor) for value in content.values())
    )


def _take_prefix_off(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        inside = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        if inside:
            return inside
    return dict(tensors)


def _no_weights(path: Path, problem: object) -> InputError:
    first_line = str(problem).partition("\n")[0]
    return InputError(
        f"{path} does not hold a state dict (names and tensors): {first_line}",
        where=path,
        why="it is damaged, or another kind of file",
        do="give the weights alone, as torch.save(model.state_dict(), path) writes them",
    )
