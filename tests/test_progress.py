"""The silent progress is silent and can stand for any other."""

from __future__ import annotations

import inspect

import pytest

from pixelethogram.progress import Progress, SilentProgress, format_count, format_seconds
from pixelethogram.terminal import BarProgress, LineProgress

METHODS = ("start", "advance", "finish", "message")


def test_silence(capfd: pytest.CaptureFixture[str]) -> None:
    progress: Progress = SilentProgress()
    progress.start("count", 3)
    progress.advance()
    progress.advance(2, "loss 0.1")
    progress.message("half way")
    progress.finish("done")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [SilentProgress, BarProgress, LineProgress])
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_takes_what_the_protocol_says(kind: type, method: str) -> None:
    wanted = inspect.signature(getattr(Progress, method)).parameters
    assert inspect.signature(getattr(kind, method)).parameters == wanted


def test_one_of_a_kind_has_no_s() -> None:
    counted = [format_count(number, "labelled video") for number in (0, 1, 2)]
    assert counted == ["0 labelled videos", "1 labelled video", "2 labelled videos"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_times_are_short_and_have_units(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
