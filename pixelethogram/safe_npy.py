"""Pickled .npy files without the danger: arrays, numbers, text and containers, nothing that runs.

A pickle is a programme. This reader looks up every name that it asks for in a short table of
stand-ins of its own, so that not even numpy's functions are called with what the file says; arrays
are built afterwards, from checked sizes and plain types of numbers.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pixelethogram.errors import InputError

KINDS = "biufUS"  # kinds of numbers and text that an array may hold; O is a list of other things
ORDERS: dict[Any, Literal["<", ">", "=", "|"]] = {"<": "<", ">": ">", "=": "=", "|": "|"}
MAX_DEPTH = 32
BROKEN = (
    pickle.UnpicklingError,
    *(EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError),
)


def is_pickled_npy(path: Path) -> bool:
    """True for a .npy file of one pickled object; only its header is read."""
    try:
        with path.open("rb") as file:
            shape, dtype = _read_header(file)
    except (OSError, ValueError):
        return False
    return dtype.hasobject and shape == ()


def read_pickled_npy(path: Path) -> Any:
    """The object that `numpy.save` wrote into a file, as dicts, lists, arrays, numbers and text.

    Raises:
        InputError: No such file, another kind of file, a broken one, or one that asks for anything
            but arrays and containers; nothing of it has been run then.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=path, do="check the path") from error
    return load_pickled_npy(data, path)


def load_pickled_npy(data: bytes, where: object) -> Any:
    """The same, of what stands in such a file."""
    file = io.BytesIO(data)
    try:
        _, dtype = _read_header(file)
    except ValueError as error:
        raise InputError(f"not a .npy file: {error}", where=where, do="check the file") from error
    if not dtype.hasobject:
        raise InputError(
            f"the file holds an array of {dtype}, not a dict",
            where=where,
            do="give the file that holds the sequences by their names",
        )
    return load_plain(file.read(), where)


def load_plain(data: bytes, where: object) -> Any:
    """A pickle as dicts, lists, tuples, sets, arrays, numbers and text.

    Raises:
        InputError: It is broken, or asks for anything else.
    """
    try:
        found = _Plain(data, where).load()
        content = _Builder(where).build(found)
    except BROKEN as error:
        raise _refuse(f"the pickle cannot be read: {error}", where) from error
    return content.item() if isinstance(content, np.ndarray) and content.ndim == 0 else content


def _read_header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = read[version](file)
    return shape, dtype


def _refuse(what: str, where: object) -> InputError:
    return InputError(
        what,
        where=where,
        why="the file is damaged, or was made to run a programme; nothing of it was run",
        do="fetch it again from its source; do not open it with anything else",
    )


class _Type:
    """Stands for `numpy.dtype(code)`; its state adds the order of bytes."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        _, self.order, subtype, names, fields, *_ = state
        if (subtype, names, fields) != (None, None, None):
            raise ValueError("arrays of records are not read")

    def resolve(self) -> np.dtype:
        """The type of numbers, if it is a plain one."""
        text = self.code.decode("ascii") if isinstance(self.code, bytes) else self.code
        if not isinstance(text, str) or self.order not in ORDERS:
            raise ValueError(f"{text!r} is not a type of numbers")
        if text in ("O", "O8", "|O"):
            return np.dtype(object)
        dtype = np.dtype(text.lstrip("<>=|"))
        if dtype.kind not in KINDS:
            raise ValueError(f"arrays of {dtype} are not read")
        return dtype if self.order == "|" else dtype.newbyteorder(ORDERS[self.order])


class _Array:
    """Stands for an array until its state is there."""

    __slots__ = ("data", "fortran", "shape", "type")

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.type, self.fortran, self.data = state


class _Number:
    """Stands for a numpy scalar."""

    __slots__ = ("data", "type")

    def __init__(self, type_: Any, data: Any) -> None:
        self.type, self.data = type_, data


class _Plain(pickle.Unpickler):
    """An unpickler that knows a handful of names, none of which does anything but keep values."""

    def __init__(self, data: bytes, where: object) -> None:
        super().__init__(io.BytesIO(data))
        self._where = where

    def find_class(self, module_name: str, global_name: str) -> Any:
        module = module_name.replace("numpy._core", "numpy.core")
        known: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): "ndarray",
            ("numpy", "dtype"): self._start_type,
            ("numpy.core.multiarray", "_reconstruct"): self._start_array,
            ("numpy.core.multiarray", "scalar"): self._start_number,
            ("numpy.core.numeric", "_frombuffer"): self._from_buffer,
            ("builtins", "set"): set,
            ("builtins", "frozenset"): frozenset,
        }
        if (module, global_name) not in known:
            raise _refuse(f"the pickle asks for {module_name}.{global_name}", self._where)
        return known[module, global_name]

    def _start_type(self, code: Any, align: Any = False, copy: Any = True) -> _Type:
        return _Type(code)

    def _start_array(self, kind: Any, shape: Any, code: Any) -> _Array:
        if kind != "ndarray":
            raise ValueError("not an array")
        return _Array()

    def _start_number(self, type_: Any, data: Any) -> _Number:
        return _Number(type_, data)

    def _from_buffer(self, data: Any, type_: Any, shape: Any, order: Any) -> _Array:
        array = _Array()
        array.__setstate__((1, shape, type_, order == "F", data))
        return array


class _Builder:
    """Turns stand-ins into arrays and numbers; what is shared is built once."""

    def __init__(self, where: object) -> None:
        self._where = where
        self._built: dict[int, Any] = {}
        self._open: set[int] = set()
        self._makers: dict[type, Callable[[Any, int], Any]] = {
            dict: self._build_dict,
            list: lambda found, depth: [self.build(each, depth) for each in found],
            tuple: lambda found, depth: tuple(self.build(each, depth) for each in found),
            set: lambda found, depth: {self.build(each, depth) for each in found},
            frozenset: lambda found, depth: frozenset(self.build(each, depth) for each in found),
            _Array: self._build_array,
            _Number: self._build_number,
        }

    def build(self, found: Any, depth: int = 0) -> Any:
        if found is None or type(found) in (bool, int, float, complex, str, bytes, bytearray):
            return found
        if type(found) not in self._makers:
            raise _refuse(f"the pickle holds a {type(found).__name__}", self._where)
        key = id(found)
        if key in self._open or depth > MAX_DEPTH:
            raise _refuse("the pickle holds something that contains itself", self._where)
        if key not in self._built:
            self._open.add(key)
            self._built[key] = self._makers[type(found)](found, depth + 1)
            self._open.remove(key)
        return self._built[key]

    def _build_dict(self, found: dict, depth: int) -> dict:
        return {self.build(key, depth): self.build(each, depth) for key, each in found.items()}

    def _build_array(self, found: _Array, depth: int) -> np.ndarray:
        dtype, shape, order = _resolve(found.type), found.shape, "F" if found.fortran else "C"
        if not isinstance(shape, tuple) or any(type(each) is not int or each < 0 for each in shape):
            raise ValueError(f"{shape!r} is not a shape")
        number = math.prod(shape)
        if dtype.hasobject:
            if not isinstance(found.data, list) or len(found.data) != number:
                raise ValueError(f"an array of shape {shape} holds something else")
            array = np.empty(number, dtype=object)
            for index, each in enumerate(found.data):
                array[index] = self.build(each, depth)
            return array.reshape(shape, order=order)  # type: ignore[call-overload]
        data = found.data
        if not isinstance(data, bytes | bytearray) or len(data) != number * dtype.itemsize:
            raise ValueError(f"an array of shape {shape} and type {dtype} has another size")
        return np.frombuffer(data, dtype).reshape(shape, order=order)  # type: ignore[call-overload]

    def _build_number(self, found: _Number, depth: int) -> Any:
        dtype = _resolve(found.type)
        if dtype.hasobject or len(found.data) != dtype.itemsize:
            raise ValueError("a number of another size")
        return np.frombuffer(found.data, dtype)[0].item()


def _resolve(found: Any) -> np.dtype:
    if not isinstance(found, _Type):
        raise ValueError("an array without a type")
    return found.resolve()
