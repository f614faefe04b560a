"""Human against human on real labels: equal to scikit-learn, to the data's figures, to the docs."""

from __future__ import annotations

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


def test_a_table_in_markdown() -> None:
    table = tool.to_markdown(["pair", "F1"], [["a / b", 0.5], ["mean", None]])
    assert table.splitlines() == [
        "| pair | F1 |",
        "| --- | --- |",
        "| a / b | 0.5000 |",
        "| mean |  |",
    ]
