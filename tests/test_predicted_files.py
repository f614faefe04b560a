"""What prediction leaves is taken for the answer to the same question only."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.predicted_files import (
    Answer,
    Maker,
    Target,
    heed_facts,
    read_result,
    refuse_same_names,
    write_result,
)

DECISION = Decision(("lick", "rear"), np.array([0.5, 0.5]), np.array([0, 0]), False)
MAKER = Maker("2026-01-01_run", DECISION, exact=False, precision="bf16", rater="anna")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """A recording with results of four frames."""
    target = Target(tmp_path / "a.csv", tmp_path / "out", "123", Facts(30.0, 100, 200))
    probabilities = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.1], [0.1, 0.9]])
    ethogram = Ethogram((probabilities > 0.5).astype(np.int8), DECISION.behaviors, 30.0)
    write_result(target, MAKER, Answer(ethogram, probabilities, ["darker"]), 2.0)
    return target


def test_the_same_question_has_its_answer_already(target: Target) -> None:
    result = read_result(target, MAKER)
    assert result is not None
    assert (result.status, result.num_frames, result.share) == (
        "skipped",
        4,
        {"lick": 0.5, "rear": 0.5},
    )
    assert result.unlike_training == ["darker"]
    record = json.loads(target.stamp.read_text("utf-8"))
    assert record["facts"] == {"fps": 30.0, "height": 100, "width": 200}
    assert (record["precision"], record["exact"], record["rater"]) == ("bf16", False, "anna")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": "other"}, "by another run, 2026-01-01_run"),
        ({"exact": True, "precision": "fp32"}, "without --exact, in bf16 instead of fp32"),
        ({"rater": "ben"}, "as rater anna would score it, not ben"),
        ({"decision": DECISION.with_thresholds({"lick": 0.7})}, "with other thresholds"),
    ],
)
def test_another_way_to_make_it_is_refused(
    target: Target, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_result(target, dataclasses.replace(MAKER, **change))
    assert "--overwrite" in str(error.value)


@pytest.mark.parametrize("facts", [Facts(25.0, 100, 200), Facts(30.0, 100, 300), Facts()])
def test_another_rate_or_size_is_refused(target: Target, facts: Facts) -> None:
    with pytest.raises(InputError, match="another --fps or --size"):
        read_result(dataclasses.replace(target, facts=facts), MAKER)


def test_exact_on_a_machine_that_computes_in_fp32_anyway_is_the_same(target: Target) -> None:
    plain = dataclasses.replace(MAKER, precision="fp32")
    answer = Answer(
        Ethogram(np.zeros((4, 2), np.int8), DECISION.behaviors, 30.0), np.zeros((4, 2)), []
    )
    write_result(target, plain, answer, 1.0)
    assert read_result(target, dataclasses.replace(plain, exact=True)) is not None


def test_a_job_that_goes_on_with_another_kind_of_device_skips_what_is_done(target: Target) -> None:
    assert read_result(target, dataclasses.replace(MAKER, precision="fp16")) is not None


def test_what_an_older_version_left_is_not_guessed_about(target: Target) -> None:
    record = json.loads(target.stamp.read_text("utf-8"))
    del record["precision"], record["facts"]
    target.stamp.write_text(json.dumps(record), "utf-8")
    with pytest.raises(InputError, match="older version, which did not note its precision, facts"):
        read_result(target, MAKER)


def test_another_recording_or_a_missing_table_is_to_do(target: Target) -> None:
    assert read_result(dataclasses.replace(target, sha256="456"), MAKER) is None
    target.ethogram_csv.unlink()
    assert read_result(target, MAKER) is None


def test_size_and_rate_matter_for_poses_only(tmp_path: Path) -> None:
    table = tmp_path / "pose.csv"
    table.write_text("video_frame,mouse_id,bodypart,x,y\n0,1,nose,1,1\n")
    facts = Facts(30.0, 10, 10)
    assert heed_facts(table, facts) == facts
    assert heed_facts(tmp_path / "video.mp4", facts) == Facts()
    assert heed_facts(table, None) == Facts()


def test_recordings_of_one_name_and_place_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "1" / "a.mp4", tmp_path / "2" / "a.mp4"
    refuse_same_names([(first, Path("1")), (second, Path("2")), (first, Path("1"))])
    with pytest.raises(InputError, match=r"two recordings are called a\.mp4"):
        refuse_same_names([(first, Path()), (second, Path())])
