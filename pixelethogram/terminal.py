"""How the commands look: progress with rate and time left, tables."""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichBar
from rich.table import Table
from rich.text import Text

from pixelethogram.progress import Progress, format_seconds

PLAIN_SECONDS = 30.0
PLAIN_WIDTH = 160


class BarProgress:
    """A live bar for terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: RichBar | None = None
        self._task: TaskID | None = None
        atexit.register(self._remove)  # a bar that Ctrl+C broke off gives the cursor back

    def start(self, task: str, total: int | None) -> None:
        """Show a new bar; one that an error broke off goes away."""
        self._remove()
        self._bar = RichBar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task(task, total=total, note="")
        self._bar.start()

    def advance(self, units: int = 1, note: str = "") -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=units, note=note)

    def finish(self, note: str = "") -> None:
        """Replace the bar by one line."""
        if self._bar is not None and self._task is not None:
            task = self._bar.tasks[self._task]
            self._remove()
            self.message(_summary(task.description, task.completed, task.elapsed or 0, note))

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _remove(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class _RateColumn(ProgressColumn):
    """Units per second, over the last while."""

    def render(self, task: Task) -> Text:
        speed = task.speed or 0.0
        return Text(f"{speed:.1f}/s" if speed else "–/s")


class LineProgress:
    """A plain line every 30 seconds, for logs and job arrays."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._task = ""
        self._total: int | None = None
        self._done = 0
        self._started = self._spoken = time.monotonic()

    def start(self, task: str, total: int | None) -> None:
        """Begin counting."""
        self._task, self._total, self._done = task, total, 0
        self._started = self._spoken = time.monotonic()

    def advance(self, units: int = 1, note: str = "") -> None:
        """Count; speak when 30 seconds have passed since the last line."""
        self._done += units
        now = time.monotonic()
        if now - self._spoken >= PLAIN_SECONDS:
            self._spoken = now
            self.message(self._line(now - self._started, note))

    def finish(self, note: str = "") -> None:
        """Print the last line of the task."""
        self.message(_summary(self._task, self._done, time.monotonic() - self._started, note))

    def message(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _line(self, seconds: float, note: str) -> str:
        if not self._total:
            return f"{self._task}: {self._done}, {self._done / seconds:.1f}/s  {note}".rstrip()
        left = seconds / max(self._done, 1) * (self._total - self._done)
        return (
            f"{self._task}: {self._done}/{self._total}, {self._done / seconds:.1f}/s, "
            f"{format_seconds(left)} left  {note}"
        ).rstrip()


def build_progress(console: Console) -> Progress:
    """A bar on a terminal, plain lines elsewhere."""
    return BarProgress(console) if console.is_terminal else LineProgress(console)


def build_console(*, json: bool = False) -> Console:
    """Standard output, or standard error when standard output is kept for JSON."""
    console = Console(file=sys.stderr if json else sys.stdout)
    if not console.is_terminal:  # a file: room for the tables of many behaviors
        console.width = max(console.width, PLAIN_WIDTH)
    return console


def build_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if position == 0 else "right"
        table.add_column(Text(column), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))  # not str: [x] is no markup
    return table


def _summary(task: str, done: float, seconds: float, note: str) -> str:
    rate = f", {done / seconds:.1f}/s" if seconds > 0 and done else ""
    return f"{task}: {done:.0f} in {format_seconds(seconds)}{rate}  {note}".rstrip()


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    digits = 3 if size <= 1 else 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:.{digits}f}"
