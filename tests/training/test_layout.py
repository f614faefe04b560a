"""Weights in another order in memory."""

from __future__ import annotations

import torch
from torch import nn

from pixelethogram.training.layout import to_channels_last


def test_kernels_of_both_kinds_have_their_channels_last_and_the_same_values() -> None:
    network = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3), nn.Linear(3, 4)])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    to_channels_last(network)
    flat, deep, _ = network
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert deep.weight.is_contiguous(memory_format=torch.channels_last_3d)
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_parameters_stay_the_ones_an_optimizer_knows() -> None:
    network = nn.Conv3d(2, 2, 3)
    known = list(network.parameters())
    to_channels_last(network)
    assert all(now is then for now, then in zip(network.parameters(), known, strict=True))
