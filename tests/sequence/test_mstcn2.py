"""MS-TCN++: the first answer sees near and far at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelethogram.sequence.models.mstcn2 import DualDilatedResidual, MSTCN2Config


def test_the_first_answer_sees_8001_frames() -> None:
    assert MSTCN2Config(num_refinements=0).build(4, 2).receptive_radius == 4000
    assert MSTCN2Config().build(4, 2).receptive_radius == 4000 + 3 * 1023
    assert MSTCN2Config(causal=True).build(4, 2).receptive_radius == 2 * (4000 + 3 * 1023)


@pytest.mark.parametrize(
    ("causal", "frames"),
    [(False, [-8, -2, 0, 2, 8]), (True, [0, 2, 4, 8, 16])],
)
def test_a_layer_has_taps_near_and_far(causal: bool, frames: list[int]) -> None:
    layer = DualDilatedResidual(1, (2, 8), dropout=0.0, causal=causal).eval()
    for name, parameter in layer.named_parameters():
        nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
    impulse = torch.zeros(1, 61, 1)
    impulse[0, 30] = 1
    reached = torch.nonzero(layer(impulse)[0, :, 0]).flatten() - 30
    assert reached.tolist() == frames


def test_dilations_rise_in_one_branch_and_fall_in_the_other() -> None:
    layers = MSTCN2Config().build(4, 2).first.layers
    found = [tuple(conv.conv.dilation[0] for conv in layer.convs) for layer in layers]
    assert found == [(2**layer, 2 ** (10 - layer)) for layer in range(11)]
