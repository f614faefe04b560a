"""What numpy wrote is read as it was; whatever would run something is refused, and not run."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pixelethogram.errors import InputError
from pixelethogram.safe_npy import MAX_DEPTH, is_pickled_npy, load_plain, read_pickled_npy

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    # lists, tuples and dicts of them
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=12,
)
NUMBERS = npst.arrays(
    npst.integer_dtypes(endianness="?")
    | npst.floating_dtypes(endianness="?", sizes=(16, 32, 64))
    | npst.boolean_dtypes()
    | npst.unicode_string_dtypes(endianness="?"),
    npst.array_shapes(min_dims=0, min_side=0),
)


class Runs:
    """Asks the unpickler to call something."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def to_npy(content: Any, path: Path) -> Path:
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path


@given(PLAIN, st.sampled_from([3, 4, 5]))
def test_plain_content_comes_back_as_it_was(content: Any, protocol: int) -> None:
    assert load_plain(pickle.dumps(content, protocol), "here") == content


@given(NUMBERS, st.sampled_from([3, 4, 5]), st.booleans())
def test_arrays_come_back_as_they_were(array: np.ndarray, protocol: int, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran and array.ndim > 1 else array
    found = load_plain(pickle.dumps([array], protocol), "here")[0]
    if array.ndim == 0:
        assert found == array.item() or array.dtype.kind == "f"
    else:
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_a_file_of_numpy_is_read_with_all_that_may_be_in_it(tmp_path: Path) -> None:
    keypoints = np.random.default_rng(0).random((5, 2, 2, 7))
    content = {
        "vocabulary": ["attack", "other"],
        "sequences": {np.str_("a"): {"keypoints": keypoints, "annotator_id": np.int64(3)}},
        "lists": np.array([{"a": 1}, None, "b"], dtype=object),
        "names": np.array(["nose", "neck"]),
    }
    path = tmp_path / "train.npy"
    np.save(path, content)  # type: ignore[arg-type]
    found = read_pickled_npy(path)
    assert is_pickled_npy(path)
    assert found["vocabulary"] == ["attack", "other"]
    np.testing.assert_array_equal(found["sequences"]["a"]["keypoints"], keypoints)
    assert found["sequences"]["a"]["annotator_id"] == 3
    assert type(next(iter(found["sequences"]))) is str
    assert found["lists"].tolist() == [{"a": 1}, None, "b"]
    assert found["names"].tolist() == ["nose", "neck"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch {trap}",)),
        (os.mkdir, ("{trap}",)),
        (builtins.eval, ("__import__('os').mkdir({trap!r})",)),
        (builtins.exec, ("__import__('os').mkdir({trap!r})",)),
        (builtins.getattr, (os, "mkdir")),
        (builtins.open, ("{trap}", "w")),
        (builtins.bytearray, (10,)),
        (np.load, ("{trap}",)),
        (np.fromfile, ("{trap}",)),
        (np.save, ("{trap}", [1])),
        (np.memmap, ("{trap}", "u1", "w+", 0, (4,))),
        (np.lib.format.open_memmap, ("{trap}", "w+", "u1", (4,))),
        (np.frombuffer, (b"1234",)),
        (np.array, ([1, 2],)),
        (OrderedDict, ()),
        (Path, ("{trap}",)),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.filterwarnings("ignore:")
def test_a_file_that_would_run_something_is_refused_and_nothing_is_run(
    function: Callable[..., Any], arguments: tuple[Any, ...], nested: bool, tmp_path: Path
) -> None:
    trap = str(tmp_path / "trap")
    filled = [each.format(trap=trap) if isinstance(each, str) else each for each in arguments]
    if os in filled:
        filled = ["text", "mkdir"]
    attack: Any = Runs(function, *filled)
    if nested:
        inner = np.empty(2, dtype=object)
        inner[:] = [1, attack]
        attack = {"sequences": {"a": {"keypoints": inner}}}
    path = to_npy(attack, tmp_path / "train.npy")
    with pytest.raises(InputError, match="the pickle asks for"):
        read_pickled_npy(path)
    assert not Path(trap).exists()


GLOBAL_AND_CALL = [
    b"cos\nsystem\n(S'touch {trap}'\ntR.",
    b"(S'touch {trap}'\nios\nsystem\n.",  # INST
    b"(cos\nsystem\nS'touch {trap}'\no.",  # OBJ
    b"\x80\x02cos\nsystem\n(X\x01\x00\x00\x00at\x81.",  # NEWOBJ
    b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01a\x85R.",  # STACK_GLOBAL
    b"\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93.",  # a dotted name
    b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__base__\x93.",
    b"\x80\x04\x8c\x11pixelethogram.cli\x8c\x04main\x93)R.",
]


@pytest.mark.parametrize("data", GLOBAL_AND_CALL)
def test_every_way_to_call_something_is_closed(data: bytes, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    with pytest.raises(InputError, match="the pickle asks for"):
        load_plain(data.replace(b"{trap}", str(trap).encode()), "here")
    assert not trap.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\x80\x04N",  # no end
        b"\x80\x04P1\n.",  # a persistent id
        b"\x80\x04\x82\x01.",  # an extension code
        b"\x80\x04cnumpy\nndarray\n)R.",  # the name of a class is no function here
        b"\x80\x04cnumpy\ndtype\n.",  # what is never called is no content
        b"\x80\x04cnumpy\ndtype\n\x8c\x02f8\x85R.",  # a type alone
        b"\x80\x04cnumpy\ndtype\n}\x8c\x01a\x8c\x01bs\x86b.",  # state for a function of ours
        b"\x80\x04cbuiltins\nset\nN}\x8c\x08__call__Ns\x86b.",  # state for a class
    ],
)
def test_broken_and_twisted_pickles_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        load_plain(data, "here")


def array_pickle(dtype: Any, state: Any) -> bytes:
    """An array whose type and state say whatever they like."""

    class Fake:
        def __reduce__(self) -> Any:
            return (
                np.empty(0).__reduce__()[0],
                (np.ndarray, (0,), b"b"),
                (1, *state[:1], dtype, *state[1:]),
            )

    return pickle.dumps([Fake()], 4)


@pytest.mark.parametrize(
    ("dtype", "state"),
    [
        (np.dtype("f8"), ((10**9,), False, b"12345678")),
        (np.dtype("f8"), ((-1, -8), False, b"12345678")),
        (np.dtype("f8"), (("a",), False, b"12345678")),
        (np.dtype("f8"), ((1,), False, [1.0])),
        (np.dtype("O"), ((1,), False, b"12345678")),  # bytes that numpy would take for addresses
        (np.dtype("O"), ((2,), False, [1])),
        (np.dtype([("a", "O")]), ((1,), False, b"12345678")),
        (np.dtype("V8"), ((1,), False, b"12345678")),
        (np.dtype("M8[s]"), ((1,), False, b"12345678")),
        ("no type", ((1,), False, b"12345678")),
    ],
)
def test_arrays_that_lie_about_their_content_are_refused(dtype: Any, state: Any) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_plain(array_pickle(dtype, state), "here")


def test_content_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    with pytest.raises(InputError, match="contains itself"):
        load_plain(pickle.dumps(loop), "here")


def test_deep_and_bushy_content_ends_soon() -> None:
    deep: list[Any] = []
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    with pytest.raises(InputError, match="contains itself"):
        load_plain(pickle.dumps(deep), "here")
    bushy: list[Any] = [1]
    for _ in range(MAX_DEPTH - 4):
        bushy = [bushy] * 10  # 10 ** 28 numbers if each was built anew
    assert isinstance(load_plain(pickle.dumps(bushy), "here"), list)


def test_other_files_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(InputError, match="no such file"):
        read_pickled_npy(path)
    path.write_bytes(b"\x93NUMPY" + struct.pack("<BBH", 1, 0, 4) + b"what")
    with pytest.raises(InputError, match="not a .npy file"):
        read_pickled_npy(path)
    assert not is_pickled_npy(path)
    np.save(path, np.arange(3))
    with pytest.raises(InputError, match="an array of int64"):
        read_pickled_npy(path)
    assert not is_pickled_npy(path)
    buffer = io.BytesIO()
    np.save(buffer, {"a": np.arange(100)})  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue()[:-50])
    with pytest.raises(InputError, match="cannot be read"):
        read_pickled_npy(path)
