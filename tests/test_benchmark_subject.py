"""What is measured: the whole video goes through the same networks, in batches or end to end."""

from __future__ import annotations

import pytest

from pixelethogram.benchmark_subject import (
    Case,
    build_subject,
    compare_with_fp32,
    cut_batches,
    run_batches,
    run_end_to_end,
)

SMALL = {"num_frames": 12, "batch_size": 4, "device": "cpu"}


@pytest.fixture
def case(small_streams: None) -> Case:
    """Small streams; the flow network is small because of the size."""
    return Case("fast", 32, 64, 1, "fp32")


def test_a_case_is_named_width_first(case: Case) -> None:
    assert case.name == "fast 64x32 stride 1 fp32"
    assert (case.build_config(4).frames.height, case.build_config(4).frames.width) == (32, 64)


def test_the_video_is_predicted_as_its_batches_are(case: Case) -> None:
    with build_subject(case, **SMALL) as subject:  # type: ignore[arg-type]
        engine = subject.engine("fp32")
        rate, probabilities = run_end_to_end(subject, engine)
        assert rate > 0
        assert probabilities.shape == (12, 5)
        batches = cut_batches(subject)
        once = run_batches(engine, batches)
        assert once.shape == (12, 5)
        assert once.equal(run_batches(engine, batches))
        assert compare_with_fp32(subject, engine, batches) == 0
        assert 0 < compare_with_fp32(subject, subject.engine("bf16"), batches) < 0.05
