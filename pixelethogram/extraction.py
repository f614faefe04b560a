"""Features of a project's videos, made with its newest features run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from pixelethogram.features.extract import Order, build_engine, extract_all
from pixelethogram.features.keypoints import PoseOrder, extract_poses
from pixelethogram.features.models.keypoints import Keypoints
from pixelethogram.features.train import load_features
from pixelethogram.frames.pose_files import DRAWN, PIXELS, fits_inputs
from pixelethogram.frames.source import FrameSource
from pixelethogram.lineage import load_flow_of
from pixelethogram.pose.pose import Pose
from pixelethogram.progress import Progress
from pixelethogram.project import Project, Video
from pixelethogram.runs import Run, find_runs, latest_run
from pixelethogram.stages import Job
from pixelethogram.store import array_file


def extract_project(
    job: Job,
    *,
    overwrite: bool = False,
    exact: bool = False,
    videos: Sequence[Video] | None = None,
) -> int:
    """Features of every video for the newest features run; what is there already is kept.

    Predictions from features that are written anew are deleted before.

    Args:
        job: What to work on.
        overwrite: Extract again what is there.
        exact: Compute in fp32, whatever the settings say.
        videos: Of the project, if not all.

    Returns:
        Number of videos that were extracted now.
    """
    run = latest_run(job.project.runs, "features")
    missing = [
        video
        for video in (job.project.videos() if videos is None else videos)
        if overwrite or not array_file(video.arrays, "features", run.id).exists()
    ]
    if not missing:
        return 0
    _warn_of_other_inputs(missing, run, job.progress)
    model = load_features(run, load_flow_of(run)).to(job.device)
    if isinstance(model, Keypoints):
        poses = [_order_pose_features(job.project, video, run) for video in missing]
        every = extract_poses(model, poses, job.progress)
    else:
        engine = build_engine(
            model, run.config, device=job.device, exact=exact, progress=job.progress
        )
        orders = [_order_features(job.project, video, run) for video in missing]
        every = extract_all(engine, orders, run.config, job.progress)
    with contextlib.closing(every) as extracted:
        for found in extracted:
            found.check()
    return len(missing)


def _warn_of_other_inputs(videos: Sequence[Video], run: Run, progress: Progress) -> None:
    learned, frames = run.results.get("inputs"), run.config.frames
    names = [each.name for each in videos if not fits_inputs(each.is_drawn(frames), learned)]
    if names:
        other = PIXELS if learned == DRAWN else "drawn poses"
        seen = "drawn poses" if learned == DRAWN else PIXELS
        progress.message(
            f"note: the networks learned from {seen}, but {', '.join(names)}: {other}; "
            "what they say of these is not to be trusted"
        )


def _order_features(project: Project, video: Video, run: Run) -> Order:
    def open_video() -> FrameSource:
        _drop_predictions(project, video, run)
        return video.open(run.config.frames)

    path = array_file(video.arrays, "features", run.id)
    return Order(video.name, open_video, path, _describe_origin(video, run))


def _order_pose_features(project: Project, video: Video, run: Run) -> PoseOrder:
    def read_pose() -> Pose:
        _drop_predictions(project, video, run)
        return video.read_pose()

    path = array_file(video.arrays, "features", run.id)
    origin = {**_describe_origin(video, run), "pose_sha256": video.pose_sha256 or "none"}
    return PoseOrder(video.name, read_pose, path, origin)


def _describe_origin(video: Video, run: Run) -> dict[str, str]:
    return {
        "run": run.id,
        "weights_sha256": run.results["weights_sha256"],
        "video_sha256": video.input_sha256(run.config.frames),
    }


def _drop_predictions(project: Project, video: Video, features_run: Run) -> None:
    """Delete what was predicted from the features of a video."""
    for run in find_runs(project.runs, "sequence"):
        if run.record["parents"]["features"] == features_run.id:
            array_file(video.arrays, "sequence", run.id).unlink(missing_ok=True)
