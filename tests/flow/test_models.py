"""Contract of every flow network, and TinyMotionNet against its published numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixelethogram.flow.models import MODELS
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNet, TinyMotionNetConfig

REFERENCE_NAMES = {
    "deconv": "up",
    "xconv": "merge",
    "predict_flow": "flow",
    "upsampled_flow4_to_3": "up_flow3",
    "upsampled_flow3_to_2": "up_flow2",
}


def rename(reference_name: str) -> str:
    for theirs, ours in REFERENCE_NAMES.items():
        if reference_name.startswith(theirs):
            return reference_name.replace(theirs, ours, 1)
    return reference_name


def unstack(images: np.ndarray) -> torch.Tensor:
    """(B, 33, H, W) of the reference -> clips (B, 3, 11, H, W)."""
    return torch.from_numpy(images).unflatten(1, (-1, 3)).transpose(1, 2)


def stack(flow: torch.Tensor) -> np.ndarray:
    """(B, 2, 10, h, w) -> (B, 20, h, w) of the reference."""
    return flow.transpose(1, 2).flatten(1, 2).numpy()


@pytest.fixture(params=sorted(MODELS))
def narrow(request: pytest.FixtureRequest) -> nn.Module:
    return MODELS[request.param](width=0.125, clip_length=5).build()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (72, 88), (65, 67), (8, 8)])
def test_flows_have_half_quarter_and_eighth_size(
    narrow: nn.Module, height: int, width: int
) -> None:
    flows = narrow(torch.randn(2, 3, 5, height, width))
    for flow, divisor in zip(flows, (2, 4, 8), strict=True):
        expected = (2, 2, 4, -(-height // divisor), -(-width // divisor))
        if divisor == 8 or (height % 8, width % 8) == (0, 0):
            assert flow.shape == expected
        assert flow.shape[:3] == (2, 2, 4)
        assert expected[3] - flow.shape[3] in (0, 1)
        assert expected[4] - flow.shape[4] in (0, 1)


def test_gradients_reach_every_parameter(narrow: nn.Module) -> None:
    flows = narrow(torch.randn(2, 3, 5, 32, 32))
    torch.stack([flow.square().sum() for flow in flows]).sum().backward()
    for name, parameter in narrow.named_parameters():
        assert parameter.grad is not None, name


def test_clips_of_a_batch_do_not_mix(narrow: nn.Module) -> None:
    clips = torch.randn(3, 3, 5, 32, 32)
    together, alone = narrow.eval()(clips), narrow(clips[1:2])
    for both, one in zip(together, alone, strict=True):
        assert torch.allclose(both[1:2], one, atol=1e-5)


def test_channels_last_gives_the_same_flow(narrow: nn.Module) -> None:
    clips = torch.randn(1, 3, 5, 32, 32)
    before = narrow.eval()(clips)[0]
    after = narrow.to(memory_format=torch.channels_last)(clips)[0]
    assert torch.allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 4, 32, 32), (1, 15, 32, 32), (1, 1, 5, 32, 32)])
def test_other_clips_are_refused_with_their_shape(
    narrow: nn.Module, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=str(list(shape))[1:-1]):
        narrow(torch.zeros(shape))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        TinyMotionNetConfig(widht=2)
    with pytest.raises(ValidationError):
        TinyMotionNetConfig(clip_length=1)


def test_tiny_motionnet_has_the_published_size() -> None:
    network = TinyMotionNetConfig().build()
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_951_784
    with torch.device("meta"):
        network, clips = TinyMotionNet(), torch.empty(1, 3, 11, 256, 256)
    with FlopCounterMode(display=False) as counter:
        network(clips)
    assert counter.get_total_flops() / 2e9 == pytest.approx(16.70, rel=0.005)


def test_weights_start_by_xavier_with_zero_biases() -> None:
    network = TinyMotionNet()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            window = module.weight[0, 0].numel()
            fans = (module.in_channels + module.out_channels) * window
            if module.weight.numel() > 50_000:
                assert module.weight.var().item() == pytest.approx(2 / fans, rel=0.05)
            assert module.bias is None or not module.bias.any()


def test_a_coarse_flow_is_twice_as_long_on_the_next_level() -> None:
    network = TinyMotionNet(clip_length=2, width=0.125)
    triangle = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.up_flow3.weight[[0, 1], [0, 1]] = torch.outer(triangle, triangle)
        network.flow4.weight[:, 0, 1, 1] = torch.tensor([1.5, -0.5])
        network.merge3[0].weight[[0, 1], [-2, -1], 1, 1] = 1.0
        network.merge3[1].weight.fill_(1.0)
        network.flow3.weight[[0, 1], [0, 1], 1, 1] = 1.0
        network.conv4[1].bias[0] = 1.0  # the coarsest features are 1 everywhere
    _, flow3, flow4 = network.eval()(torch.zeros(1, 3, 2, 64, 64))
    assert torch.allclose(flow4[0, :, 0, 4, 4], torch.tensor([1.5, -0.5]))
    scale = (1 + 1e-5) ** -0.5  # of batch normalisation
    interior = flow3[0, :, 0, 2:-2, 2:-2]
    expected = 2 * scale * torch.tensor([1.5, -0.5])[:, None, None]
    assert torch.allclose(interior, expected.expand_as(interior), atol=1e-6)


@pytest.mark.parametrize("name", ["tinymotionnet", "tinymotionnet_odd"])
def test_flows_equal_the_reference(golden, fill_golden_weights, name: str) -> None:
    description = json.loads((golden / f"{name}.json").read_text())
    shapes = {key: entry["shape"] for key, entry in description["state_dict"].items()}
    network = TinyMotionNet().eval()
    network.load_state_dict(
        {rename(key): values for key, values in fill_golden_weights(shapes).items()}
    )
    with np.load(golden / f"{name}.npz") as arrays, torch.no_grad():
        flows = network(unstack(arrays["input"]))
        for key, flow in zip(("flow2", "flow3", "flow4"), flows, strict=True):
            np.testing.assert_allclose(stack(flow), arrays[key], atol=1e-4)


class _Recorder(nn.Module):
    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return [clips]


def test_the_generator_normalises_each_color() -> None:
    generator = FlowGenerator(_Recorder(), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.0))
    clips = torch.rand(2, 3, 4, 5, 6)
    (seen,) = generator(clips)
    assert torch.allclose(seen[:, 0], (clips[:, 0] - 0.1) / 0.5)
    assert torch.allclose(seen[:, 1], (clips[:, 1] - 0.2) / 0.25)
    assert torch.allclose(seen[:, 2], (clips[:, 2] - 0.3) / 1e-3)


def test_the_colors_travel_with_the_weights() -> None:
    trained = FlowGenerator(TinyMotionNet(5, 0.125), (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    fresh = FlowGenerator(TinyMotionNet(5, 0.125), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    fresh.load_state_dict(trained.state_dict())
    clips = torch.rand(1, 3, 5, 16, 16)
    assert torch.equal(trained.eval()(clips)[0], fresh.eval()(clips)[0])
