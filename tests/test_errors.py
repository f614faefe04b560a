"""Errors read as what · where · why · do this, and say their exit code."""

from __future__ import annotations

import errno
import os

import pytest

from pixelethogram.errors import (
    SHORTAGES,
    InputError,
    PixelethogramError,
    ResourceError,
    UsageError,
    explain_shortage,
)


def test_an_error_is_a_small_letter() -> None:
    error = InputError("no labels", where="mouse 1", why="nobody scored it", do="score it")
    assert str(error).splitlines() == [
        "no labels",
        "  where: mouse 1",
        "  why:   nobody scored it",
        "  do:    score it",
    ]


def test_parts_that_are_not_known_leave_no_line() -> None:
    assert str(InputError("no labels")) == "no labels"
    assert str(InputError("no labels", do="score it")) == "no labels\n  do:    score it"


def test_the_parts_can_be_read_one_by_one() -> None:
    error = UsageError("a", where="b", why="c", do="d")
    assert (error.what, error.where, error.why, error.do) == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(PixelethogramError, 1), (UsageError, 2), (InputError, 3), (ResourceError, 4)],
)
def test_every_kind_has_its_exit_code_and_can_be_caught_as_ours(
    kind: type[PixelethogramError], exit_code: int
) -> None:
    assert kind("x").exit_code == exit_code
    assert issubclass(kind, PixelethogramError)


@pytest.mark.parametrize("number", sorted(SHORTAGES))
def test_what_the_machine_lacks_is_told_in_words_with_the_place(number: int) -> None:
    shortage = explain_shortage(OSError(number, os.strerror(number), "video.h5"))
    assert shortage is not None
    assert shortage.exit_code == 4
    assert shortage.where == "video.h5"
    assert "same command again" in str(shortage.do)


def test_a_full_disk_that_hdf5_tells_of_in_its_own_way_is_a_full_disk() -> None:
    error = RuntimeError("Unable to flush file (file write failed, errno = 28, error message = …)")
    assert explain_shortage(error).what == explain_shortage(OSError(errno.ENOSPC, "")).what


def test_too_little_memory_is_a_shortage() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch calls its own."""

    assert "GPU" in explain_shortage(OutOfMemoryError("CUDA out of memory")).what
    assert "memory" in explain_shortage(MemoryError()).what


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOENT, "no such file"), RuntimeError("errno"), OSError("odd"), KeyError(28)],
)
def test_a_bug_is_not_a_shortage(error: Exception) -> None:
    assert explain_shortage(error) is None
