"""Recordings as batches are made of them: frames of one size, and rows of keypoints beside them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import numpy as np

from pixelethogram.config import FramesConfig
from pixelethogram.errors import InputError
from pixelethogram.frames.drawn_pose import DrawnPose
from pixelethogram.frames.resize import resize_frame
from pixelethogram.frames.source import FrameSource
from pixelethogram.pose.flow import PoseLayout

OpenRecording = Callable[[], AbstractContextManager[FrameSource]]


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Frames of a recording at their final size, and its keypoints where a flow is made of them."""

    source: FrameSource
    settings: FramesConfig
    layout: PoseLayout | None

    @property
    def poses(self) -> np.ndarray:
        """(T, D) float32 rows of keypoints; (0, 0) where nobody needs them.

        Raises:
            InputError: There are no keypoints, or others.
        """
        if self.layout is None:
            return np.zeros((0, 0), np.float32)
        if not isinstance(self.source, DrawnPose):
            raise InputError(
                "the flow of this network is made of keypoints, and the recording has pixels",
                why="flow.model.name=pose was set in training",
                do="give the pose file of the recording instead",
            )
        self.layout.check(self.source.layout)
        return self.source.rows

    @property
    def num_frames(self) -> int:
        return self.source.num_frames

    @property
    def height(self) -> int:
        return self.source.height

    @property
    def width(self) -> int:
        return self.source.width

    @property
    def fps(self) -> float:
        return self.source.fps

    def iterate(self) -> Iterator[np.ndarray]:
        size = self.settings.height, self.settings.width, self.settings.fit
        return (resize_frame(frame, *size) for frame in self.source.iterate())


def open_resized(
    recordings: Iterable[OpenRecording], settings: FramesConfig, layout: PoseLayout | None
) -> Iterator[AbstractContextManager[Pictures]]:
    """Recordings to be opened one after the other.

    Args:
        recordings: What opens them.
        settings: Size that frames are brought to.
        layout: What the rows of keypoints must say; None where nobody needs them.
    """
    return (_open_one(recording, settings, layout) for recording in recordings)


@contextlib.contextmanager
def _open_one(
    open_recording: OpenRecording, settings: FramesConfig, layout: PoseLayout | None
) -> Iterator[Pictures]:
    with open_recording() as source:
        yield Pictures(source, settings, layout)
