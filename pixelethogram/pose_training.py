"""What the features stage learns from where poses are drawn anew for every training clip."""

from __future__ import annotations

from functools import partial

import numpy as np

from pixelethogram.config import Config
from pixelethogram.errors import UsageError
from pixelethogram.features.train import FeaturesData, scored_frames, stratified_frames
from pixelethogram.flow.models.pose import PoseFlowConfig
from pixelethogram.frames.pose_clips import PoseClips, sample_colors
from pixelethogram.frames.pose_files import DRAWN
from pixelethogram.pose.flow import PoseFlow, PoseLayout
from pixelethogram.project import Project
from pixelethogram.spans import read_labelled


def gather_pose_clips(project: Project, config: Config) -> tuple[FeaturesData, PoseFlow | None]:
    """Clips of drawn poses, changed at random in training, and the flow that is made of them.

    The flow is None where a network finds it.

    Raises:
        InputError: A recording has pixels only, or other animals or keypoints than the first.
        UsageError: A learned flow is shared between frames.
    """
    if config.flow.stride > 1 and config.has_learned_flow:
        raise UsageError(
            "features.augment_poses and a shared flow do not go together",
            do="set flow.stride=1, or leave features.augment_poses away",
        )
    flow = None
    if isinstance(config.flow.model, PoseFlowConfig) and config.has_pose_flow:
        flow = config.flow.model.build(find_layout(project, config))
    videos, labels, spans = read_labelled(project)
    recordings = [video.open_drawn(config.frames) for video in videos]
    train = scored_frames(labels, spans["train"])
    val = stratified_frames(labels, spans["val"], config.features.validation_frames, config.seed)
    build = partial(
        PoseClips,
        recordings,
        length=config.flow.model.clip_length,
        labels=labels,
        spacing=config.frames.spacing,
        with_rows=flow is not None,
    )
    data = FeaturesData(
        build(train, augment=config.features.pose_augment),
        build(val),
        np.stack([labels[video][frame] for video, frame in train]),
        sample_colors([recordings[number] for number in sorted({n for n, *_ in spans["train"]})]),
        project.behaviors,
        project.exclusive,
        DRAWN,
    )
    return data, flow


def find_layout(project: Project, config: Config) -> PoseLayout:
    """What the poses of all recordings of a project have in common.

    Raises:
        InputError: A recording has pixels only, or other animals or keypoints than the first.
    """
    first, *others = [video.open_drawn(config.frames).layout for video in project.videos()]
    for other in others:
        first.check(other)
    return first
