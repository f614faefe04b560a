"""Results of a batch: parts of it, lines, tables, time left."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelethogram.errors import UsageError
from pixelethogram.progress import SilentProgress
from pixelethogram.video_results import (
    Tally,
    VideoResult,
    describe_places,
    parse_shard,
    summary_rows,
    take_shard,
    write_summary,
)


def test_the_summary_has_a_line_per_recording(tmp_path: Path) -> None:
    done = VideoResult(
        Path("a, b.mp4"), "done", 10, 2.0, Path("x.csv"), {"lick, left": 0.25, "groom": 1.0}
    )
    failed = VideoResult(Path("c.mp4"), "failed", error="it is damaged\n  do: mend it")
    behaviors = ("lick, left", "groom")
    write_summary([done, failed], behaviors, tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["recording", "status", "frames", "lick, left", "groom", "error"],
            ["a, b.mp4", "done", "10", "0.2500", "1.0000", ""],
            ["c.mp4", "failed", "0", "", "", "it is damaged"],
        ]
    assert summary_rows([done, failed], behaviors) == [
        ["a, b.mp4", "done", 10, 5.0, 0.25, 1.0],
        ["c.mp4", "failed", None, None, None, None],
    ]
    json.dumps([done.to_dict(), failed.to_dict()])


def test_the_places_of_the_results_are_named_once_each(tmp_path: Path) -> None:
    def results(folders: range) -> list[VideoResult]:
        names = [tmp_path / str(folder) / name for folder in folders for name in ("a", "b")]
        return [VideoResult(name, "done", ethogram_csv=name) for name in names]

    failed = VideoResult(tmp_path / "c", "failed", error="broken")
    assert describe_places([failed], None) == describe_places([failed], tmp_path) == []
    two = describe_places([failed, *results(range(2))], None)
    assert two == [f"results: {tmp_path / '0'}", f"results: {tmp_path / '1'}"]
    assert describe_places(results(range(2)), tmp_path) == [f"results: {tmp_path}"]
    assert describe_places(results(range(6)), None)[4:] == [
        f"results: {tmp_path / '4'}",
        "results: 1 folder more",
    ]


@given(number=st.integers(0, 50), of=st.integers(1, 12))
def test_the_parts_hold_every_item_once_and_are_of_like_size(number: int, of: int) -> None:
    items = list(range(number))
    parts = [take_shard(items, (part, of)) for part in range(1, of + 1)]
    assert sorted(item for part in parts for item in part) == items
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_part_is_written_with_a_slash() -> None:
    assert parse_shard("3/8") == (3, 8)


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "a/b", "1/", "-1/2", "1/2/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a part of a whole"):
        parse_shard(text)


def test_a_result_survives_json() -> None:
    result = VideoResult(Path("a.mp4"), "done", 10, 2.0, Path("x.csv"), {"lick": 0.25})
    failed = VideoResult(Path("b.mp4"), "failed", error="it is damaged")
    for each in (result, failed):
        assert VideoResult.from_dict(json.loads(each.to_line())) == each


def test_the_time_left_goes_by_bytes_and_leaves_out_what_was_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"a": 100, "b": 200, "c": 400}
    sources = [tmp_path / name for name in sizes]
    for source in sources:
        source.write_bytes(bytes(sizes[source.name]))
    clock = iter([0.0, 20.0, 60.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    lines: list[str] = []

    class Listen(SilentProgress):
        def message(self, text: str) -> None:
            lines.append(text)

    told: list[VideoResult] = []
    tally = Tally(sources, Listen(), told.append)
    tally.add(VideoResult(sources[0], "skipped", 5))
    tally.add(VideoResult(sources[1], "done", 10, 2.0))
    tally.add(VideoResult(sources[2], "done", 10, 2.0))
    assert lines == [
        "[1/3] a: done before, skipped",
        "[2/3] b: 10 frames at 5.0/s; about 40 s left for all",
        "[3/3] c: 10 frames at 5.0/s",
    ]
    assert told == tally.results
