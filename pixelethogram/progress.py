"""How long work reports on itself: library code calls a Progress, commands decide how it looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receiver of progress; implementations must be cheap to call thousands of times."""

    def start(self, task: str, total: int | None) -> None:
        """Begin a task of `total` units (None when the number is not known)."""

    def advance(self, units: int = 1, note: str = "") -> None:
        """Say that `units` more are done; `note` is a short text such as a loss."""

    def finish(self, note: str = "") -> None:
        """End the task begun last."""

    def message(self, text: str) -> None:
        """Show one line that stays."""


class SilentProgress:
    """The default: says nothing."""

    def start(self, task: str, total: int | None) -> None:
        """Ignore."""

    def advance(self, units: int = 1, note: str = "") -> None:
        """Ignore."""

    def finish(self, note: str = "") -> None:
        """Ignore."""

    def message(self, text: str) -> None:
        """Ignore."""


def format_count(number: int, noun: str) -> str:
    """A number and what it counts; nouns with a plural in s.

    Example:
        >>> [format_count(number, "video") for number in (0, 1, 2)]
        ['0 videos', '1 video', '2 videos']
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_seconds(seconds: float) -> str:
    """Short time, such as 45 s, 3 min 20 s or 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
