"""Shows that the memory of `predict` does not grow with the length of the video.

Makes a toy model, a video of 256 x 256 pixels and a much longer one (the same packets again and
again), predicts each in a process of its own, and prints the peak memory of both.

    python tools/benchmark_memory.py                      two minutes against two hours, at 32 x 32
    python tools/benchmark_memory.py --long-minutes 10    a quicker look
    python tools/benchmark_memory.py --lengths            cost against length: 1, 2, 4 and 8 times,
                                                          and 200 short videos against one long one
"""

from __future__ import annotations

import argparse
import json
import shutil
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
from pixelethogram.inference import PipelineModels, load_models, predict_videos
from pixelethogram.intake import LABELS_SUFFIX, add_recordings
from pixelethogram.pipeline import Job, train_all
from pixelethogram.progress import SilentProgress
from pixelethogram.project import create_project
from pixelethogram.toy import TOY_BEHAVIORS, make_toy_video, toy_frames

FPS = 30.0
MAX_GROWTH = 1.10
MIN_R_SQUARED = 0.99
MAX_SHORT = 1.2


def main() -> int:
    """Run the benchmark; the exit code is 1 when memory grew by more than a tenth."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = train_toy_model(folder, arguments.size, arguments.stride)
        if arguments.lengths:
            return measure_lengths(folder, project, arguments)
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
    parser.add_argument(
        "--stride", type=int, default=1, help="flow.stride; 10 takes a quarter of the time"
    )
    parser.add_argument("--lengths", action="store_true", help="measure time against length")
    parser.add_argument("--pieces", type=int, default=2, help="300 frames each; the shortest video")
    parser.add_argument(
        "--factors", type=int, nargs="+", default=[1, 2, 4, 8], help="lengths, times the shortest"
    )
    parser.add_argument("--videos", type=int, default=200, help="short ones, against one long one")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def measure_lengths(folder: Path, project: Path, arguments: argparse.Namespace) -> int:
    """Seconds by length, R2 of the straight line, and many short videos over one long one.

    Time is that of the processor, inside of one process after a first video that does not count.
    """
    models = load_models(project, "cpu")
    frames, _ = toy_frames(seed=7, num_frames=300, size=256)
    write_video(np.asarray(frames), folder / "piece.mp4", FPS)
    write_video(np.asarray(frames)[:60], folder / "short.mp4", FPS)
    predict_seconds(models, [folder / "short.mp4"], folder / "warm")
    lengths, seconds = [], []
    for factor in arguments.factors:
        video = folder / f"length {factor}.mp4"
        repeat_video(folder / "piece.mp4", video, factor * arguments.pieces)
        lengths.append(300 * factor * arguments.pieces)
        seconds.append(predict_seconds(models, [video], folder / "lengths"))
    r_squared = float(np.corrcoef(lengths, seconds)[0, 1] ** 2)
    many = folder / "many"
    many.mkdir()
    for number in range(arguments.videos):
        shutil.copy(folder / "short.mp4", many / f"{number:04}.mp4")
    repeat_video(folder / "short.mp4", folder / "one.mp4", arguments.videos)
    in_many = predict_seconds(models, [many], folder / "out")
    in_one = predict_seconds(models, [folder / "one.mp4"], folder / "out")
    for length, each in zip(lengths, seconds, strict=True):
        print(f"{length:8} frames {each:8.1f} s {length / each:8.1f}/s")
    print(f"straight line: R2 = {r_squared:.4f}")
    print(f"{arguments.videos} videos of 60 frames: {in_many:.1f} s, one: {in_one:.1f} s")
    print(f"short / long: {in_many / in_one:.3f}")
    if arguments.json:
        found = {"lengths": lengths, "seconds": seconds, "r_squared": r_squared}
        found |= {"many_over_one": in_many / in_one}
        arguments.json.write_text(json.dumps(found, indent=1))
    return int(r_squared < MIN_R_SQUARED or in_many / in_one > MAX_SHORT)


def predict_seconds(models: PipelineModels, sources: list[Path], output: Path) -> float:
    """Seconds of the processor that prediction takes, pictures and tables included."""
    started = time.process_time()
    results = predict_videos(models, sources, output)
    if any(result.status != "done" for result in results):
        raise RuntimeError(f"not everything was predicted: {results}")
    return time.process_time() - started


def train_toy_model(folder: Path, size: int, stride: int = 1) -> Path:
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
    sizes = [f"frames.height={size}", f"frames.width={size}", f"flow.stride={stride}"]
    other = [
        "features.start_weights=none",
        "flow.train.precision=fp32",  # bf16 gradients of maps of one pixel are not to be trusted
        "features.train.precision=fp32",
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
