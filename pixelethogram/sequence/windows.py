"""Cutting: stretches of features into windows for training, videos into chunks for prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


class SequenceModel(Protocol):
    """What prediction needs of a model; see `sequence.models`."""

    training: bool
    receptive_radius: int | None

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def __call__(self, features: Tensor, mask: Tensor) -> list[Tensor]: ...


def window_bounds(num_frames: int, window: int, phase: int) -> list[tuple[int, int]]:
    """Tile frames into windows; each frame is in exactly one.

    Args:
        num_frames: Frames of the stretch.
        window: Frames per window.
        phase: 0 ≤ phase < window; where the first full window starts. The frames before it, and
            those left at the end, are shorter windows.

    Returns:
        (start, stop) of each window, in order.

    Example:
        >>> window_bounds(10, 4, phase=3)
        [(0, 3), (3, 7), (7, 10)]
    """
    if not 0 <= phase < window:
        raise ValueError(f"phase must be in [0, {window}), not {phase}")
    starts = [0] if 0 < phase < num_frames else []
    starts += range(phase if phase < num_frames else 0, num_frames, window)
    return list(zip(starts, [*starts[1:], num_frames], strict=True))


class WindowDataset(Dataset[dict[str, Tensor]]):
    """Windows of all stretches, cut anew for every epoch; windows nobody scored are left out.

    `set_epoch` draws, for each stretch, where its first full window starts, so that no frame
    always stands at a window's edge. The number of windows may differ by a few between epochs.

    Args:
        stretches: (features (T, D) float, labels (T, K) int8 of 1 / 0 / −1) of consecutive frames.
        window: Frames per window.
        seed: Decides the cuts together with the epoch; None cuts from frame 0 in every epoch.
    """

    def __init__(
        self,
        stretches: Sequence[tuple[np.ndarray, np.ndarray]],
        window: int,
        seed: int | None = None,
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least one frame, not {window}")
        for features, labels in stretches:
            if features.ndim != 2 or labels.ndim != 2 or len(features) != len(labels):
                raise ValueError(
                    f"a stretch needs features (T, D) and labels (T, K) of the same T, "
                    f"not {features.shape} and {labels.shape}"
                )
        self.stretches = list(stretches)
        self.window = window
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Cut again; call it in the main process before the loader of that epoch starts."""
        generator = None if self.seed is None else np.random.default_rng((self.seed, epoch))
        self._windows: list[tuple[int, int, int]] = []
        for stretch, (features, labels) in enumerate(self.stretches):
            phase = 0 if generator is None else int(generator.integers(self.window))
            for start, stop in window_bounds(len(features), self.window, phase):
                if (labels[start:stop] >= 0).any():
                    self._windows.append((stretch, start, stop))

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """ "features" (W, D) float32, "mask" (W,) bool, "labels" (W, K) int8, −1 in the padding."""
        stretch, start, stop = self._windows[index]
        features, labels = self.stretches[stretch]
        num_frames = stop - start
        item = {
            "features": torch.zeros(self.window, features.shape[1]),
            "mask": torch.arange(self.window) < num_frames,
            "labels": torch.full((self.window, labels.shape[1]), -1, dtype=torch.int8),
        }
        item["features"][:num_frames] = torch.from_numpy(np.array(features[start:stop]))
        item["labels"][:num_frames] = torch.from_numpy(np.array(labels[start:stop]))
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
    chunk: int = 8192,
) -> np.ndarray:
    """Logits of every frame, equal to those of one pass over the whole video.

    Args:
        model: Sequence model in evaluation mode; its last answer is used.
        read: Gives features (stop − start, D) of the frames start ≤ frame < stop.
        num_frames: Frames of the video.
        chunk: Frames per pass; a model without finite receptive radius sees all frames at once.

    Returns:
        (num_frames, O) float32.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() first")
    if num_frames < 1:
        raise ValueError(f"a video needs at least one frame, not {num_frames}")
    device = next(model.parameters()).device
    if model.receptive_radius is None:
        bounds = chunk_bounds(num_frames, num_frames, 0)
    else:
        bounds = chunk_bounds(num_frames, chunk, model.receptive_radius)
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
