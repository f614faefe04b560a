"""MS-TCN: reach, refinements, causal form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pixelethogram.sequence.models.mstcn import (
    DilatedResidual,
    DilatedStack,
    MSTCNConfig,
    Refining,
    build_layers,
)


def every_frame(features: Tensor) -> Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def impulse_frames(config: MSTCNConfig, length: int) -> Tensor:
    """Frames that an impulse in the middle reaches in one stack with nothing but weights of 1."""
    stack = DilatedStack(config.hidden, 1, build_layers(config), 1, None).double().eval()
    for name, parameter in stack.named_parameters():
        nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
    impulse = torch.zeros(1, length, 1, dtype=torch.float64)
    impulse[0, length // 2] = 1
    with torch.no_grad():
        return torch.nonzero(stack(impulse, every_frame(impulse))[0, :, 0]).flatten()


def test_one_answer_sees_2047_frames() -> None:
    frames = impulse_frames(MSTCNConfig(hidden=1), 2501)
    assert (frames.min(), frames.max()) == (1250 - 1023, 1250 + 1023)
    assert len(frames) == 2047


def test_a_causal_answer_sees_as_many_all_of_them_behind() -> None:
    frames = impulse_frames(MSTCNConfig(hidden=1, num_layers=6, causal=True), 301)
    assert frames.tolist() == list(range(150, 150 + 2 * 63 + 1))


def test_the_reach_of_all_answers_adds_up() -> None:
    assert MSTCNConfig().build(4, 2).receptive_radius == 4 * 1023
    assert MSTCNConfig(causal=True).build(4, 2).receptive_radius == 4 * 2046


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_refinement_is_told_the_probabilities_of_the_answer_before_it(exclusive: bool) -> None:
    model = MSTCNConfig(hidden=4, num_layers=2, num_refinements=2).build(5, 3, None, exclusive)
    model.eval()
    features = torch.randn(1, 20, 5)
    mask = every_frame(features)
    answers = model(features, mask)
    for refinement, before, after in zip(model.refinements, answers, answers[1:], strict=False):
        told = before.softmax(-1) if exclusive else before.sigmoid()
        torch.testing.assert_close(after, refinement(told, mask))


def test_a_refinement_knows_nothing_else_of_the_features() -> None:
    class Constant(nn.Module):
        reach = 0

        def forward(self, features: Tensor, mask: Tensor) -> Tensor:
            return torch.zeros(*features.shape[:2], 2)

    config = MSTCNConfig(hidden=4, num_layers=2)
    first: Any = Constant()
    refinement = DilatedStack(4, 2, build_layers(config), 2, None).eval()
    model = Refining(first, [refinement], exclusive=False)
    inputs = [torch.randn(1, 20, 5) for _ in range(2)]
    answers = [model(features, every_frame(features))[-1] for features in inputs]
    assert torch.equal(*answers)


def test_a_residual_layer_without_weights_changes_nothing() -> None:
    layer = DilatedResidual(4, 2, dropout=0.0, causal=False)
    for parameter in layer.mix.parameters():
        nn.init.zeros_(parameter)
    frames = torch.randn(2, 10, 4)
    assert torch.equal(layer(frames), frames)
