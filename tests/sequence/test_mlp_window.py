"""The perceptron on a sliding window."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pixelethogram.sequence.models.mlp_window import MLPWindowConfig


def test_the_convolution_is_a_linear_layer_on_the_frames_laid_end_to_end() -> None:
    model = MLPWindowConfig(radius_frames=2, hidden=(7, 5)).build(3, 2).eval()
    features = torch.randn(1, 12, 3)
    padded = F.pad(features, (0, 0, 2, 2))
    windows = torch.stack([padded[0, frame : frame + 5].flatten() for frame in range(12)])
    flat_weight = model.window.conv.weight.transpose(1, 2).reshape(7, 15)
    hidden = torch.relu(F.linear(windows, flat_weight, model.window.conv.bias))
    expected = model.output(torch.relu(model.hidden(hidden)))
    logits = model(features, torch.ones(1, 12, dtype=torch.bool))[-1][0]
    torch.testing.assert_close(logits, expected)


def test_it_sees_31_frames() -> None:
    assert MLPWindowConfig().build(3, 2).receptive_radius == 15
