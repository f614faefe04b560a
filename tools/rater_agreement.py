"""How well human raters agree: the tables of docs/raters.md from the labels of Sturman et al. 2020.

    python tools/rater_agreement.py FOLDER

FOLDER holds `meta.json`, `human_human.json` (figures computed by others, beside which ours are
shown) and one `<assay>_<number>.npz` per video with an array `labels_<rater>` (frames, behaviors)
per rater. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.ethogram.rater_tables import (
    compare_pairs,
    kappa_of_all,
    kappa_rows,
    pair_rows,
)

Raters = dict[str, dict[str, np.ndarray]]
"""Rater -> video -> (T, K) int8."""
FIXED = "Jin_fixed"  # EPM_13: five intervals that were typed Start_End
VARIANTS = {
    "OFT": "OFT",
    "EPM": "EPM",
    "EPM_fixed_EPM13_Jin": "EPM, Jin's typing errors in EPM_13 mended",
    "FST": "FST",
    "FST_without_Jin": "FST without Jin",
}


def read_raters(folder: Path, assay: str, names: Sequence[str], *, fixed: bool) -> Raters:
    """Labels of an assay by rater and video."""
    raters: Raters = {name: {} for name in names}
    for path in sorted(folder.glob(f"{assay}_*.npz")):
        with np.load(path) as arrays:
            for name in names:
                mended = fixed and name == "Jin" and f"labels_{FIXED}" in arrays
                array = arrays[f"labels_{FIXED if mended else name}"]
                raters[name][path.stem] = array.astype(np.int8)
    return raters


def read_variant(folder: Path, variant: str) -> tuple[Raters, list[str]]:
    """Labels and behaviors of an entry of `VARIANTS`."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    assay = variant.split("_")[0]
    names = [
        name for name in meta["raters"][assay] if (variant, name) != ("FST_without_Jin", "Jin")
    ]
    fixed = variant == "EPM_fixed_EPM13_Jin"
    return read_raters(folder, assay, names, fixed=fixed), meta["behaviors"][assay]


def published_rows(folder: Path, variant: str, behaviors: Sequence[str]) -> list[list[Any]]:
    """Rows (pair, accuracy, macro F1, F1 of each behavior) of human_human.json."""
    found = json.loads((folder / "human_human.json").read_text("utf-8"))[variant]
    pairs = found["pairs"] if isinstance(found, Mapping) else found
    keys = ["accuracy", "macroF1", *behaviors]
    return [[each["pair"].replace("/", " / "), *(each[key] for key in keys)] for each in pairs]


def to_markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table with four decimals."""
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(value) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def describe(folder: Path, variant: str) -> str:
    """Heading and tables of one variant."""
    raters, behaviors = read_variant(folder, variant)
    pairs = compare_pairs(raters, behaviors)
    published = {row[0]: row[1:] for row in published_rows(folder, variant, behaviors)}
    rows = []
    for row in pair_rows(pairs, behaviors):
        rows += [row, [f"{row[0]}, figure in the data", None, None, *published[row[0]]]]
    of_all = kappa_of_all(raters, len(behaviors))
    return "\n\n".join(
        [
            f"## {VARIANTS[variant]}",
            to_markdown(["F1", "videos", "frames", "alike", "macro", *behaviors], rows),
            to_markdown(
                ["kappa", "videos", "frames", "mean", *behaviors], kappa_rows(pairs, of_all)
            ),
        ]
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print("\n\n".join(describe(folder, variant) for variant in VARIANTS))  # noqa: T201


if __name__ == "__main__":
    main()
