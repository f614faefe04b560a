"""The command that measures how fast this machine is."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from pixelethogram.commands.options import DeviceOption

PRESETS = ["fast", "medium", "slow"]
FRAMES, FRAMES_ON_CUDA = 120, 2048  # enough batches that one is computed while another is cut


def benchmark(
    presets: Annotated[
        list[str] | None,
        typer.Option("--preset", help="fast, medium or slow; none: all.", metavar="NAME"),
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help="Size of frames.", metavar="WIDTHxHEIGHT")
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="auto, fp32, bf16 or fp16.", metavar="NAME")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of the video; else 120, on CUDA 2048.", min=1),
    ] = None,
    batch: Annotated[int, typer.Option(help="Frames at a time; eight times as many on CUDA.")] = 16,
    seconds: Annotated[float, typer.Option(help="For each measured piece.")] = 2.0,
    quick: Annotated[bool, typer.Option("--quick", help="Preset fast only, briefly.")] = False,
    training: Annotated[
        bool, typer.Option("--training", help="Measure training instead: clips per second.")
    ] = False,
    device: DeviceOption = "auto",
    csv: Annotated[Path | None, typer.Option(help="Write the figures to this table.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.")
    ] = None,
) -> None:
    """Measure frames per second of every step, and how near that is to what the machine can do."""
    from pixelethogram import benchmark as inference
    from pixelethogram import training_benchmark
    from pixelethogram.pose.readers.assembly import read_size
    from pixelethogram.terminal import build_console, build_progress, build_table
    from pixelethogram.training.device import choose_device

    console, place = build_console(), choose_device(device)
    chosen = presets or (["fast"] if quick else PRESETS)
    sizes = [read_size(each) for each in size or ["256x256"]]
    usual = FRAMES_ON_CUDA if place.startswith("cuda") else FRAMES
    num_frames = frames or (usual // 2 if quick else usual)
    budget = min(seconds, 0.5) if quick else seconds
    if training:
        width, height = sizes[0]
        found = training_benchmark.run_presets(
            chosen, (height, width), steps=4 if quick else 10, device=place
        )
        columns = training_benchmark.COLUMNS
    else:
        cases = inference.list_cases(chosen, sizes, precision or ["auto"], place)
        found = inference.run_cases(
            cases,
            num_frames=num_frames,
            batch_size=batch,
            device=place,
            budget=budget,
            rounds=3 if quick else 5,
            progress=build_progress(console),
            keep=lambda found: _write(found, csv, json_file),
        )
        columns = inference.COLUMNS
    rows = [[row.get(name) for name in columns] for row in found["cases"]]
    console.print(build_table(found["machine"]["device"], list(columns.values()), rows))
    _write(found, csv, json_file)


def _write(found: dict[str, Any], csv: Path | None, json: Path | None) -> None:
    import csv as csv_module
    import io

    from pixelethogram.atomic import write_bytes

    if json is not None:
        write_bytes(json, json_module.dumps(found, indent=1).encode())
    if csv is not None and found["cases"]:
        text = io.StringIO()
        writer = csv_module.DictWriter(text, list(found["cases"][0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found["cases"])
        write_bytes(csv, text.getvalue().encode())
