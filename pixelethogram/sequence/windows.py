"""Cutting: stretches of features into windows for training, videos into chunks for prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

CHUNK_FRAMES = 2048  # kept per pass


class SequenceModel(Protocol):
    """What prediction needs of a model; see `sequence.models`."""

    training: bool
    receptive_radius: int | None
    raters: tuple[str, ...]

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def __call__(self, features: Tensor, mask: Tensor) -> list[Tensor]: ...


def window_starts(num_frames: int, window: int, jitter: bool) -> list[range]:
    """Where the windows of a stretch of frames may start.

    Args:
        num_frames: Frames of the stretch.
        window: Frames per window; a stretch that is not longer is one window.
        jitter: Let each window start anywhere in a range of its own; else tile from frame 0.

    Returns:
        Possible first frames of each window. Tiles have one each and hold each frame once. With
        jitter a start may be negative or less than a window before the end, so that every frame,
        also the first and the last, is expected equally often: about once per round.

    Example:
        >>> window_starts(10, 4, jitter=False)
        [range(0, 1), range(4, 5), range(8, 9)]
        >>> window_starts(10, 4, jitter=True)
        [range(-3, 1), range(1, 5), range(5, 10)]
    """
    if num_frames <= window:
        return [range(1)]
    if not jitter:
        return [range(start, start + 1) for start in range(0, num_frames, window)]
    num_starts = num_frames + window - 1
    num_windows = round(num_starts / window)
    edges = [index * num_starts // num_windows - window + 1 for index in range(num_windows + 1)]
    return [range(first, stop) for first, stop in zip(edges, edges[1:], strict=False)]


class WindowDataset(Dataset[dict[str, Tensor]]):
    """Windows of all stretches; those in which nobody can have scored a frame are left out.

    Args:
        stretches: (features (T, D) float, labels (T, K) int8 of 1 / 0 / −1) of consecutive frames.
        window: Frames per window; that of the longest stretch where all are shorter.
        jitter: Draw the start of a window anew each time it is asked for, from torch's random
            numbers, so that no frame always stands at a window's edge.
    """

    def __init__(
        self,
        stretches: Sequence[tuple[np.ndarray, np.ndarray]],
        window: int,
        *,
        jitter: bool = False,
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least one frame, not {window}")
        self.stretches = list(stretches)
        window = min(window, max((len(labels) for _, labels in stretches), default=window))
        self.window = window
        self._starts: list[tuple[int, range]] = []
        for stretch, (features, labels) in enumerate(self.stretches):
            if features.ndim != 2 or labels.ndim != 2 or len(features) != len(labels):
                raise ValueError(
                    f"a stretch needs features (T, D) and labels (T, K) of the same T, "
                    f"not {features.shape} and {labels.shape}"
                )
            for starts in window_starts(len(features), window, jitter):
                if (labels[max(0, starts[0]) : starts[-1] + window] >= 0).any():
                    self._starts.append((stretch, starts))

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """The features (W, D) float32, mask (W,) bool, labels (W, K) int8, −1 in the padding."""
        stretch, starts = self._starts[index]
        features, labels = self.stretches[stretch]
        start = starts[int(torch.randint(len(starts), ()))]
        frames = slice(max(0, start), start + self.window)
        num_frames = len(labels[frames])
        item = {
            "features": torch.zeros(self.window, features.shape[1]),
            "mask": torch.arange(self.window) < num_frames,
            "labels": torch.full((self.window, labels.shape[1]), -1, dtype=torch.int8),
        }
        item["features"][:num_frames] = torch.from_numpy(np.array(features[frames]))
        item["labels"][:num_frames] = torch.from_numpy(np.array(labels[frames]))
        return item


def chunk_bounds(num_frames: int, chunk: int, radius: int) -> list[tuple[int, int, int, int]]:
    """Cut a video so that a model of this receptive radius gives the same as on the whole of it.

    Args:
        num_frames: Frames of the video.
        chunk: Frames to keep per chunk; the last chunk keeps what is left.
        radius: Frames of context to read on each side where the video has them.

    Returns:
        (read start, read stop, keep start, keep stop) of each chunk; each frame is kept once.

    Example:
        >>> chunk_bounds(10, chunk=6, radius=2)
        [(0, 8, 0, 6), (4, 10, 6, 10)]
    """
    if chunk < 1 or radius < 0:
        raise ValueError(f"chunk must be ≥ 1 and radius ≥ 0, not {chunk} and {radius}")
    bounds = []
    for start in range(0, num_frames, chunk):
        stop = min(start + chunk, num_frames)
        bounds.append((max(0, start - radius), min(stop + radius, num_frames), start, stop))
    return bounds


def predict_in_chunks(
    model: SequenceModel,
    read: Callable[[int, int], np.ndarray],
    num_frames: int,
    chunk: int | None = None,
) -> np.ndarray:
    """Logits of every frame, equal to those of one pass over the whole video.

    With a finite receptive radius, memory does not grow with the length of the video. Without one
    it grows linearly: the features as float32 (221 MB for 54,000 frames of 1024) and what the
    network keeps per frame.

    Args:
        model: Sequence model in evaluation mode; its last answer is used.
        read: Gives features (stop − start, D) of the frames start ≤ frame < stop.
        num_frames: Frames of the video.
        chunk: Frames to keep per pass; None: 2048, or four radii where that is more, so that no
            more than a third of what is computed is overlap. A model without finite receptive
            radius sees all frames at once.

    Returns:
        (num_frames, O) float32.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() first")
    if num_frames < 1:
        raise ValueError(f"a video needs at least one frame, not {num_frames}")
    device = next(model.parameters()).device
    radius = model.receptive_radius
    if radius is None:
        bounds = chunk_bounds(num_frames, num_frames, 0)
    else:
        bounds = chunk_bounds(num_frames, chunk or max(CHUNK_FRAMES, 4 * radius), radius)
    parts = []
    with torch.inference_mode():
        for read_start, read_stop, keep_start, keep_stop in bounds:
            array = np.ascontiguousarray(read(read_start, read_stop), dtype=np.float32)
            features = torch.from_numpy(array).to(device)[None]
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=device)
            logits = model(features, mask)[-1][0]
            kept = logits[keep_start - read_start : keep_stop - read_start]
            parts.append(kept.float().cpu().numpy())
    return np.concatenate(parts)
