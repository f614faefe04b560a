"""Compares `predict` with a plain implementation of the same networks, on one machine in one run.

The yardstick does what the paper describes and nothing else: for each frame the window of eleven
images is stacked, scaled and z-scored by itself, in fp32, and up to 16 windows go through the flow
network and both streams; no batch normalisation is folded, no layout changed, nothing shared, and
it runs in a process of its own, without the large pages of memory that our command line asks for.
One thing it is spared: every image is decoded and resized once, in order, and not once per window,
as a reader of single windows would. Its outputs are compared with ours: fp32 within 1e-4 of a
probability, the machine's own format within 1e-2. The three take turns in short rounds, and ratios
are medians over rounds, so that what else the machine does hits all of them.

    python tools/benchmark_fps.py --quick                     preset fast, a few minutes on a CPU
    python tools/benchmark_fps.py --preset fast --preset medium --json fps.json
    python tools/benchmark_fps.py --frames 96 --rounds 9      on a machine where other programs run

Everything else (each part, other sizes, training) is measured by `pixelethogram benchmark`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pixelethogram.atomic import write_bytes
from pixelethogram.benchmark import describe_machine, measure_batch_curve, measure_case
from pixelethogram.benchmark_subject import Case, Subject, build_subject, run_end_to_end
from pixelethogram.cli import LARGE_PAGES
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import open_frames
from pixelethogram.measuring import median_ratio, take_turns
from pixelethogram.pose.readers.assembly import read_size
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.terminal import build_console, build_table
from pixelethogram.training.device import choose_device, choose_inference_precision

YARDSTICK_BATCH = 16
EXACT, ROUGH = 1e-4, 1e-2
Answer = tuple[float, np.ndarray]
"""Frames per second, and probabilities (T, K)."""


def main() -> int:
    """Run the benchmark; the exit code is 1 when outputs differ by more than they may."""
    if LARGE_PAGES[0] not in os.environ:  # torch looks while it is imported
        os.environ.setdefault(*LARGE_PAGES)
        os.execv(sys.executable, [sys.executable, *sys.argv])
    arguments = parse_arguments()
    device = choose_device(arguments.device)
    machine = describe_machine(device)
    precision = choose_inference_precision("auto", device)
    found: dict[str, Any] = {"machine": machine, "presets": {}, "cases": [], "batch_curves": {}}
    for preset in arguments.preset or ["fast"]:
        width, height = arguments.size
        case = Case(preset, height, width, 1, precision)
        found["presets"][preset] = compare(case, arguments, device)
        if arguments.quick:
            continue
        for stride in (1, 10):
            own = dataclasses.replace(case, stride=stride)
            row = measure_case(
                own,
                machine["matrix_product_tflops"],
                num_frames=arguments.frames,
                batch_size=arguments.batch,
                device=device,
                budget=arguments.seconds,
                rounds=arguments.rounds,
            )
            found["cases"].append(row)
            with build_subject(own, num_frames=40, batch_size=40, device=device) as subject:
                curve = measure_batch_curve(subject, precision, (1, 2, 4, 8, 16, 32))
            found["batch_curves"][own.name] = curve
    first = next(iter(found["presets"].values()))
    found["ratios"] = first["ratios"]
    show(found)
    if arguments.json:
        write_bytes(arguments.json, json.dumps(found, indent=1).encode())
    return int(any(each["differs"] for each in found["presets"].values()))


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", action="append", choices=["fast", "medium", "slow"])
    parser.add_argument("--size", type=read_size, default=(256, 256), metavar="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=96, help="frames of the video")
    parser.add_argument("--yardstick-frames", type=int, default=32, help="the yardstick is slow")
    parser.add_argument("--rounds", type=int, default=5, help="of all three in turn; medians count")
    parser.add_argument("--batch", type=int, default=16, help="frames at a time")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measured piece")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="the comparison only, 48 frames")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.frames, arguments.yardstick_frames, arguments.rounds = 48, 16, 3
    return arguments


def compare(case: Case, arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """Frames per second of the yardstick and of both strides, in turn, and how outputs differ."""
    size = {"batch_size": arguments.batch, "device": device}
    shared = dataclasses.replace(case, stride=10)
    with (
        start_yardstick(case, arguments.yardstick_frames, size) as ask_yardstick,
        build_subject(case, num_frames=arguments.yardstick_frames, **size) as short,
        build_subject(case, num_frames=arguments.frames, **size) as one,
        build_subject(shared, num_frames=arguments.frames, **size) as ten,
    ):
        engine = one.engine(case.precision)
        shared_engine = ten.engine(case.precision)
        works = {
            "yardstick": lambda: ask_yardstick()[0],
            "stride1": lambda: run_end_to_end(one, engine)[0],
            "stride10": lambda: run_end_to_end(ten, shared_engine)[0],
        }
        take_turns(works, 1)  # what is done once is not counted
        rates = take_turns(works, arguments.rounds)
        changes = find_changes(short, case.precision, ask_yardstick()[1])
    pairs = [("stride10", "stride1"), ("stride1", "yardstick"), ("stride10", "yardstick")]
    return {
        "frames_per_second": {name: median(found) for name, found in rates.items()},
        "rounds": rates,
        "largest_change": changes,
        "differs": changes["fp32"] > EXACT or max(changes.values()) > ROUGH,
        "ratios": {
            f"{above}_over_{below}": median_ratio(rates[above], rates[below])
            for above, below in pairs
        },
    }


def find_changes(subject: Subject, precision: str, expected: np.ndarray) -> dict[str, float]:
    """Largest difference of a probability from the yardstick's, by number format."""
    return {
        kind: float(np.abs(run_end_to_end(subject, subject.engine(kind))[1] - expected).max())
        for kind in dict.fromkeys(("fp32", precision))
    }


@contextlib.contextmanager
def start_yardstick(
    case: Case, num_frames: int, size: dict[str, Any]
) -> Iterator[Callable[[], Answer]]:
    """The yardstick on a video of its own, as a function; it waits while others are measured."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_yardstick, args=(theirs, case, num_frames, size))
    name, ours_is = LARGE_PAGES[0], os.environ.get(LARGE_PAGES[0], "0")
    os.environ[name] = "0"
    process.start()
    os.environ[name] = ours_is
    theirs.close()

    def run() -> Answer:
        ours.send(True)
        answer: Answer = ours.recv()  # EOFError where the process has ended
        return answer

    try:
        yield run
    finally:
        ours.close()
        process.join()


def serve_yardstick(
    connection: Connection, case: Case, num_frames: int, size: dict[str, Any]
) -> None:
    """Run whenever asked, until nobody can ask any more."""
    torch.backends.cudnn.allow_tf32 = False  # fp32 on GPUs, too
    with build_subject(case, num_frames=num_frames, **size) as subject:
        while True:
            try:
                connection.recv()
            except EOFError:
                return
            connection.send(run_yardstick(subject))


@torch.inference_mode()
def run_yardstick(subject: Subject) -> Answer:
    """Frames per second from the video file to probabilities (T, K), and these; no tricks."""
    started = time.perf_counter()
    features = []
    waiting: list[Tensor] = []
    for window in iterate_windows(subject):
        waiting.append(window)
        if len(waiting) == YARDSTICK_BATCH:
            features.append(subject.features.forward_features(torch.stack(waiting)))
            waiting = []
    if waiting:
        features.append(subject.features.forward_features(torch.stack(waiting)))
    found = torch.cat(features).float().cpu().numpy()
    probabilities = predict_probabilities(
        subject.sequence,  # type: ignore[arg-type]
        lambda start, stop: found[start:stop],
        len(found),
        exclusive=False,
    )
    return len(found) / (time.perf_counter() - started), probabilities


def iterate_windows(subject: Subject) -> Iterator[Tensor]:
    """(3, 11, H, W) in [0, 1] around each frame, made from its images alone; edges repeat."""
    length, frames = subject.config.flow.model.clip_length, subject.config.frames
    held: deque[np.ndarray] = deque(maxlen=length)
    with open_frames(subject.video) as source:
        for picture in source.iterate():
            picture = resize_frame(picture, frames.height, frames.width, frames.fit)
            if not held:
                held.extend([picture] * (length // 2))
            held.append(picture)
            if len(held) == length:
                yield to_window(held, subject.device)
    for _ in range(length - 1 - length // 2):
        held.append(held[-1])
        if len(held) == length:
            yield to_window(held, subject.device)


def to_window(images: deque[np.ndarray], device: str) -> Tensor:
    """(3, L, H, W) float32 in [0, 1], contiguous."""
    stacked = np.stack(images).transpose(3, 0, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float32) / 255).to(device)


def show(found: dict[str, Any]) -> None:
    """Tables on the screen."""
    console = build_console()
    rows = [
        [preset, *each["frames_per_second"].values(), *each["ratios"].values()]
        for preset, each in found["presets"].items()
    ]
    columns = ["end to end, frames/s", "yardstick", "stride 1", "stride 10"]
    columns += ["10 over 1", "1 over yardstick", "10 over yardstick"]
    console.print(build_table(found["machine"]["device"], columns, rows))
    for preset, each in found["presets"].items():
        verdict = "MORE THAN IT MAY" if each["differs"] else "ok"
        console.print(
            f"{preset}: largest change of a probability {each['largest_change']} {verdict}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
