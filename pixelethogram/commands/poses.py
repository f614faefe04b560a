"""The command that shows how networks see a pose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pixelethogram.commands.options import PresetOption, ProjectArgument, SetOption
from pixelethogram.commands.session import open_job
from pixelethogram.errors import UsageError


def draw(
    project: ProjectArgument,
    video: Annotated[str, typer.Argument(help="Video of the project that has a pose.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Video file to write (.mp4).")],
    start: Annotated[int, typer.Option(help="First frame.", min=0)] = 0,
    stop: Annotated[int | None, typer.Option(help="Frame to stop before; else the last.")] = None,
    preset: PresetOption = None,
    set_: SetOption = None,
) -> None:
    """Write the drawn pose of a video as a video file, exactly as networks see it."""
    from pixelethogram.frames.drawn_pose import DrawnPose
    from pixelethogram.frames.video_writer import write_video
    from pixelethogram.progress import format_count

    job = open_job(project, preset, set_, "cpu")
    frames, source = job.config.frames, job.project.video(video)
    drawn = DrawnPose(source.read_pose(), frames.pose, frames.height, frames.width)
    chosen = range(drawn.num_frames)[start:stop]
    if not chosen:
        raise UsageError(
            f"there is no frame from {start} to {stop}",
            do=f"{video} has {format_count(drawn.num_frames, 'frame')}",
        )
    write_video((drawn.read([frame])[0] for frame in chosen), output, drawn.fps)
    typer.echo(f"{output}: {format_count(len(chosen), 'frame')}, {frames.width} x {frames.height}")
