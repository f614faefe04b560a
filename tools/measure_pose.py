"""Behaviors from keypoints, cross-validated over videos: make the projects, train, write the table.

    python tools/measure_pose.py make ../shared/data/rat_ri OUT --folds 5
    python tools/measure_pose.py score OUT --input keypoints --models linear,tgm,mstcn2 --seeds 3
    python tools/measure_pose.py score OUT --input drawn_pose_flow --folds 1 --models tgm,mstcn2
    python tools/measure_pose.py table OUT [--mean "NAME,NAME"]
    python tools/measure_pose.py ladder OUT --classifier boosting

`make` writes OUT/fold_0 … fold_4, complete projects of the same videos: fold k is the test part of
project k, the fold after it val, the others train. `score` trains features and sequence models in
every project and keeps the probabilities of the test videos in OUT/predictions. `table` judges all
test frames of all folds together, behaviors and groups of them. `ladder` is gradient boosting or
logistic regression of scikit-learn on the same columns and folds.

Three kinds of thresholds stand side by side: "val" are what the project itself chose, on the val
fold; "crossed" come from the predictions on the other folds; "best" are the best for the very
frames that are judged, which flatters, and is how the ladder of ../shared/data was made.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from pixelethogram.cached_features import predict_cached
from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.ethogram.thresholds import choose_thresholds
from pixelethogram.extraction import extract_project
from pixelethogram.features.models.keypoints import LIMIT, KeypointsConfig
from pixelethogram.label_files import import_labels
from pixelethogram.lineage import find_up_to_date, needed_stages, start_stage
from pixelethogram.pipeline import train_stage
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project, create_project
from pixelethogram.recordings import add_pose
from pixelethogram.runs import latest_run
from pixelethogram.sequence.train import load_sequence
from pixelethogram.splits import Segment, solve_splits
from pixelethogram.stages import Job, run_stage

GROUPS = {
    "social, nonsocial, aggression": ("social", "nonsocial", "aggression"),
    "four kinds of aggression": ("lateralthreat", "keepdown", "clinch", "uprightposture"),
    "three rarest": ("freezing", "bite", "chase"),
}
DRAWN = (
    *("frames.height=64", "frames.width=96"),
    *("features.augment.color_probability=0", "features.augment.grayscale=0"),
)
INPUTS = {
    "keypoints": ["features.model.name=keypoints"],
    "drawn": [*DRAWN],
    "drawn_pose_flow": [*DRAWN, "flow.model.name=pose"],
}
MISSING = -32768
EVERY = 8  # frames of a video per frame that scikit-learn learns from and is judged on


def main() -> None:
    arguments = parse_arguments()
    {"make": make, "score": run_scores, "table": print_table, "ladder": run_ladder}[
        arguments.command
    ](arguments)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("make")
    made.add_argument("source", type=Path, help="folder of meta.json and rat_*.npz")
    made.add_argument("out", type=Path)
    made.add_argument("--folds", type=int, default=5)
    made.add_argument("--videos", type=int, help="only the first so many")
    made.add_argument("--every", type=int, default=1, help="keep only every so many frames")
    scored = commands.add_parser("score")
    scored.add_argument("out", type=Path)
    scored.add_argument("--input", choices=list(INPUTS), default="keypoints")
    scored.add_argument("--models", default="tgm,mstcn2")
    scored.add_argument("--seeds", type=int, default=1)
    scored.add_argument("--folds", type=int, help="only the first so many")
    scored.add_argument("--device", default="cpu")
    scored.add_argument("--name", default="", help="added to the name of each row")
    scored.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    tabled = commands.add_parser("table")
    tabled.add_argument("out", type=Path)
    tabled.add_argument(
        "--mean", action="append", default=[], help="rows to average, comma between"
    )
    ladder = commands.add_parser("ladder")
    ladder.add_argument("out", type=Path)
    ladder.add_argument("--classifier", choices=["logistic", "boosting"], default="boosting")
    ladder.add_argument("--every", type=int, default=EVERY, help="take only every so many frames")
    return parser.parse_args(words)


def make(arguments: argparse.Namespace) -> None:
    """One project per fold."""
    about = json.loads((arguments.source / "meta.json").read_text(encoding="utf-8"))
    videos = about["videos"][: arguments.videos]
    recordings = {
        video["id"]: thin_out(*read_recording(arguments.source, about, video), arguments.every)
        for video in videos
    }
    labels = {name: values for name, (_, values) in recordings.items()}
    behaviors = about["behaviors"]
    fractions = {str(fold): 1 / arguments.folds for fold in range(arguments.folds)}
    folds = solve_splits(labels, behaviors, fractions=fractions, by="video", allow_absent=True)
    for fold in range(arguments.folds):
        project = create_project(arguments.out / f"fold_{fold}", behaviors)
        for name, (pose, values) in recordings.items():
            source = arguments.source / f"{name}.npz"
            video = add_pose(project, name, pose, source)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "labels.csv"
                write_csv(Ethogram(values, tuple(behaviors), pose.fps), path)
                import_labels(project, video, path)
        project.write_splits(place_folds(list(folds.values()), fold))
    plain = {f"fold {name}": [each.video for each in fold] for name, fold in folds.items()}
    (arguments.out / "folds.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")
    print(json.dumps(plain, indent=1))


def read_recording(folder: Path, about: dict, video: dict) -> tuple[Pose, np.ndarray]:
    """Pose within the arena, and labels (T, K) with -1 where nobody looked, of one video."""
    with np.load(folder / f"{video['id']}.npz") as arrays:
        raw, likelihood = arrays["pose_xy10"], arrays["likelihood"]
        labels, scored = arrays["labels"].astype(np.int8), arrays["scored"].astype(bool)
    left, top, right, bottom = video["bbox_xyxy"]
    missing = (raw == MISSING).any(axis=-1)
    positions = raw.astype(np.float32) / 10 - np.array([left, top], dtype=np.float32)
    positions[missing] = np.nan
    keypoints = tuple(about["keypoints"])
    skeleton = Skeleton(keypoints, tuple((i, i + 1) for i in range(len(keypoints) - 1)), (), 0, 2)
    pose = Pose(
        positions,
        np.where(missing, 0, likelihood / 255),
        skeleton,
        tuple(about["individuals"]),
        round(bottom - top),
        round(right - left),
        about["fps"] or 30.0,
    )
    labels[~scored] = -1
    return cut_to(pose, labels)


def cut_to(pose: Pose, labels: np.ndarray) -> tuple[Pose, np.ndarray]:
    """Labels of the frames that have a pose; one may end some frames before the other."""
    short = pose.num_frames - len(labels)
    fill = np.full((max(0, short), labels.shape[1]), -1, np.int8)
    return pose, np.concatenate([labels[: pose.num_frames], fill])


def thin_out(pose: Pose, labels: np.ndarray, every: int) -> tuple[Pose, np.ndarray]:
    """Every so many frames of both."""
    thin = dataclasses.replace(
        pose,
        positions=pose.positions[::every],
        confidence=pose.confidence[::every],
        fps=pose.fps / every,
    )
    return thin, labels[::every]


def place_folds(folds: Sequence[list[Segment]], test: int) -> dict[str, list[Segment]]:
    """Parts of the project in which fold number `test` is judged."""
    val = (test + 1) % len(folds)
    rest = [each for number, fold in enumerate(folds) for each in fold if number not in (test, val)]
    return {"train": rest, "val": folds[val], "test": folds[test]}


def run_scores(arguments: argparse.Namespace) -> None:
    """Train in every project and keep what is predicted for its test part."""
    wanted = [*INPUTS[arguments.input], *arguments.set]
    folders = sorted(arguments.out.glob("fold_*"))[: arguments.folds]
    if not folders:
        raise SystemExit(f"no projects in {arguments.out}: make them first")
    for folder in folders:
        project = Project(folder)
        config = load_config(None, {}, wanted)
        job = Job(project, config, arguments.device, SilentProgress())
        began = time.perf_counter()
        prepare_features(job)
        print(f"{folder.name}: features after {time.perf_counter() - began:.0f} s", flush=True)
        for model in arguments.models.split(","):
            for seed in range(arguments.seeds):
                row = f"{arguments.input} {model} {arguments.name}".strip()
                target = arguments.out / "predictions" / row / f"{folder.name}_seed_{seed}.npz"
                if target.exists():
                    continue
                began = time.perf_counter()
                chosen = load_config(None, {}, [*wanted, f"sequence.model.name={model}"])
                update = {"sequence": chosen.sequence, "seed": seed}
                predict_test(job, config.model_copy(update=update), target)
                print(f"{target}: {time.perf_counter() - began:.0f} s", flush=True)


def prepare_features(job: Job) -> None:
    """Flow and features, where they are not there yet."""
    for stage in needed_stages(job.config):
        if stage != "sequence" and find_up_to_date(job.project, job.config, stage) is None:
            train_stage(job, stage)
    extract_project(job)


def predict_test(job: Job, config: Config, target: Path) -> None:
    """Train a sequence model in a folder that is thrown away; keep its answers on test videos."""
    project = job.project
    features_run = latest_run(project.runs, "features")
    config = config.model_copy(
        update={name: getattr(features_run.config, name) for name in ("frames", "flow", "features")}
    )
    with tempfile.TemporaryDirectory() as runs:
        run = run_stage(
            Job(project, config, job.device, job.progress, resume=False),
            start_stage(project, config, "sequence", Path(runs)),
        )
        model = load_sequence(run).to(job.device)
        decision = Decision.from_dict(run.results["decision"])
    labels = project.read_labels()
    kept: dict[str, list[np.ndarray]] = {"probabilities": [], "labels": [], "present": []}
    for segment in project.splits["test"]:
        video = project.video(segment.video)
        probabilities = predict_cached(video, features_run, model, exclusive=False)
        scored = (labels[video.name].values >= 0).all(axis=1)
        kept["probabilities"].append(probabilities[scored])
        kept["labels"].append(labels[video.name].values[scored])
        kept["present"].append(decision.apply(probabilities)[scored])
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, **{name: np.concatenate(each) for name, each in kept.items()})


def run_ladder(arguments: argparse.Namespace) -> None:
    """scikit-learn on the same columns and folds; learns from train and val, has no thresholds."""
    folders = sorted(arguments.out.glob("fold_*"))
    rows = read_rows(Project(folders[0]), arguments.every)
    for folder in folders:
        target = arguments.out / "predictions" / arguments.classifier / f"{folder.name}_seed_0.npz"
        if target.exists():
            continue
        began = time.perf_counter()
        test = [each.video for each in Project(folder).splits["test"]]
        learned = [rows[name] for name in rows if name not in test]
        features = np.concatenate([each for each, _ in learned])
        labels = np.concatenate([each for _, each in learned])
        judged = np.concatenate([rows[name][0] for name in test])
        truth = np.concatenate([rows[name][1] for name in test])
        probabilities = np.stack(
            [
                build_classifier(arguments.classifier)
                .fit(features, labels[:, behavior])
                .predict_proba(judged)[:, 1]
                for behavior in range(labels.shape[1])
            ],
            axis=1,
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        present = probabilities > 0.5
        np.savez_compressed(target, probabilities=probabilities, labels=truth, present=present)
        print(f"{target}: {time.perf_counter() - began:.0f} s", flush=True)


def build_classifier(name: str) -> Any:
    """Logistic regression on z-scored columns, or boosting, which takes gaps as they are."""
    if name == "logistic":
        scale = FunctionTransformer(lambda columns: np.nan_to_num(columns).clip(-LIMIT, LIMIT))
        return make_pipeline(StandardScaler(), scale, LogisticRegression(C=0.003, max_iter=60))
    return HistGradientBoostingClassifier(
        learning_rate=0.07,
        max_iter=120,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=1.0,
        max_features=0.2,
        early_stopping=False,
        random_state=0,
    )


def read_rows(project: Project, every: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Columns and labels of every so many scored frames of each video."""
    rows = {}
    for name, ethogram in project.read_labels().items():
        columns = KeypointsConfig().describe(project.video(name).read_pose()).values
        scored = np.flatnonzero((ethogram.values >= 0).all(axis=1))[::every]
        rows[name] = (columns[scored], ethogram.values[scored])
    return rows


def print_table(arguments: argparse.Namespace) -> None:
    """Scores of every row, as mean over seeds, and of means of rows."""
    behaviors = Project(arguments.out / "fold_0").behaviors
    folders = sorted((arguments.out / "predictions").iterdir())
    rows = {folder.name: read_predictions(folder) for folder in folders}
    for names in arguments.mean:
        chosen = [rows[name] for name in names.split(",")]
        rows[f"mean of {names}"] = average(chosen)
    print("| model | thresholds | " + " | ".join([*GROUPS, *behaviors]) + " |")
    print("|---" * (2 + len(GROUPS) + len(behaviors)) + "|")
    floor = judge_always(next(iter(rows.values())))
    print(f"| always positive | | {' | '.join(describe(floor, behaviors))} |")
    for name, seeds in rows.items():
        for kind in ("val", "crossed", "best"):
            f1 = np.stack([judge(folds, kind) for folds in seeds])
            print(f"| {name} | {kind} | {' | '.join(describe(f1, behaviors))} |")


Fold = dict[str, np.ndarray]


def read_predictions(folder: Path) -> list[list[Fold]]:
    """Of every seed, of every fold: probabilities, labels, present."""
    seeds: dict[str, list[Fold]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            seeds.setdefault(path.stem.split("_seed_")[1], []).append(dict(arrays))
    return list(seeds.values())


def average(rows: Sequence[list[list[Fold]]]) -> list[list[Fold]]:
    """One row whose probabilities are the mean over all rows and seeds; thresholds of 0.5."""
    members = [folds for seeds in rows for folds in seeds]
    found = []
    for same in zip(*members, strict=True):
        shortest = min(same, key=lambda each: len(each["labels"]))
        mean = np.zeros(shortest["labels"].shape)
        for each in same:
            every = len(each["labels"]) // len(shortest["labels"])
            if not np.array_equal(each["labels"][::every], shortest["labels"]):
                raise SystemExit("these rows were judged on different frames")
            mean += each["probabilities"][::every] / len(same)
        found.append({"probabilities": mean, "labels": shortest["labels"], "present": mean > 0.5})
    return [found]


def judge(folds: Sequence[Fold], kind: str) -> np.ndarray:
    """(K,) F1 over the frames of all folds."""
    present = []
    for number, fold in enumerate(folds):
        others = [each for index, each in enumerate(folds) if index != number or kind == "best"]
        if kind == "val" or not others:
            present.append(fold["present"])
            continue
        thresholds = choose_thresholds(
            np.concatenate([each["probabilities"] for each in others]),
            np.concatenate([each["labels"] for each in others]),
        )
        present.append(fold["probabilities"] > thresholds.values)
    found = np.concatenate(present)
    truth = np.concatenate([fold["labels"] for fold in folds]) == 1
    return 2 * (found & truth).sum(axis=0) / np.maximum(found.sum(axis=0) + truth.sum(axis=0), 1)


def judge_always(seeds: Sequence[Sequence[Fold]]) -> np.ndarray:
    """(1, K) F1 of an answer that is always yes."""
    share = np.concatenate([fold["labels"] for fold in seeds[0]]).mean(axis=0)
    return (2 * share / (1 + share))[None]


def describe(f1: np.ndarray, behaviors: Sequence[str]) -> list[str]:
    """Cells of a row: groups with their deviation over seeds, then behaviors; `f1` (seeds, K)."""
    cells = []
    for names in GROUPS.values():
        values = f1[:, [behaviors.index(name) for name in names]].mean(axis=1)
        spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
        cells.append(f"{values.mean():.3f}{spread}")
    return cells + [f"{value:.3f}" for value in f1.mean(axis=0)]


if __name__ == "__main__":
    main()
