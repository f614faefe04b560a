"""Networks that somebody exported: a TorchScript or torch.export file in, a frozen module out.

Such a file is a program. Opening it runs it with the rights of the user, so only files from people
who are trusted may be opened.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pixelethogram.errors import InputError

# What torch raises on files that are damaged, and programs on tensors that do not suit them.
FOREIGN_ERRORS = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(EOFError, zipfile.BadZipFile, torch.jit.Error),
)
WHERE = "features.model.source"
LINE_LENGTH = 200

Program = Callable[[Tensor], Any]
"""A module's `__call__`; the module itself would become a part of what holds it."""


class ExportedModule(nn.Module):
    """The module in a file, always frozen.

    TorchScript is put into evaluation mode; torch.export has fixed the mode when the file was made.
    It has no parameters and no tensors of its own: the weights stay in the file, of which the state
    dict keeps the sha256, so that the same file has to be there when the state is loaded.

    Args:
        path: What torch.jit.save or torch.export.save wrote. It is run: open only trusted files.

    Raises:
        InputError: There is no such file, or it is not an exported module.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._sha256, self._program = _open(path, torch.device("cpu"))
        self._device = torch.device("cpu")

    @torch.no_grad()
    def forward(self, clips: Tensor) -> Any:
        """What the program makes of clips; it is opened anew where it is on another device."""
        if clips.device != self._device:
            sha256, self._program = _open(self._path, clips.device)
            self._device = clips.device
            self._check(found=sha256, expected=self._sha256)
        return self._program(clips)

    def get_extra_state(self) -> Tensor:
        """sha256 of the file, (32,) uint8; torch puts it into the state dict."""
        return torch.tensor(list(bytes.fromhex(self._sha256)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Refuse a state dict that belongs to another file.

        Raises:
            InputError: The file was replaced.
        """
        self._check(found=self._sha256, expected=bytes(state.tolist()).hex())

    def __deepcopy__(self, memo: dict[int, Any]) -> ExportedModule:
        """The same module: nothing in it ever changes, so nobody needs a second one."""
        return self

    def _check(self, *, found: str, expected: str) -> None:
        if found != expected:
            raise InputError(
                f"{self._path} is not the file that the network was trained with",
                where=WHERE,
                why=f"its sha256 begins with {found[:8]}, not with {expected[:8]}",
                do="put the old file back, or train again: pixelethogram train features PROJECT",
            )


def summarize(error: Exception) -> str:
    """First and last line of an error of torch; between them may be a long traceback.

    Example:
        >>> summarize(ValueError("it failed\\nsomewhere\\nshape is (3, 2)"))
        'it failed ... shape is (3, 2)'
    """
    lines = [line.strip()[:LINE_LENGTH] for line in str(error).splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else type(error).__name__


@torch.inference_mode(False)
def _open(path: Path, device: torch.device) -> tuple[str, Program]:
    """sha256 and program of a file; the program is on the device."""
    if not path.is_file():
        raise InputError(
            f"there is no file {path}",
            where=WHERE,
            do="give a file of torch.jit.save or torch.export.save, or the name of a network",
        )
    data = path.read_bytes()
    try:
        program = _find_opener(data)(io.BytesIO(data), device)
    except FOREIGN_ERRORS as error:
        raise InputError(
            f"{path} is not an exported module",
            where=WHERE,
            why=summarize(error),
            do="write it with torch.jit.save or torch.export.save; a state dict is not enough",
        ) from error
    return hashlib.sha256(data).hexdigest(), program


def _find_opener(data: bytes) -> Callable[[io.BytesIO, torch.device], Program]:
    """How to open a file, by the members of its archive; the suffix says nothing."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name.rpartition("/")[2] for name in archive.namelist()}
    for member, opener in _OPENERS.items():
        if member in members:
            return opener
    raise ValueError("it is an archive of another kind, e.g. a state dict or a checkpoint")


def _open_script(file: io.BytesIO, device: torch.device) -> Program:
    with warnings.catch_warnings():
        # torch would rather have torch.export; whoever has a TorchScript file cannot choose
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(file, map_location=device).eval().__call__


def _open_program(file: io.BytesIO, device: torch.device) -> Program:
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(torch.export.load(file), device).module().__call__


_OPENERS = {
    "constants.pkl": _open_script,
    "archive_format": _open_program,
    "serialized_exported_program.json": _open_program,  # until torch 2.7
}
