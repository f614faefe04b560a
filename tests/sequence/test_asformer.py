"""ASFormer: windows that double, decoders that weigh attention less and less, linear memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pixelethogram.sequence.models.asformer import ASFormerConfig, AttentiveLayer

SMALL = ASFormerConfig(hidden=8, num_layers=3, num_decoders=2)


def every_frame(features: Tensor) -> Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def test_attention_spans_as_many_frames_as_the_convolution() -> None:
    layers = ASFormerConfig().build(4, 2).encoder.layers
    assert [layer.radius for layer in layers] == [1, 1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert [layer.conv.reach for layer in layers] == [2**layer for layer in range(10)]


def test_late_decoders_attend_less() -> None:
    model = ASFormerConfig().build(4, 2)
    strengths = [stack.layers[0].strength for stack in (model.encoder, *model.decoders)]
    assert strengths == pytest.approx([1, 1, math.exp(-3), math.exp(-6)])


def test_queries_and_keys_of_a_decoder_see_the_encoder_and_values_do_not() -> None:
    layer = SMALL.build(4, 2).decoders[0].layers[0]
    assert (layer.query.in_features, layer.key.in_features, layer.value.in_features) == (16, 16, 8)
    assert (layer.query.out_features, layer.key.out_features) == (4, 4)


def test_a_layer_without_strength_is_a_convolution() -> None:
    layer = AttentiveLayer(6, 0, dilation=2, strength=0.0, dropout=0.0)
    frames = torch.randn(2, 30, 6)
    expected = frames + layer.mix(torch.relu(layer.conv(frames)))
    torch.testing.assert_close(layer(frames, every_frame(frames), None), expected)


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_decoder_is_told_the_probabilities_of_the_answer_before_it(exclusive: bool) -> None:
    model = SMALL.build(4, 3, None, exclusive).eval()
    features = torch.randn(1, 25, 4)
    mask = every_frame(features)
    answers = model(features, mask)
    _, encoded = model.encoder(features, mask, None)
    for decoder, before, after in zip(model.decoders, answers, answers[1:], strict=False):
        told = before.softmax(-1) if exclusive else before.sigmoid()
        torch.testing.assert_close(after, decoder(told, mask, encoded)[0])


def test_feature_dimensions_are_dropped_for_the_whole_window() -> None:
    model = ASFormerConfig(
        hidden=2, num_layers=1, num_decoders=0, dropout=0, channel_dropout=0.5
    ).build(40, 1)
    seen: list[Tensor] = []
    model.encoder.input.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.train()(torch.ones(3, 20, 40), torch.ones(3, 20, dtype=torch.bool))
    dropped = seen[0]
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0, 2}


def test_memory_grows_with_the_number_of_frames_not_with_its_square() -> None:
    """Counted: the bytes of all that one pass makes, most of which is let go at once."""

    class Bytes(TorchDispatchMode):
        made = 0

        def __torch_dispatch__(
            self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                self.made += result.numel() * result.element_size()
            return result

    model = SMALL.build(4, 2).eval()
    made = []
    for num_frames in (1000, 4000):
        features = torch.randn(1, num_frames, 4)
        with Bytes() as seen, torch.no_grad():
            model(features, every_frame(features))
        made.append(seen.made)
    assert made[1] < 4.2 * made[0]
