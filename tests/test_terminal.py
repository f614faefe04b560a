"""What a user sees while waiting: rate, time left, tables."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from pixelethogram import terminal
from pixelethogram.terminal import (
    BarProgress,
    LineProgress,
    build_console,
    build_progress,
    build_table,
)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(terminal.time, "monotonic", clock)
    return clock


def plain_console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=60), text


def live_console(clock: Clock | None = None) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    console = Console(
        file=text,
        width=140,
        force_terminal=True,
        color_system=None,
        **({"get_time": clock} if clock else {}),
    )
    return console, text


def test_a_plain_line_comes_every_thirty_seconds_with_rate_and_time_left(clock: Clock) -> None:
    console, text = plain_console()
    progress = LineProgress(console)
    progress.start("train flow", 1000)
    for _ in range(100):
        clock.seconds += 1
        progress.advance(2, "loss 0.5")
    assert text.getvalue().splitlines() == [
        "train flow: 60/1000, 2.0/s, 7 min 50 s left  loss 0.5",
        "train flow: 120/1000, 2.0/s, 7 min 20 s left  loss 0.5",
        "train flow: 180/1000, 2.0/s, 6 min 50 s left  loss 0.5",
    ]


def test_quick_work_says_only_that_it_is_finished(clock: Clock) -> None:
    console, text = plain_console()
    progress = LineProgress(console)
    progress.start("proxy of mouse", 40)
    clock.seconds += 20
    progress.advance(40)
    progress.finish()
    assert text.getvalue() == "proxy of mouse: 40 in 20 s, 2.0/s\n"


def test_work_of_unknown_length_has_a_rate_and_no_time_left(clock: Clock) -> None:
    console, text = plain_console()
    progress = LineProgress(console)
    progress.start("count", None)
    clock.seconds += 40
    progress.advance(100)
    assert text.getvalue() == "count: 100, 2.5/s\n"


def test_each_task_counts_from_nothing(clock: Clock) -> None:
    console, text = plain_console()
    progress = LineProgress(console)
    for task in ("one", "two"):
        progress.start(task, 10)
        clock.seconds += 5
        progress.advance(10)
        progress.finish("fine")
    assert text.getvalue() == "one: 10 in 5 s, 2.0/s  fine\ntwo: 10 in 5 s, 2.0/s  fine\n"


def test_work_that_took_no_time_is_told_without_a_rate(clock: Clock) -> None:
    console, text = plain_console()
    progress = LineProgress(console)
    progress.start("nothing", 0)
    progress.finish()
    assert text.getvalue() == "nothing: 0 in 0 s\n"


def test_long_lines_and_brackets_are_printed_as_they_are() -> None:
    console, text = plain_console()
    name = "mouse [bold] " + "x" * 100
    LineProgress(console).message(name)
    assert text.getvalue() == f"{name}\n"


def test_a_bar_shows_count_rate_and_time_left(clock: Clock) -> None:
    console, text = live_console(clock)
    progress = BarProgress(console)
    progress.start("train [flow]", 100)
    for _ in range(5):
        clock.seconds += 1
        progress.advance(10, "loss [0.5]")
    console.print("now")  # draws the bar again
    progress.finish("best 0.4")
    shown = text.getvalue()
    assert "train [flow]" in shown
    assert "loss [0.5]" in shown
    assert "50/100" in shown
    assert "10.0/s" in shown
    assert re.search(r"left\s+0:00:05", shown)
    assert "train [flow]: 50 in 5 s, 10.0/s  best 0.4" in shown


def test_a_bar_that_an_error_broke_off_gives_way_to_the_next_one() -> None:
    console, text = live_console()
    progress = BarProgress(console)
    progress.start("broken", 10)
    progress.start("next", 10)
    progress.advance(10)
    progress.finish()
    progress.finish()
    assert "next: 10 in" in text.getvalue()
    assert "broken: " not in text.getvalue()


def test_a_bar_gives_the_cursor_back() -> None:
    console, text = live_console()
    progress = BarProgress(console)
    progress.start("task", 10)
    progress.finish()
    shown = text.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_bar_can_be_told_of_progress_outside_a_task() -> None:
    console, text = live_console()
    progress = BarProgress(console)
    progress.advance()
    progress.message("mouse [1]: done")
    assert text.getvalue() == "mouse [1]: done\n"


def test_terminals_get_a_bar_and_logs_get_lines() -> None:
    assert isinstance(build_progress(live_console()[0]), BarProgress)
    assert isinstance(build_progress(plain_console()[0]), LineProgress)


def test_standard_output_is_kept_free_for_json(capsys: pytest.CaptureFixture[str]) -> None:
    build_console(json=True).print("for people")
    assert capsys.readouterr() == ("", "for people\n")
    build_console().print("for people")
    assert capsys.readouterr() == ("for people\n", "")


def test_a_table_shows_names_numbers_and_gaps() -> None:
    console, text = plain_console()
    rows = [["mouse [/b]", 12, 0.12345, None], ["é", 3, 1.0, "train"]]
    console.print(build_table("videos", ["video", "frames", "[b]", "part"], rows))
    shown = text.getvalue()
    assert "videos" in shown.splitlines()[0]
    assert "[b]" in shown
    lines = [line for line in shown.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert cells == [["mouse [/b]", "12", "0.123", "–"], ["é", "3", "1.000", "train"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.98765, "0.988"), (1.0, "1.000"), (7.777, "7.78"), (43.2109, "43.2"), (1234.5678, "1235")],
)
def test_rates_have_no_more_digits_than_one_can_use(value: float, text: str) -> None:
    console, shown = plain_console()
    console.print(build_table("speed", ["video", "frames/s"], [["a", value]]))
    assert f" {text} " in shown.getvalue()


def test_a_long_name_is_folded_and_not_cut() -> None:
    console, text = plain_console()
    console.print(build_table("videos", ["video", "frames"], [["x" * 100, 1]]))
    assert text.getvalue().count("x") == 100


def test_a_log_has_room_for_many_behaviors(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["video", *(f"behavior {number}" for number in range(8))]
    build_console().print(build_table("scores", columns, [["mouse", *range(8)]]))
    assert "behavior 7" in capsys.readouterr().out
