"""The benchmark: its cases, its figures on small networks, its ratios."""

from __future__ import annotations

import pytest

from pixelethogram import measuring
from pixelethogram.benchmark import (
    COLUMNS,
    PAPER,
    Case,
    build_subject,
    cut_batches,
    find_ratios,
    list_cases,
    measure_batch_curve,
    run_batches,
    run_cases,
    run_end_to_end,
)
from pixelethogram.progress import SilentProgress

SMALL = {"num_frames": 12, "batch_size": 4, "device": "cpu"}


@pytest.fixture
def case(small_streams: None, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Small streams; the flow network is small because of the size."""
    monkeypatch.setitem(measuring.MATRIX_SIZE, "cpu", 32)
    return Case("fast", 32, 32, 1, "fp32")


def test_every_combination_is_a_case_with_both_strides() -> None:
    cases = list_cases(["fast", "slow"], [(32, 64)], ["fp32", "fp32", "bf16"], "cpu")
    assert [case.name for case in cases][:3] == [
        "fast 32x64 stride 1 fp32",
        "fast 32x64 stride 10 fp32",
        "fast 32x64 stride 1 bf16",
    ]
    assert len(cases) == 8


def test_all_figures_are_there_and_agree_with_each_other(case: Case) -> None:
    found = run_cases([case], **SMALL, budget=0.0, progress=SilentProgress())  # type: ignore[arg-type]
    (row,) = found["cases"]
    assert set(COLUMNS) <= set(row)
    assert row["largest_change"] == 0.0  # fp32 against fp32
    for name in ("decode", "transfer", "flow", "spatial", "flow stream", "sequence", "write"):
        assert row[name] > 0, name
    assert row["tflops"] == pytest.approx(row["end_to_end"] * row["gflop_per_frame"] / 1000)
    assert row["share_of_layers"] == pytest.approx(row["end_to_end"] / row["layers"])
    # TinyMotionNet needs 33.4 GFLOP for 256 x 256 pixels; the streams are almost nothing here
    assert row["gflop_per_frame"] == pytest.approx(33.4 / 64, rel=0.02)
    assert found["machine"]["matrix_product_tflops"]["fp32"] > 0


def test_the_video_is_predicted_as_its_batches_are(case: Case) -> None:
    with build_subject(case, **SMALL) as subject:  # type: ignore[arg-type]
        rate, probabilities = run_end_to_end(subject)
        assert rate > 0
        assert probabilities.shape == (12, 5)
        engine = subject.engine("fp32")
        once = run_batches(engine, cut_batches(subject))
        assert once.shape == (12, 5)
        assert once.equal(run_batches(engine, cut_batches(subject)))
        assert set(measure_batch_curve(subject, "fp32", (1, 4))) == {1, 4}


def test_ratios_are_those_of_the_first_pair() -> None:
    rows = [{"stride": 1, "end_to_end": 2.0}, {"stride": 10, "end_to_end": 7.0}]
    assert find_ratios([*rows, {"stride": 1, "end_to_end": 9.0}]) == {"stride10_over_stride1": 3.5}
    assert find_ratios(rows[:1]) == {}


def test_the_published_rates_are_those_of_the_paper() -> None:
    assert PAPER[256, 256] == {"fast": 235, "medium": 128, "slow": 34}
    assert len(PAPER) == 5
