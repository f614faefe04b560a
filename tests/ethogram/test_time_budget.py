"""A day of one animal whose numbers are known; what nobody scored changes none of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pixelethogram.errors import UsageError
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.ethogram.time_budget import MEASURES, Row, build_rows, summarize_groups

FPS = 10.0


def ethogram(*columns: str) -> Ethogram:
    """Columns as text: 1 present, 0 absent, . not scored."""
    values = [[{"1": 1, "0": 0, ".": -1}[cell] for cell in column] for column in columns]
    names = ("lick", "groom", "rear")[: len(columns)]
    return Ethogram(np.array(values, np.int8).T, names, FPS)


def values_of(rows: list[Row], **wanted: object) -> dict[str, float]:
    return {
        row.measure: row.value
        for row in rows
        if all(getattr(row, name) == value for name, value in wanted.items())
    }


def test_the_numbers_of_a_known_day() -> None:
    rows = build_rows({"a": ethogram("0011100110")}, {"a": "drug"})
    found = values_of(rows, behavior="lick", to="")
    assert found == pytest.approx(
        {
            "scored_seconds": 1.0,
            "unscored_seconds": 0.0,
            "time_fraction": 0.5,
            "time_seconds": 0.5,
            "num_bouts": 2,
            "bouts_per_minute": 120,
            "mean_seconds": 0.25,
            "median_seconds": 0.25,
            "latency_seconds": 0.2,
            "mean_interval_seconds": 0.2,
            "median_interval_seconds": 0.2,
        }
    )
    assert {row.group for row in rows} == {"drug"}
    assert all(row.unit == MEASURES[row.measure][0] for row in rows)


def test_a_behavior_that_never_occurs_has_no_durations_and_no_latency() -> None:
    found = values_of(build_rows({"a": ethogram("0000")}, {}), behavior="lick", to="")
    empty = {name for name, value in found.items() if math.isnan(value)}
    assert empty == {
        *("mean_seconds", "median_seconds", "latency_seconds"),
        *("mean_interval_seconds", "median_interval_seconds"),
    }
    assert found["num_bouts"] == found["time_fraction"] == 0


def test_frames_nobody_scored_change_nothing_but_their_own_number() -> None:
    """The same scored frames with unscored ones around them, and between its pauses."""
    plain = values_of(build_rows({"a": ethogram("0110010")}, {}), behavior="lick", to="")
    wide = values_of(build_rows({"a": ethogram("...0110010..")}, {}), behavior="lick", to="")
    assert wide.pop("unscored_seconds") == pytest.approx(0.5)
    assert plain.pop("unscored_seconds") == 0
    assert wide == pytest.approx(plain)


def test_a_gap_that_nobody_scored_is_no_pause() -> None:
    found = values_of(build_rows({"a": ethogram("1.1001")}, {}), behavior="lick", to="")
    assert found["mean_interval_seconds"] == pytest.approx(0.2)
    assert found["num_bouts"] == 3


def test_transitions_say_what_follows_what() -> None:
    rows = build_rows({"a": ethogram("110000", "001100")}, {})
    assert values_of(rows, behavior="lick", to="groom") == {
        "transitions": 1,
        "transition_share": 1,
    }
    assert values_of(rows, behavior="groom", to="none")["transitions"] == 1
    assert math.isnan(values_of(rows, behavior="none", to="lick")["transition_share"])


def test_time_bins_add_up_to_the_whole() -> None:
    generator = np.random.default_rng(0)
    trace = "".join(generator.choice(list("01."), 47, p=[0.5, 0.4, 0.1]))
    rows = build_rows({"a": ethogram(trace)}, {}, bin_seconds=0.7)
    whole = values_of(rows, behavior="lick", to="", start_seconds=0.0)
    bins = [row for row in rows if not math.isnan(row.stop_seconds)]
    whole = values_of([row for row in rows if math.isnan(row.stop_seconds)], behavior="lick", to="")
    for measure in ("scored_seconds", "time_seconds", "num_bouts"):
        assert sum(row.value for row in bins if row.measure == measure) == pytest.approx(
            whole[measure]
        )
    edges = sorted({(row.start_seconds, row.stop_seconds) for row in bins})
    assert len(edges) == 7 and edges[-1] == pytest.approx((4.2, 4.9))


def test_videos_of_nearly_the_same_frame_rate_share_their_bins() -> None:
    """Forty seconds at 30 and at 29.97 frames per second: four bins of both, none of one alone."""
    ethograms = {
        name: Ethogram(np.ones((number, 1), np.int8), ("lick",), fps)
        for name, number, fps in (("a", 1200, 30.0), ("b", 1199, 29.97))
    }
    groups = summarize_groups(build_rows(ethograms, {}, bin_seconds=10.0))
    bins = [each for each in groups if each["measure"] == "time_fraction" and each["stop_seconds"]]
    assert [(each["start_seconds"], each["num_videos"]) for each in bins] == [
        (start, 2) for start in (0.0, 10.0, 20.0, 30.0)
    ]


def test_less_than_half_a_frame_is_no_bin() -> None:
    """300 frames are 10.01 s: what is left after the first bin of 10 s is shorter than a frame."""
    video = Ethogram(np.ones((300, 1), np.int8), ("lick",), 29.97)
    rows = build_rows({"a": video}, {}, bin_seconds=10.0)
    assert {row.start_seconds for row in rows if not math.isnan(row.stop_seconds)} == {0.0}


def test_a_bin_nobody_scored_has_no_values() -> None:
    rows = build_rows({"a": ethogram("11....")}, {}, bin_seconds=0.3)
    second = values_of(rows, start_seconds=0.3)
    assert second.pop("scored_seconds") == 0
    assert all(math.isnan(value) for value in second.values())


def test_bins_shorter_than_a_frame_are_refused() -> None:
    with pytest.raises(UsageError, match="shorter than a frame"):
        build_rows({"a": ethogram("11")}, {}, bin_seconds=0.05)


def test_groups_are_summarised_over_videos_that_have_a_value() -> None:
    rows = build_rows(
        {"a": ethogram("1000"), "b": ethogram("1110"), "c": ethogram("0000"), "d": ethogram("11")},
        {"a": "x", "b": "x", "c": "x", "d": "y"},
    )
    found = {(each["group"], each["measure"]): each for each in summarize_groups(rows)}
    share = found["x", "time_fraction"]
    assert share["num_videos"] == 3
    assert share["mean"] == pytest.approx((0.25 + 0.75 + 0) / 3)
    assert share["median"] == pytest.approx(0.25)
    spread = np.std([0.25, 0.75, 0], ddof=1)
    assert (share["sd"], share["sem"]) == pytest.approx((spread, spread / math.sqrt(3)))
    assert found["x", "mean_seconds"]["num_videos"] == 2
    assert math.isnan(found["y", "time_fraction"]["sd"])
