"""The command line: every command, and what becomes of errors.

Exit codes: 0 ok, 1 bug, 2 wrong arguments, 3 input data, 4 not enough resources,
5 partly done (failed videos are listed), 130 cancelled with a checkpoint kept.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from pixelethogram.commands import (
    exports,
    labels,
    measurement,
    poses,
    prediction,
    projects,
    reference,
    reports,
    scores,
    training,
)
from pixelethogram.errors import PixelethogramError, explain_shortage

CANCELLED = 130
LARGE_PAGES = ("THP_MEM_ALLOC_ENABLE", "1")  # of torch on Linux: large maps cost fewer page faults
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": projects.demo,
    "doctor": projects.doctor,
    "new": projects.new,
    "add": projects.add,
    "import": projects.import_,
    "labels": labels.labels,
    "status": projects.status,
    "draw": poses.draw,
    "train": training.train,
    "extract": training.extract,
    "predict": prediction.predict,
    "evaluate": scores.evaluate,
    "raters": scores.raters,
    "stats": reports.stats,
    "learning-curve": reports.learning_curve,
    "report": reports.report,
    "export": exports.export,
    "benchmark": measurement.benchmark,
    "models": reference.models,
    "settings": reference.settings,
}


class _Cancelled(Exception):
    """Ctrl+C in a command."""


class _Commands(TyperGroup):
    """Keeps Ctrl+C from typer, whose answer differs between its versions."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Cancelled from error


app = typer.Typer(
    cls=_Commands,
    help="Videos of animals in, ethograms out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """Run a command; our own errors become one message and an exit code."""
    os.environ.setdefault(*LARGE_PAGES)
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    try:
        app(standalone_mode=True)
    except PixelethogramError as error:
        _stop(f"error: {error}", error.exit_code)
    except _Cancelled:
        _stop("cancelled; run the same command again to go on", CANCELLED)
    except (OSError, MemoryError, RuntimeError) as error:
        shortage = explain_shortage(error)
        if shortage is None:
            raise
        _stop(f"error: {shortage}", shortage.exit_code)


def _stop(message: str, code: int) -> None:
    typer.echo(message, err=True)
    sys.exit(code)
