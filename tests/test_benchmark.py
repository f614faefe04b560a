"""The benchmark: its cases, its figures on small networks, its ratios."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pixelethogram import measuring
from pixelethogram.benchmark import (
    COLUMNS,
    PAPER,
    find_ratios,
    list_cases,
    measure_batch_curve,
    run_cases,
)
from pixelethogram.benchmark_subject import Case, build_subject
from pixelethogram.progress import SilentProgress

SMALL = {"num_frames": 12, "batch_size": 4, "device": "cpu"}


@pytest.fixture
def case(small_streams: None, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Small streams; the flow network is small because of the size."""
    monkeypatch.setitem(measuring.MATRIX_SIZE, "cpu", 32)
    return Case("fast", 32, 32, 1, "fp32")


def test_every_combination_is_a_case_with_both_strides() -> None:
    cases = list_cases(["fast", "slow"], [(64, 32)], ["fp32", "fp32", "bf16"], "cpu")
    assert [case.name for case in cases][:3] == [
        "fast 64x32 stride 1 fp32",
        "fast 64x32 stride 10 fp32",
        "fast 64x32 stride 1 bf16",
    ]
    assert len(cases) == 8
    assert (cases[0].width, cases[0].height) == (64, 32)


def test_all_figures_are_there_and_agree_with_each_other(case: Case) -> None:
    found = run_cases([case], **SMALL, budget=0.0, rounds=3, progress=SilentProgress())  # type: ignore[arg-type]
    (row,) = found["cases"]
    assert set(COLUMNS) <= set(row)
    assert row["largest_change"] == 0.0  # fp32 against fp32
    for name in ("decode", "transfer", "flow", "spatial", "flow stream", "sequence", "write"):
        assert row[name] > 0, name
    assert row["tflops"] == pytest.approx(row["end_to_end"] * row["gflop_per_frame"] / 1000)
    assert 0 < row["share_of_layers"] < 1.5
    assert (row["end_to_end"] > 0, row["layers"] > 0, row["networks"] > 0) == (True,) * 3
    # TinyMotionNet needs 33.4 GFLOP for 256 x 256 pixels; the streams are almost nothing here
    assert row["gflop_per_frame"] == pytest.approx(33.4 / 64, rel=0.02)
    assert found["machine"]["matrix_product_tflops"]["fp32"] > 0


def test_the_batch_curve_has_a_rate_per_size(case: Case) -> None:
    with build_subject(case, **SMALL) as subject:  # type: ignore[arg-type]
        curve = measure_batch_curve(subject, "fp32", (1, 4))
    assert set(curve) == {1, 4} and min(curve.values()) > 0


class TestShortMemory:
    """The second of three cases does not fit."""

    def run(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> tuple[Any, Any, list[str]]:
        monkeypatch.setitem(measuring.MATRIX_SIZE, "cpu", 32)
        kept: list[list[str]] = []
        lines: list[str] = []

        class Listen(SilentProgress):
            def message(self, text: str) -> None:
                lines.append(text)

        def measure(case: Case, _: Any, **__: Any) -> dict[str, Any]:
            if case.preset == "medium":
                raise error
            return {"case": case.name, "stride": case.stride, "end_to_end": float(case.stride)}

        cases = [Case(name, 32, 32, 1, "fp32") for name in ("fast", "medium", "slow")]
        found = run_cases(
            cases,
            **SMALL,  # type: ignore[arg-type]
            budget=0.0,
            rounds=1,
            progress=Listen(),
            keep=lambda found: kept.append([row["case"] for row in found["cases"]]),
            measure=measure,
        )
        return found, kept, lines

    @pytest.mark.parametrize(
        "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("no memory")]
    )
    def test_it_is_said_and_left_out_and_every_case_is_kept_at_once(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        found, kept, lines = self.run(monkeypatch, error)
        fast, medium, slow = (f"{name} 32x32 stride 1 fp32" for name in ("fast", "medium", "slow"))
        assert [row["case"] for row in found["cases"]] == [fast, slow]
        assert found["left_out"] == [medium]
        assert kept == [[fast], [fast], [fast, slow]]
        assert lines == [f"{medium}: not enough memory; left out"]

    def test_other_errors_stop_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(RuntimeError, match="sizes"):
            self.run(monkeypatch, RuntimeError("sizes do not match"))


def test_ratios_are_those_of_the_first_pair() -> None:
    rows = [{"stride": 1, "end_to_end": 2.0}, {"stride": 10, "end_to_end": 7.0}]
    assert find_ratios([*rows, {"stride": 1, "end_to_end": 9.0}]) == {"stride10_over_stride1": 3.5}
    assert find_ratios(rows[:1]) == {}


def test_the_published_rates_are_those_of_the_paper() -> None:
    assert PAPER[256, 256] == {"fast": 235, "medium": 128, "slow": 34}
    assert len(PAPER) == 5
