"""Compare sequence models on cached features: scores, size, time and memory.

    python tools/compare_sequence_models.py PROJECT [PROJECT …] --seeds 3 --markdown table.md

The projects share their behaviors and have trained and extracted features (`train features`,
`extract`); several of them are the folds of one cross-validation, as tools/measure_real.py leaves
them, and their test frames are scored together. Every model is trained anew with every seed on
the very same features, in a process of its own, so that its peak memory can be told. Nothing is
written into the projects. "training s" is the time of training alone, with its validations. Peak
memory is that of the whole process, about 0.5 GiB of it PyTorch.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.cached_features import predict_cached
from pixelethogram.config_layers import load_config
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.scores import score
from pixelethogram.lineage import start_stage
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.runs import latest_run
from pixelethogram.sequence.models import MODELS
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.sequence.train import load_sequence
from pixelethogram.stages import Job, run_stage

TIMED_FRAMES = 9000  # five minutes at 30 fps
HEADER = "| model | macro F1 | parameters | training s | frames/s | peak MiB |"
RULE = "|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Tried:
    """One model, trained once on one project."""

    labels: np.ndarray
    present: np.ndarray
    parameters: int
    seconds: float
    frames_per_second: float


class Stopwatch(SilentProgress):
    """Times what is reported as training."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began: float | None = None

    def start(self, task: str, total: int | None) -> None:
        """Begin to count where a training begins."""
        self._began = time.perf_counter() if task.startswith("train ") else None

    def finish(self, note: str = "") -> None:
        """Stop counting."""
        if self._began is not None:
            self.seconds += time.perf_counter() - self._began
        self._began = None


def main() -> None:
    """Train every model with every seed and print one row each."""
    arguments = parse_arguments()
    if arguments.one:
        print(json.dumps(measure(arguments)))
        return
    names = arguments.models.split(",") if arguments.models else list(MODELS)
    rows = []
    for name in names:
        each = [run_alone(arguments, name, seed) for seed in range(arguments.seeds)]
        rows.append(summarise(name, each))
        print(rows[-1]["line"], flush=True)
    table = "\n".join([HEADER, RULE, *(row["line"] for row in rows)]) + "\n"
    print("\n" + table)
    if arguments.markdown:
        arguments.markdown.write_text(table, encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("projects", type=Path, nargs="+")
    parser.add_argument("--models", help="names, comma between them; default: all of the table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", metavar="MODEL", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.seeds < 1:
        parser.error("--seeds is a number from 1")
    if load_config(None, {}, arguments.set).sequence.ensemble_folds > 1:
        parser.error("single models are compared here: leave sequence.ensemble_folds at 1")
    return arguments


def run_alone(arguments: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, *map(str, arguments.projects), "--device"]
    command += [arguments.device, "--one", name, "--seed", str(seed)]
    command += [part for text in arguments.set for part in ("--set", text)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Scores of one model and seed on the test frames of all projects, and what it costs."""
    tried = [train_and_judge(folder, arguments) for folder in arguments.projects]
    labels = np.concatenate([each.labels for each in tried])
    present = np.concatenate([each.present for each in tried])
    return {
        "macro_f1": score(labels, None, present, Project(arguments.projects[0]).behaviors).macro_f1,
        "parameters": tried[0].parameters,
        "train_seconds": float(np.mean([each.seconds for each in tried])),
        "frames_per_second": tried[0].frames_per_second,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def train_and_judge(folder: Path, arguments: argparse.Namespace) -> Tried:
    """Train one model on a project's features, in a folder that is thrown away."""
    project = Project(folder)
    run = latest_run(project.runs, "features")
    wanted = [f"sequence.model.name={arguments.one}", *arguments.set]
    update = {"sequence": load_config(None, {}, wanted).sequence, "seed": arguments.seed}
    config = run.config.model_copy(update=update)
    watch = Stopwatch()
    job = Job(project, config, arguments.device, watch, resume=False)
    with tempfile.TemporaryDirectory() as runs:
        trained = run_stage(job, start_stage(project, config, "sequence", Path(runs)))
        model = load_sequence(trained)
        assert isinstance(model, NormalizedSequence)  # see parse_arguments
        model.to(arguments.device)
        decision = Decision.from_dict(trained.results["decision"])
    labels, present = [], []
    for segment in project.splits["test"]:
        video = project.video(segment.video)
        probabilities = predict_cached(video, run, model, exclusive=project.exclusive)
        stretch = slice(segment.start, segment.stop)
        present.append(decision.apply(probabilities)[stretch])
        labels.append(project.read_labels()[video.name].values[stretch])
    num_parameters = sum(weight.numel() for weight in model.parameters())
    return Tried(
        np.concatenate(labels),
        np.concatenate(present),
        num_parameters,
        watch.seconds,
        speed(model),
    )


def speed(model: NormalizedSequence) -> float:
    """Frames per second on random features of five minutes of video, best of three."""
    features = np.random.default_rng(0).normal(size=(TIMED_FRAMES, len(model.mean)))
    features = features.astype(np.float32)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        predict_probabilities(
            model, lambda start, stop: features[start:stop], TIMED_FRAMES, exclusive=False
        )
        best = min(best, time.perf_counter() - began)
    return TIMED_FRAMES / best


def summarise(name: str, each: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over the seeds of one model, with its standard error from two seeds on."""
    scores = [result["macro_f1"] for result in each]
    mean = f"{np.mean(scores):.3f}"
    if len(scores) > 1:
        mean += f" ± {np.std(scores, ddof=1) / len(scores) ** 0.5:.3f}"
    seconds = float(np.mean([result["train_seconds"] for result in each]))
    rate = max(result["frames_per_second"] for result in each)
    peak = max(result["peak_mib"] for result in each)
    return {
        "model": name,
        "scores": scores,
        "line": f"| {name} | {mean} | {each[0]['parameters']:,} "
        f"| {seconds:.1f} | {rate:,.0f} | {peak:,.0f} |",
    }


if __name__ == "__main__":
    main()
