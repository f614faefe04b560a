"""The command that shows how networks see a pose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixelethogram.commands.options import (
    DeviceOption,
    OverwriteOption,
    PresetOption,
    ProjectArgument,
    SetOption,
    refuse_existing,
)
from pixelethogram.commands.session import open_job
from pixelethogram.errors import UsageError

if TYPE_CHECKING:
    from pixelethogram.config import FramesConfig
    from pixelethogram.pose.pose import Pose

KINDS = ("keypoints", "limbs")


def draw(
    project: ProjectArgument,
    video: Annotated[str, typer.Argument(help="Video of the project that has a pose.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write: .mp4, or .h5 of heat-maps."),
    ] = None,
    start: Annotated[int, typer.Option(help="First frame.", min=0)] = 0,
    stop: Annotated[int | None, typer.Option(help="Frame to stop before; else the last.")] = None,
    heatmaps: Annotated[
        str | None,
        typer.Option(help="Write heat-maps of keypoints or limbs (.h5).", metavar="KIND"),
    ] = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Measure frames per second of drawing instead.")
    ] = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "cpu",
    preset: PresetOption = None,
    set_: SetOption = None,
) -> None:
    """Write the drawn pose of a video as a video file, exactly as networks see it."""
    from pixelethogram.frames.drawn_pose import DrawnPose
    from pixelethogram.frames.heatmap_file import write_heatmaps
    from pixelethogram.frames.video_writer import write_video
    from pixelethogram.progress import format_count

    if benchmark:
        unused = {"-o": output, "--heatmaps": heatmaps, "--start": start or None, "--stop": stop}
        unused["--overwrite"] = overwrite or None
        _refuse_unused([name for name, given in unused.items() if given is not None])
        job = open_job(project, preset, set_, device)
        _show_rates(job.project.video(video).read_pose(), job.config.frames, job.device)
        return
    output = _check_output(output, heatmaps, device)
    if not heatmaps:  # a file of heat-maps is known by what it holds
        refuse_existing([output], overwrite)
    job = open_job(project, preset, set_, device)
    frames, pose = job.config.frames, job.project.video(video).read_pose()
    drawn = DrawnPose(pose, frames.pose, frames.height, frames.width)
    chosen = range(drawn.num_frames)[start:stop]
    if not chosen:
        raise UsageError(
            f"there is no frame from {start} to {stop}",
            do=f"{video} has {format_count(drawn.num_frames, 'frame')}",
        )
    if heatmaps:
        write_heatmaps(drawn, chosen, output, limbs=heatmaps == "limbs", device=job.device)
    else:
        write_video((drawn.read([frame])[0] for frame in chosen), output, drawn.fps)
    typer.echo(f"{output}: {format_count(len(chosen), 'frame')}, {frames.width} x {frames.height}")


def _refuse_unused(options: list[str]) -> None:
    """Stop where somebody asks a measurement for what only a file can have."""
    if options:
        raise UsageError(
            f"{', '.join(options)}: only for a file that is written",
            why="--benchmark writes none; it draws every view, of frames from all over the video",
            do="leave them away, or leave --benchmark away",
        )


def _check_output(output: Path | None, heatmaps: str | None, device: str) -> Path:
    """The file to write, whose name and device fit what is written."""
    if heatmaps not in (None, *KINDS):
        raise UsageError(f'there are no heat-maps of "{heatmaps}"', do=f"choose {', '.join(KINDS)}")
    if output is None:
        raise UsageError("draw needs a file to write", do="add -o FILE.mp4, or --benchmark")
    if (output.suffix == ".h5") != (heatmaps is not None):
        raise UsageError(
            "heat-maps are written to an .h5 file, drawn frames to a video",
            where=output,
            do="use --heatmaps keypoints -o FILE.h5, or -o FILE.mp4",
        )
    if heatmaps is None and device != "cpu":
        raise UsageError(
            f"--device {device}: only for --heatmaps and --benchmark",
            why="a video is drawn on the CPU, frame by frame",
            do="leave --device away",
        )
    return output


def _show_rates(pose: Pose, settings: FramesConfig, device: str) -> None:
    """A table of every view."""
    from pixelethogram.drawing_benchmark import COLUMNS, measure_views
    from pixelethogram.terminal import build_console, build_table

    rows = measure_views(pose, settings, device=device)
    title = f"{settings.width} x {settings.height}, batches on {device}"
    cells = [[row["view"], *(round(row[name]) for name in list(COLUMNS)[1:])] for row in rows]
    build_console().print(build_table(title, list(COLUMNS.values()), cells))
