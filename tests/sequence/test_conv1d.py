"""Two convolutions with a normalisation between them."""

from __future__ import annotations

import torch
from torch import nn

from pixelethogram.sequence.models.conv1d import Conv1dConfig


def test_on_whole_windows_it_equals_torchs_layers() -> None:
    model = Conv1dConfig(width=5).build(4, 2)
    norm = nn.BatchNorm1d(5)
    reference = nn.Sequential(
        nn.Conv1d(4, 5, 7, padding=3), norm, nn.ReLU(), nn.Conv1d(5, 2, 3, padding=1)
    )
    reference[0].load_state_dict(model.first.conv.state_dict())
    reference[3].load_state_dict(model.second.conv.state_dict())
    features = torch.randn(3, 20, 4)
    for train in (True, False):
        expected = reference.train(train)(features.transpose(1, 2)).transpose(1, 2)
        found = model.train(train)(features, torch.ones(3, 20, dtype=torch.bool))[-1]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_it_sees_9_frames() -> None:
    assert Conv1dConfig().build(4, 2).receptive_radius == 4
    assert Conv1dConfig(causal=True).build(4, 2).receptive_radius == 8
