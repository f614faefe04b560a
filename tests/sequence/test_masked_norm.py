"""Normalisation sees real frames only."""

from __future__ import annotations

import torch
from torch import nn

from pixelethogram.sequence.models.masked_norm import MaskedBatchNorm, normalize_over_time


def test_batch_statistics_are_those_of_the_real_frames() -> None:
    ours, torchs = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    frames, mask = torch.randn(4, 20, 3) * 3 + 1, torch.rand(4, 20) < 0.6
    torch.testing.assert_close(ours(frames, mask)[mask], torchs(frames[mask]))
    torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    torch.testing.assert_close(ours.running_var, torchs.running_var)
    torch.testing.assert_close(ours.eval()(frames, mask)[mask], torchs.eval()(frames[mask]))


def test_the_bias_starts_where_it_is_told_to() -> None:
    start = torch.tensor([1.0, -2.0])
    norm = MaskedBatchNorm(2, start)
    frames = torch.randn(3, 10, 2)
    means = norm(frames, torch.ones(3, 10, dtype=torch.bool)).mean(dim=(0, 1))
    torch.testing.assert_close(means, start, atol=1e-5, rtol=0)


def test_a_batch_without_real_frames_is_finite() -> None:
    norm, nobody = MaskedBatchNorm(3), torch.zeros(2, 4, dtype=torch.bool)
    assert norm(torch.randn(2, 4, 3), nobody).isfinite().all()
    assert norm.running_var.isfinite().all()
    assert normalize_over_time(torch.randn(2, 4, 3), nobody).isfinite().all()


def test_over_time_each_window_is_normalised_by_its_own_real_frames() -> None:
    frames = torch.randn(2, 30, 4) * 5 + 2
    mask = torch.ones(2, 30, dtype=torch.bool)
    mask[1, 12:] = False
    found = normalize_over_time(frames, mask)
    for window, num_frames in ((0, 30), (1, 12)):
        alone = frames[window, :num_frames].T[None]
        expected = nn.InstanceNorm1d(4)(alone)[0].T
        torch.testing.assert_close(found[window, :num_frames], expected, atol=1e-5, rtol=1e-5)


def test_half_precision_is_normalised_in_float32_and_double_stays_double() -> None:
    frames, mask = torch.randn(1, 5, 2), torch.ones(1, 5, dtype=torch.bool)
    assert normalize_over_time(frames.bfloat16(), mask).dtype == torch.float32
    assert normalize_over_time(frames.double(), mask).dtype == torch.float64
