"""Cross-validated scores of the whole pipeline on a folder of labelled videos.

    python tools/make_real_projects.py DATA OUT          writes such folders from the real data sets
    python tools/measure_real.py OUT/mabe_triplet WORK --set frames.height=128 …
    python tools/measure_real.py OUT/fish WORK --exclusive --folds 5 --groups OUT/fish/groups.csv

One video: the splits are solved by time blocks, one fold per seed. Several videos: each group (or
video) is in the test part of exactly one fold. The flow needs no labels: it is trained once, on
the train part of the first fold, and every fold uses it, so it has seen frames that later folds
test, without labels. Prints scores
on the pooled test frames; no threshold, length or weight of features or sequence is chosen on them.

`--exact` extracts the features once more in fp32 and says by how much the scores change, and on how
many frames of the test part labels stay the same. Folded networks and a shared flow stay; so do the
sequence model and its thresholds, and streams choose theirs on val again.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.config_layers import load_config
from pixelethogram.ethogram.scores import chance_scores, score
from pixelethogram.evaluation import Evaluation
from pixelethogram.intake import LABELS_SUFFIX, add_recordings
from pixelethogram.pipeline import (
    Job,
    extract_project,
    predict_project,
    train_stage,
)
from pixelethogram.project import Project, create_project
from pixelethogram.project_evaluation import evaluate_project
from pixelethogram.splits import Segment
from pixelethogram.terminal import build_console, build_progress, build_table
from pixelethogram.training.device import choose_device


def main() -> None:
    """Run all folds and print the pooled scores."""
    arguments = parse_arguments()
    progress = build_progress(build_console())
    videos = sorted(path for path in arguments.folder.glob("*.mp4"))
    with next(arguments.folder.glob(f"*{LABELS_SUFFIX}")).open(encoding="utf-8") as file:
        behaviors = next(csv.reader(file))[1:]
    started = time.monotonic()
    flow_job = None
    folds, exact = [], []
    for fold in range(arguments.folds):
        project = prepare(
            arguments.work / f"fold {fold}", arguments.folder, behaviors, arguments.exclusive
        )
        config = load_config("fast", {}, [*arguments.set, f"seed={fold}"])
        job = Job(project, config, choose_device(arguments.device), progress)
        if len(videos) > 1 and not project.splits:
            project.write_splits(split_by_group(project, arguments.groups, fold, arguments.folds))
        if flow_job is None:
            train_stage(job, "flow")
            flow_job = job
        else:
            shutil.copytree(
                flow_job.project.runs / "flow", project.runs / "flow", dirs_exist_ok=True
            )
        train_stage(job, "features")
        extract_project(job)
        train_stage(job, "sequence")
        folds.append(predict_and_evaluate(job))
        print_scores(f"fold {fold}", [folds[-1]], behaviors)
        if arguments.exact:
            extract_project(job, overwrite=True, exact=True)
            exact.append(predict_and_evaluate(job))
    result = print_scores("all folds", folds, behaviors)
    if exact:
        result["exact"] = print_scores("all folds, fp32", exact, behaviors)
        result["largest_change_by_precision"] = find_largest_change(result, result["exact"])
        result["equal_labels"] = share_equal(folds, exact)
        print(
            f"16 bits change a macro F1 by up to {result['largest_change_by_precision']:.4f}; "
            f"of the sequence model's labels {result['equal_labels']:.2%} stay the same"
        )
    result["minutes"] = round((time.monotonic() - started) / 60, 1)
    print(f"{result['minutes']} minutes")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="videos with NAME.labels.csv beside them")
    parser.add_argument("work", type=Path, help="where the projects are made")
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument(
        "--groups", type=Path, help="CSV with columns video, group: groups stay together"
    )
    parser.add_argument("--exclusive", action="store_true")
    parser.add_argument("--exact", action="store_true", help="say what 16 bits change")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def predict_and_evaluate(job: Job) -> dict[str, Evaluation]:
    """Scores from the features as they lie there."""
    predict_project(job)
    return evaluate_project(job)


def prepare(folder: Path, videos: Path, behaviors: list[str], exclusive: bool) -> Project:
    """The project of a fold, made when missing."""
    if not (folder / "project.yaml").exists():
        create_project(folder, behaviors, exclusive=exclusive)
    project = Project(folder)
    progress = build_progress(build_console(json=True))
    add_recordings(project, [videos], copy=False, overwrite=False, progress=progress)
    return project


def split_by_group(
    project: Project, groups: Path | None, fold: int, num_folds: int
) -> dict[str, list[Segment]]:
    """Groups number fold, fold + folds, … are tested, the next ones validate, the others train."""
    names = {video.name: video.name for video in project.videos()}
    if groups:
        with groups.open(encoding="utf-8") as file:
            names |= {Path(row["video"]).stem: row["group"] for row in csv.DictReader(file)}
    order = list(dict.fromkeys(names[video.name] for video in project.videos()))
    part_of = {0: "test", 1: "val"}
    splits: dict[str, list[Segment]] = {"train": [], "val": [], "test": []}
    for video in project.videos():
        turn = (order.index(names[video.name]) - fold) % num_folds
        splits[part_of.get(turn, "train")].append(Segment(video.name, 0, video.num_frames))
    return splits


def print_scores(
    title: str, folds: list[dict[str, Evaluation]], behaviors: list[str]
) -> dict[str, Any]:
    """Scores of every predictor on the test frames of all folds together."""
    rows, plain = [], {}
    for name in folds[0]:
        parts = [fold[name].parts["test"] for fold in folds]
        labels = [stretch for part in parts for stretch in part.labels]
        present = [stretch for part in parts for stretch in part.present]
        found = score(np.concatenate(labels), None, np.concatenate(present), behaviors)
        chance = chance_scores(labels, present)
        rows.append([name, found.macro_f1, chance["macro_f1"], *found.f1.tolist()])
        plain[name] = {**found.to_dict(), "chance": chance}
    columns = ["F1", "macro", "chance", *behaviors]
    build_console().print(build_table(f"{title}: test frames", columns, rows))
    return plain


def find_largest_change(scores: dict[str, Any], others: dict[str, Any]) -> float:
    """Of any predictor's macro F1."""
    return max(abs(others[name]["macro_f1"] - scores[name]["macro_f1"]) for name in others)


def share_equal(folds: list[dict[str, Evaluation]], others: list[dict[str, Evaluation]]) -> float:
    """Share of the sequence model's labels, one per behavior and test frame, that are the same."""
    stretches = [
        np.concatenate([part for fold in each for part in fold["sequence"].parts["test"].present])
        for each in (folds, others)
    ]
    return float((stretches[0] == stretches[1]).mean())


if __name__ == "__main__":
    main()
