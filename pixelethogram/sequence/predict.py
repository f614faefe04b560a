"""Features of a whole video in, probabilities out; long videos are cut with exact overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from pixelethogram.sequence.windows import SequenceModel, predict_in_chunks
from pixelethogram.training.classifier import to_probabilities
from pixelethogram.training.device import full_fp32


def predict_probabilities(
    model: SequenceModel,
    read: Callable[[int, int], np.ndarray],
    num_frames: int,
    *,
    exclusive: bool,
) -> np.ndarray:
    """Probability of every behavior on every frame.

    Args:
        model: Trained model, or an ensemble of them, in eval mode.
        read: Gives features (stop - start, D) of frames start to stop; memory stays flat when it
            reads from disk and the model has a finite receptive radius.
        num_frames: Frames of the video.
        exclusive: Softmax over behaviors and "none of them" instead of independent sigmoids.

    Returns:
        (num_frames, K) float32 in [0, 1].
    """
    device = next(model.parameters()).device
    with full_fp32(device.type):
        logits = predict_in_chunks(model, read, num_frames)
    return to_probabilities(torch.from_numpy(logits), exclusive).numpy()
