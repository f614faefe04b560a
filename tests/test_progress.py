"""The silent progress is silent and can stand for any other."""

from __future__ import annotations

import inspect

import pytest

from pixelethogram.progress import Progress, SilentProgress
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
