"""Human against human on real labels: equal to scikit-learn, to the data's figures, to the docs."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from pixelethogram.ethogram.rater_tables import compare_pairs, pair_rows

ROOT = Path(__file__).resolve().parents[2]
tool = SimpleNamespace(
    **runpy.run_path(str(ROOT / "tools" / "rater_agreement.py"), run_name="tool")
)
COMPLETE = [name for name in tool.VARIANTS if name != "OFT"]


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "sturman_labels"


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """Ten frames of two experts and a novice, and four frames of a person and a rule."""
    anna = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 1], np.int8)[:, None]
    ben = np.array([1, 1, 0, 0, 0, 0, 0, 1, 0, 0], np.int8)[:, None]
    ben[6] = -1
    scored = np.array([1] * 8 + [0] * 2, np.uint8)
    both = {"labels_anna": anna, "labels_ben": ben, "labels_novice": 1 - anna}
    np.savez(tmp_path / "many.npz", **both, scored=scored)
    person, rule = np.array([[1], [1], [0], [-1]], np.int8), np.array([1, 0, 0, 1], np.uint8)
    np.savez(tmp_path / "one.npz", labels=person, bdepot_freezing=rule)
    videos = [
        {"id": "one", "behaviordepot_classifier_F1_vs_human": 0.5},
        {"id": "many", "F1": {"anna/ben": 0.25}},
    ]
    meta = {"behaviors": ["freezing"], "videos": videos}
    (tmp_path / "meta.json").write_text(json.dumps(meta), "utf-8")
    return tmp_path


def test_frames_that_somebody_did_not_score_count_for_nothing(made_up: Path) -> None:
    lines = tool.describe_freezing(made_up).splitlines()
    f1 = 2 * 2 / (2 * 2 + 3)  # of 7 frames that both scored: 2 by both, 3 by one of them
    assert f"| anna / ben | 1 | 7 | {4 / 7:.4f} | {f1:.4f} | {f1:.4f} |" in lines
    assert "| anna / ben, figure in the data |  |  |  | 0.2500 | 0.2500 |" in lines
    assert "| anna / novice | 1 | 8 | 0.0000 | 0.0000 | 0.0000 |" in lines


def test_the_novice_is_left_out_and_the_rule_is_judged_by_one_person(made_up: Path) -> None:
    page = tool.describe_folder(made_up)
    everybody, experts = page.split("## Freezing without the novice")
    assert ("novice" in everybody, "anna / novice" in experts) == (True, False)
    assert experts.splitlines()[-1] == f"| one | 3 | {2 / 3:.4f} | 0.5000 |"


@pytest.mark.parametrize("variant", tool.VARIANTS)
def test_f1_and_kappa_equal_scikit_learn(folder: Path, variant: str) -> None:
    raters, behaviors = tool.read_variant(folder, variant)
    joined = {name: np.concatenate(list(videos.values())) for name, videos in raters.items()}
    pairs = compare_pairs(raters, behaviors)
    assert len(pairs) == len(raters) * (len(raters) - 1) / 2
    for pair in pairs:
        first, second = (joined[name] for name in pair.raters)
        f1 = (
            f1_score(first, second, average=None) if len(behaviors) > 1 else f1_score(first, second)
        )
        np.testing.assert_allclose(pair.scores.f1, np.atleast_1d(f1), rtol=0, atol=1e-12)
        kappas = [
            cohen_kappa_score(first[:, column], second[:, column])
            for column in range(len(behaviors))
        ]
        np.testing.assert_allclose(pair.kappa, kappas, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", COMPLETE)
def test_figures_equal_those_that_came_with_the_data(folder: Path, variant: str) -> None:
    raters, behaviors = tool.read_variant(folder, variant)
    published = {row[0]: row[1:] for row in tool.published_rows(folder, variant, behaviors)}
    found = {row[0]: row[3:] for row in pair_rows(compare_pairs(raters, behaviors), behaviors)}
    assert set(found) == set(published)
    for name, values in found.items():
        rounded = 1e-4 if name == "mean" else 5.1e-5  # theirs is the mean of rounded figures
        np.testing.assert_allclose(values, published[name], rtol=0, atol=rounded)


def test_the_page_shows_what_the_program_prints(folder: Path) -> None:
    page = (ROOT / "docs" / "raters.md").read_text("utf-8")
    for variant in tool.VARIANTS:
        assert tool.describe(folder, variant) in page
    assert tool.describe_freezing(folder.with_name("bdepot")) in page


def test_f1_of_freezing_equals_the_figures_that_came_with_the_data(real_data: Path) -> None:
    folder = real_data / "bdepot"
    published = tool.published_freezing(folder)
    raters, behaviors = tool.read_freezing(folder, novice=True)
    found = {row[0]: row[5] for row in pair_rows(compare_pairs(raters, behaviors), behaviors)}
    assert {*found} - {*published} == {"mean"}
    for pair, (*_, f1) in published.items():
        assert found[pair] == pytest.approx(f1, abs=5.1e-5)
    ((_, _, ours, theirs),) = tool.rule_rows(folder)
    assert ours == pytest.approx(theirs, abs=5.1e-5)


def test_a_table_in_markdown() -> None:
    table = tool.to_markdown(["pair", "F1"], [["a / b", 0.5], ["mean", None]])
    assert table.splitlines() == [
        "| pair | F1 |",
        "| --- | --- |",
        "| a / b | 0.5000 |",
        "| mean |  |",
    ]
