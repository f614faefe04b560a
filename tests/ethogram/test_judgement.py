"""All metrics at once are those that each function gives, and every number has its row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pixelethogram.ethogram.judgement import ALL, Judgement, judge
from pixelethogram.ethogram.scores import score
from pixelethogram.toy import toy_bouts

NAMES = ("lick", "groom")


def draw(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.stack([toy_bouts(generator, 300, (0, 1)) for _ in NAMES], axis=1).astype(np.int8)


def judge_copy(*, flipped: int = 0, exclusive: bool = False) -> Judgement:
    """A prediction that equals the labels except in the first frames of each video."""
    labels = [draw(seed) for seed in range(4)]
    if exclusive:
        labels = [np.stack([video[:, 0], 1 - video[:, 0]], axis=1) for video in labels]
    present = [video == 1 for video in labels]
    for video in present:
        video[:flipped] = ~video[:flipped]
    probabilities = [0.8 * video + 0.1 for video in present]
    return judge(
        labels, probabilities, present, [30.0] * 4, NAMES, exclusive=exclusive, chance_repetitions=3
    )


def numbers(judgement: Judgement) -> dict[tuple[str, str], float]:
    return {(row.metric, row.behavior): row.value for row in judgement.rows()}


def test_a_perfect_prediction() -> None:
    found = numbers(judge_copy())
    for metric in ("f1", "precision", "recall", "average_precision", "auroc", "segmental_f1@50"):
        assert found[metric, ALL] == found[metric, "lick"] == pytest.approx(1)
    for metric in ("onset_median", "offset_p90", "time_fraction: mean_absolute_difference"):
        assert found[metric, "groom"] == 0
    assert found["edit", ALL] == 100
    assert found["time_fraction: pearson_r", "lick"] == pytest.approx(1)
    assert found["transition_similarity", ALL] == pytest.approx(1)
    assert found["calibration_error", "lick"] == pytest.approx(0.1)
    assert found["videos", ALL] == 4
    assert np.isnan(found["edit_of_order", ALL])
    assert found["f1_chance", ALL] < 1


def test_calibration_is_judged_before_and_after_it() -> None:
    """Honest ones and zeros that were 0.8 and 0.2 before: an error of 0.2, then none."""
    labels = [draw(seed) for seed in range(3)]
    present = [video == 1 for video in labels]
    given = (labels, [each.astype(float) for each in present], present, [30.0] * 3, NAMES)
    cured = judge(*given, exclusive=False, raw=[0.6 * each + 0.2 for each in present])
    found = numbers(cured)
    assert found["calibration_error_before", ALL] == pytest.approx(0.2)
    assert found["calibration_error", ALL] == pytest.approx(0)
    assert ("calibration_error_before", ALL) not in numbers(judge(*given, exclusive=False))


def test_numbers_are_those_of_the_functions_and_inside_of_their_intervals() -> None:
    judgement = judge_copy(flipped=60)
    labels = np.concatenate([draw(seed) for seed in range(4)])
    present = np.concatenate([draw(seed) == 1 for seed in range(4)])
    where = np.arange(1200) % 300 < 60
    present[where] = ~present[where]
    expected = score(labels, None, present, NAMES)
    rows = {(row.metric, row.behavior): row for row in judgement.rows()}
    for name, value in zip(NAMES, expected.f1, strict=True):
        row = rows["f1", name]
        assert row.value == pytest.approx(value)
        assert row.low <= row.value <= row.high
        assert row.low < row.high
    assert rows["f1", ALL].value == pytest.approx(expected.macro_f1)


def test_what_is_no_better_than_chance_is_said_by_name() -> None:
    """`lick` is known, `groom` is drawn by lot, nobody ever sees `rear`."""
    assert judge_copy().find_chance() == {}
    labels = [np.insert(draw(seed), 2, 0, axis=1) for seed in range(4)]
    present = [video == 1 for video in labels]
    for seed, video in enumerate(present):
        video[:, 1] = np.random.default_rng(seed).random(len(video)) < 0.05
    found = judge(labels, present, present, [30.0] * 4, (*NAMES, "rear"), exclusive=False)
    said = found.find_chance()
    assert list(said) == ["groom"] == found.to_dict()["no_better_than_chance"]
    high = numbers(found)["f1_chance_high", "groom"]
    assert numbers(found)["f1", "groom"] <= high
    assert said["groom"].startswith("groom: no better than chance (F1 0.")
    assert said["groom"].endswith(f"95 % of shifted labels reach at most {high:.2f})")
    blind = [np.zeros_like(video) for video in present]
    nothing = judge(labels, blind, blind, [30.0] * 4, (*NAMES, "rear"), exclusive=False)
    assert list(nothing.find_chance()) == ["lick", "groom", ALL]


def test_where_behaviors_exclude_each_other_their_order_is_judged() -> None:
    judgement = judge_copy(exclusive=True)
    assert numbers(judgement)["edit_of_order", ALL] == 100
    assert judgement.confusion.shape == (3, 3)
    assert judge_copy().confusion.shape == (2, 2)


def test_every_number_can_be_written_as_json() -> None:
    plain = json.loads(json.dumps(judge_copy(flipped=9).to_dict(), allow_nan=False))
    assert plain["metrics"]["f1"]["lick: low"] <= plain["metrics"]["f1"]["lick"]
    assert plain["metrics"]["edit_of_order"] == {ALL: None}
