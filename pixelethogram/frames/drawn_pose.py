"""DrawnPose: the frames of a recording that has keypoints and no pixels, drawn when asked for.

What a frame shows depends on that frame alone, never on the clip it is part of
(docs/decisions/0009-drawn-poses.md).
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pixelethogram.config import DrawingConfig
from pixelethogram.frames.closing import ClosesItself
from pixelethogram.pose.augment import Change, apply_change, change_panel, exchange_panels
from pixelethogram.pose.batch_drawing import draw_batch, draw_view_heatmaps
from pixelethogram.pose.drawing import Scene, draw_frame
from pixelethogram.pose.flow import PoseLayout
from pixelethogram.pose.gaps import drop_unsure, fill_gaps
from pixelethogram.pose.location import measure_body
from pixelethogram.pose.look import build_look
from pixelethogram.pose.pose import Pose
from pixelethogram.pose.skeleton import Skeleton
from pixelethogram.pose.views import view_transforms

DRAWING = "drawing 1"  # to be counted up when the same settings draw other pictures


class DrawnPose(ClosesItself):
    """Drawn frames of one recording.

    Args:
        pose: As it was read; gaps are bridged here.
        settings: How to draw.
        height: Of the frames, pixels.
        width: Of the frames, pixels.
    """

    def __init__(self, pose: Pose, settings: DrawingConfig, height: int, width: int) -> None:
        pose = fill_gaps(drop_unsure(pose, settings.min_confidence), settings.max_gap_frames)
        body = settings.body_pixels or measure_body(pose)
        look = build_look(pose.skeleton, len(pose.individuals))
        opacity = fade(pose.confidence, settings.min_confidence, settings.full_confidence)
        self._pose = dataclasses.replace(pose, confidence=opacity)
        self.fps, self.height, self.width = pose.fps, height, width
        self._scene = Scene(pose.skeleton, look, pose.height, pose.width, body)
        self._panels = view_transforms(pose, settings.view, height, width, body)

    @property
    def num_frames(self) -> int:
        """Frames of the recording."""
        return self._pose.num_frames

    @property
    def skeleton(self) -> Skeleton:
        """Keypoints and limbs."""
        return self._pose.skeleton

    @property
    def layout(self) -> PoseLayout:
        """What the numbers in `rows` are."""
        boxes = ((each.top, each.left, each.height, each.width) for each in self._panels)
        size, animals = (self.height, self.width), len(self._pose.individuals)
        return PoseLayout(self._pose.skeleton, animals, tuple(boxes), size)

    @property
    def rows(self) -> np.ndarray:
        """(T, D) float32, all that `PoseFlow` has to know of each frame."""
        matrices = np.stack([panel.matrices for panel in self._panels], axis=1)
        return self.layout.to_rows(self._pose.positions, matrices, self._scene.body)

    def take(self, frames: np.ndarray, change: Change, generator: np.random.Generator) -> DrawnPose:
        """Some frames as a recording of their own, all changed alike.

        Args:
            frames: (n,) which, repeats allowed; the noise of a frame is drawn once.
            change: Of the pose; a view that follows animals goes along.
            generator: Where noise comes from.
        """
        once, places = np.unique(frames, return_inverse=True)
        pose = apply_change(_pick(self._pose, once), change, generator)
        panels = [dataclasses.replace(each, matrices=each.matrices[once]) for each in self._panels]
        panels = exchange_panels(panels, change.order)
        panels = [change_panel(each, pose, change) for each in panels]
        taken = copy.copy(self)
        taken._pose = _pick(pose, places)
        taken._panels = [
            dataclasses.replace(each, matrices=each.matrices[places]) for each in panels
        ]
        return taken

    def scan(self) -> None:
        """Nothing to find out: the pose says how many frames there are."""

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames (n, H, W, 3) uint8 in the order asked for.

        Raises:
            IndexError: An index outside the recording.
        """
        frames = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for place, frame in enumerate(indices):
            frames[place] = self._draw(frame)
        return frames

    def read_batch(self, indices: Sequence[int], device: str) -> Tensor:
        """The same frames, (n, 3, H, W) float32 in 0…1, drawn together on a device."""
        frames, points, opacity = self._on_device(indices, device)
        size = (self.height, self.width)
        return draw_batch(self._scene, self._panels, frames, points, opacity, size)

    def read_heatmaps(self, indices: Sequence[int], *, limbs: bool, device: str = "cpu") -> Tensor:
        """Heat-maps (n, C, H, W) float32 of keypoints, or of limbs, where `read` draws them."""
        frames, points, opacity = self._on_device(indices, device)
        edges = self._pose.skeleton.edges if limbs else None
        size = (self.height, self.width)
        return draw_view_heatmaps(self._panels, frames, points, opacity, size, edges)

    def iterate(self) -> Iterator[np.ndarray]:
        """All frames in order."""
        return map(self._draw, range(self.num_frames))

    def close(self) -> None:
        """Nothing is held open."""

    def _on_device(self, indices: Sequence[int], device: str) -> tuple[Tensor, Tensor, Tensor]:
        frames = torch.as_tensor(np.asarray(indices))
        positions, opacity = (
            torch.from_numpy(each[frames.numpy()]).float().to(device)
            for each in (self._pose.positions, self._pose.confidence)
        )
        return frames, positions, opacity

    def _draw(self, frame: int) -> np.ndarray:
        if not 0 <= frame < self.num_frames:
            raise IndexError(f"the pose has {self.num_frames} frames, not {frame}")
        points, opacity = self._pose.positions[frame], self._pose.confidence[frame]
        size = (self.height, self.width)
        picture = draw_frame(self._scene, self._panels, frame, points, opacity, size)
        return (picture * 255 + 0.5).astype(np.uint8, order="C")


def fade(confidence: np.ndarray, none: float, full: float) -> np.ndarray:
    """Opacity in 0…1 of points with this confidence: 0 up to `none`, 1 from `full` on."""
    if full <= none:
        return (confidence >= full).astype(np.float32)
    return ((confidence - none) / (full - none)).clip(0, 1).astype(np.float32)


def _pick(pose: Pose, frames: np.ndarray) -> Pose:
    positions, confidence = pose.positions[frames], pose.confidence[frames]
    return dataclasses.replace(pose, positions=positions, confidence=confidence)


def hash_drawing(settings: DrawingConfig, pose_sha256: str) -> str:
    """Short name of the frames that these settings draw of a pose."""
    text = f"{DRAWING} {settings.model_dump_json()} {pose_sha256}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
