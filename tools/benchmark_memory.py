"""Shows that the memory of `predict` does not grow with the length of the video.

Makes a toy model, a video of 256 x 256 pixels and a much longer one (the same packets again and
again), predicts each in a process of its own, and prints the peak memory of both.

    python tools/benchmark_memory.py                      two minutes against two hours, at 32 x 32
    python tools/benchmark_memory.py --long-minutes 10    a quicker look
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from pixelethogram.config_layers import load_config
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.frames.video_writer import write_video
from pixelethogram.intake import LABELS_SUFFIX, add_recordings
from pixelethogram.pipeline import Job, train_all
from pixelethogram.progress import SilentProgress
from pixelethogram.project import create_project
from pixelethogram.toy import TOY_BEHAVIORS, make_toy_video, toy_frames

FPS = 30.0
MAX_GROWTH = 1.10


def main() -> int:
    """Run the benchmark; the exit code is 1 when memory grew by more than a tenth."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = train_toy_model(folder, arguments.size)
        short = folder / "short.mp4"
        frames, _ = toy_frames(seed=7, num_frames=300, size=256)
        repeats = round(arguments.short_minutes * 60 * FPS / len(frames))
        write_video(np.asarray(frames), folder / "piece.mp4", FPS)
        repeat_video(folder / "piece.mp4", short, repeats)
        long = folder / "long.mp4"
        ratio = arguments.long_minutes / arguments.short_minutes
        repeat_video(folder / "piece.mp4", long, round(repeats * ratio))
        results = {path.stem: predict_in_process(project, path) for path in (short, long)}
    growth = results["long"]["peak_mb"] / results["short"]["peak_mb"]
    for stem, result in results.items():
        frames, seconds, peak = (result[key] for key in ("num_frames", "seconds", "peak_mb"))
        print(f"{stem:6}{frames:8} frames {seconds:8.1f} s {peak:8.0f} MB peak")
    print(f"long / short: {growth:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({**results, "growth": growth}, indent=1))
    return int(growth > MAX_GROWTH)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short-minutes", type=float, default=2.0)
    parser.add_argument("--long-minutes", type=float, default=120.0)
    parser.add_argument(
        "--size", type=int, default=32, help="height and width that the networks see"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def train_toy_model(folder: Path, size: int) -> Path:
    """A project with the real networks, trained for two steps: memory is what counts."""
    videos = folder / "videos"
    videos.mkdir()
    for seed in range(3):
        path = videos / f"toy{seed}.mp4"
        labels = make_toy_video(path, seed, num_frames=200, size=64, fps=FPS)
        write_csv(Ethogram(labels, TOY_BEHAVIORS, FPS), path.with_name(path.stem + LABELS_SUFFIX))
    project = create_project(folder / "project", TOY_BEHAVIORS)
    add_recordings(project, [videos], copy=False, overwrite=False, progress=SilentProgress())
    few = [
        f"{stage}.train.{key}=2"
        for stage in ("flow", "features", "sequence")
        for key in ("steps", "validate_every", "batch_size")
    ]
    phases = [f"features.phases.{phase}=2" for phase in ("spatial", "flow", "joint")]
    sizes = [f"frames.height={size}", f"frames.width={size}"]
    other = [
        "features.start_weights=none",
        "flow.validation_clips=4",
        "features.validation_frames=8",
    ]
    config = load_config("fast", {}, [*few, *phases, *sizes, *other])
    train_all(Job(project, config, "cpu", SilentProgress()))
    return project.folder


def repeat_video(piece: Path, target: Path, times: int) -> None:
    """Write the packets of a video `times` times, one behind the other, without encoding again."""
    with av.open(str(target), "w") as output:
        stream = None
        offset = 0
        for _ in range(times):
            with av.open(str(piece)) as source:
                template = source.streams.video[0]
                stream = stream or output.add_stream_from_template(template)
                end = 0
                for packet in source.demux(template):
                    if packet.dts is None:
                        continue
                    packet.pts += offset
                    packet.dts += offset
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.stream = stream
                    output.mux(packet)
                offset = end


def predict_in_process(project: Path, video: Path) -> dict[str, float]:
    """Peak memory of the whole process, from the operating system, and the time it took."""
    code = (
        "import sys, resource; from pixelethogram.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: code = stop.code\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    started = time.monotonic()
    command = [
        sys.executable,
        "-c",
        code,
        "predict",
        str(project),
        str(video),
        "--device",
        "cpu",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    scale = 1e6 if sys.platform == "darwin" else 1e3
    answer = json.loads(done.stdout.splitlines()[-1])
    return {
        "num_frames": answer["videos"][0]["num_frames"],
        "seconds": time.monotonic() - started,
        "peak_mb": int(done.stderr.split()[-1]) / scale,
    }


if __name__ == "__main__":
    sys.exit(main())
