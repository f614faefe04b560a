"""How well human raters agree: the tables of docs/raters.md.

    python tools/rater_agreement.py STURMAN_FOLDER BEHAVIORDEPOT_FOLDER

The folder of Sturman et al. 2020 holds `meta.json`, `human_human.json` (figures computed by others,
beside which ours are shown) and one `<assay>_<number>.npz` per video with an array `labels_<rater>`
(frames, behaviors) per rater. That of BehaviorDEPOT holds `meta.json`, with such figures in it, and
one `<video>.npz` per video. One or more folders of either kind; prints Markdown.
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
from pixelethogram.ethogram.scores import score

Raters = dict[str, dict[str, np.ndarray]]
"""Rater -> video -> (T, K) int8."""
PREFIX = "labels_"
NOVICE = "novice"
RULE = "bdepot_freezing"  # what the rule published with the data says
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


def read_freezing(folder: Path, *, novice: bool) -> tuple[Raters, list[str]]:
    """Labels and behaviors of the recordings that several people scored.

    Args:
        folder: With one `<video>.npz` per recording; where it has an array `scored` (frames,), its
            zeros are frames that nobody scored, as is -1 among the labels.
        novice: Keep the rater of that name.
    """
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    raters: Raters = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            names = [name for name in arrays if name.startswith(PREFIX)]
            for name in names if len(names) > 1 else []:
                labels = _read_scored(arrays, name)
                raters.setdefault(name.removeprefix(PREFIX), {})[path.stem] = labels
    if not novice:
        raters.pop(NOVICE, None)
    return raters, meta["behaviors"]


def published_freezing(folder: Path) -> dict[str, list[Any]]:
    """Pair -> (no share alike, F1, F1) as meta.json has it; no mean is given there."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    found = {pair: f1 for video in meta["videos"] for pair, f1 in video.get("F1", {}).items()}
    return {pair.replace("/", " / "): [None, f1, f1] for pair, f1 in found.items()}


def rule_rows(folder: Path) -> list[list[Any]]:
    """Rows (recording, frames, F1, F1 in the data) of the published rule against one person."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    rows: list[list[Any]] = []
    for video in meta["videos"]:
        with np.load(folder / f"{video['id']}.npz") as arrays:
            if RULE not in arrays:
                continue
            labels = _read_scored(arrays, "labels")
            present = arrays[RULE].reshape(labels.shape) == 1
        f1 = score(labels, None, present, meta["behaviors"]).macro_f1
        frames = int((labels >= 0).any(axis=1).sum())
        rows.append([video["id"], frames, f1, video["behaviordepot_classifier_F1_vs_human"]])
    return rows


def describe(folder: Path, variant: str) -> str:
    """Heading and tables of one variant of Sturman et al."""
    raters, behaviors = read_variant(folder, variant)
    published = {row[0]: row[1:] for row in published_rows(folder, variant, behaviors)}
    return _write_section(VARIANTS[variant], raters, behaviors, published)


def describe_freezing(folder: Path) -> str:
    """Headings and tables of BehaviorDEPOT's recordings: all raters, the experts, the rule."""
    published = published_freezing(folder)
    sections = [
        _write_section(title, *read_freezing(folder, novice=novice), published)
        for title, novice in (("Freezing", True), ("Freezing without the novice", False))
    ]
    columns = ["the published rule", "frames", "F1", "F1, figure in the data"]
    return "\n\n".join([*sections, to_markdown(columns, rule_rows(folder))])


def describe_folder(folder: Path) -> str:
    """Everything there is to say about a folder of either kind."""
    if (folder / "human_human.json").is_file():
        return "\n\n".join(describe(folder, variant) for variant in VARIANTS)
    return describe_freezing(folder)


def _read_scored(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Labels (T, K), -1 where nobody looked."""
    labels = arrays[name].astype(np.int8)
    if "scored" in arrays:
        labels[arrays["scored"] == 0] = -1
    return labels


def _write_section(
    title: str,
    raters: Raters,
    behaviors: Sequence[str],
    published: Mapping[str, Sequence[Any]],
) -> str:
    pairs = compare_pairs(raters, behaviors)
    rows = []
    for row in pair_rows(pairs, behaviors):
        rows.append(row)
        if row[0] in published:
            rows.append([f"{row[0]}, figure in the data", None, None, *published[row[0]]])
    of_all = kappa_of_all(raters, len(behaviors))
    return "\n\n".join(
        [
            f"## {title}",
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
    parser.add_argument("folders", type=Path, nargs="+")
    folders = parser.parse_args().folders
    print("\n\n".join(map(describe_folder, folders)))  # noqa: T201


if __name__ == "__main__":
    main()
