"""Normalisation whose statistics come from real frames only, never from padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over the real frames of a batch.

    Otherwise as `torch.nn.BatchNorm1d` with its default momentum and epsilon.

    Args:
        num_channels: Channels O per frame.
        start: (O,) what the bias starts with; None: 0.
    """

    momentum = 0.1
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_channels: int, start: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        bias = torch.zeros(num_channels) if start is None else start.detach().float().clone()
        self.bias = nn.Parameter(bias)
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(B, T, O) with mask (B, T) -> (B, T, O) of at least float32."""
        frames = _at_least_float32(frames)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = self._measure(frames, mask)
        return (frames - mean) * torch.rsqrt(variance + EPSILON) * self.weight + self.bias

    def _measure(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of this batch's real frames; they also move the running ones."""
        mean, variance, count = _mean_and_variance(frames, mask, dim=(0, 1))
        with torch.no_grad():
            unbiased = variance * count / (count - 1).clamp_min(1)
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            self.running_var.lerp_(unbiased.flatten(), self.momentum)
        return mean, variance


def normalize_over_time(frames: Tensor, mask: Tensor) -> Tensor:
    """Instance normalisation: every channel of every window to mean 0 and variance 1 over time.

    Args:
        frames: (B, T, C).
        mask: (B, T), True for real frames; the others take no part in the statistics.

    Returns:
        (B, T, C) of at least float32.
    """
    frames = _at_least_float32(frames)
    mean, variance, _ = _mean_and_variance(frames, mask, dim=(1,))
    return (frames - mean) * torch.rsqrt(variance + EPSILON)


def _at_least_float32(frames: Tensor) -> Tensor:
    return frames.to(torch.promote_types(frames.dtype, torch.float32))


def _mean_and_variance(
    frames: Tensor, mask: Tensor, dim: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and population variance of the real frames, and their number, with `dim` kept."""
    real = mask[..., None].to(frames.dtype)
    count = real.sum(dim=dim, keepdim=True).clamp_min(1)
    mean = (frames * real).sum(dim=dim, keepdim=True) / count
    variance = ((frames - mean) ** 2 * real).sum(dim=dim, keepdim=True) / count
    return mean, variance, count
