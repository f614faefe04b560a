"""Contract of every flow network, and each against its published numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixelethogram.flow.models import MODELS
from pixelethogram.flow.models.blocks import join, scale_channels, stack_frames, unstack_pairs
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.models.pairwise_motionnet import PairwiseMotionNet
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNet
from pixelethogram.training.layout import to_channels_last


@pytest.fixture(params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def narrow(name: str) -> nn.Module:
    return MODELS[name](width=0.125, clip_length=5).build()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (72, 88), (65, 67), (41, 32), (8, 8)])
def test_flows_have_half_quarter_and_eighth_size(
    narrow: nn.Module, height: int, width: int
) -> None:
    flows = narrow(torch.randn(2, 3, 5, height, width))
    assert [tuple(flow.shape) for flow in flows] == [
        (2, 2, 4, -(-height // divisor), -(-width // divisor)) for divisor in (2, 4, 8)
    ]


def test_two_frames_are_the_shortest_clip(name: str) -> None:
    network = MODELS[name](width=0.125, clip_length=2).build()
    assert network(torch.randn(2, 3, 2, 32, 32))[0].shape == (2, 2, 1, 16, 16)


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
    to_channels_last(narrow)
    assert torch.allclose(before, narrow(clips)[0], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 4, 32, 32), (1, 15, 32, 32), (1, 1, 5, 32, 32)])
def test_other_clips_are_refused_with_their_shape(
    narrow: nn.Module, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=str(list(shape))[1:-1]):
        narrow(torch.zeros(shape))


def test_wrong_settings_are_refused(name: str) -> None:
    for settings in ({"widht": 2}, {"clip_length": 1}, {"width": 0}, {"name": "other"}):
        with pytest.raises(ValidationError):
            MODELS[name](**settings)


def test_every_network_is_in_the_table_by_its_name(name: str) -> None:
    assert MODELS[name]().name == name


@pytest.mark.parametrize(
    ("name", "num_parameters", "giga_products"),
    [
        ("tiny_motionnet", 1_951_784, 16.70),
        ("pairwise_motionnet", 1_771_460, 10 * 10.59),
        ("motionnet", 45_882_896, 29.02),
        ("motionnet_lite", 42_331_664, 26.19),
        ("tiny_motionnet_3d", 437_738, 40.49),
    ],
)
def test_every_network_has_the_published_size(
    name: str, num_parameters: int, giga_products: float
) -> None:
    with torch.device("meta"):
        network, clips = MODELS[name]().build(), torch.empty(1, 3, 11, 256, 256)
    assert sum(parameter.numel() for parameter in network.parameters()) == num_parameters
    with FlopCounterMode(display=False) as counter:
        network(clips)
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga_products, rel=0.005)


def test_weights_start_by_xavier_with_zero_biases(name: str) -> None:
    network = MODELS[name](width=0.5).build()
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d)
    convolutions = [module for module in network.modules() if isinstance(module, kinds)]
    large = [module for module in convolutions if module.weight.numel() > 20_000]
    assert large
    for module in large:
        window = module.weight[0, 0].numel()
        fans = (module.in_channels + module.out_channels) * window
        assert module.weight.var().item() == pytest.approx(2 / fans, rel=0.05)
    assert not any(module.bias.any() for module in convolutions if module.bias is not None)


DECODER_PARTS = {
    "tiny_motionnet": ("conv4.1", "flow4", "up_flow3", "merge3", "flow3"),
    "tiny_motionnet_3d": ("pairs4.1", "flow4", "up_flow3", "merge3", "flow3"),
    "pairwise_motionnet": tuple(
        f"pair.{part}" for part in ("conv4.1", "flow4", "up_flow3", "merge3", "flow3")
    ),
    **dict.fromkeys(
        ("motionnet", "motionnet_lite"),
        ("decoder.1.merge.1", "decoder.1.flow")
        + tuple(f"decoder.2.{part}" for part in ("up_flow", "merge", "flow")),
    ),
}


def test_a_coarse_flow_is_twice_as_long_on_the_next_level(name: str) -> None:
    network = MODELS[name](clip_length=2, width=0.125).build().eval()
    features, coarse, up, merge, fine = map(network.get_submodule, DECODER_PARTS[name])
    middle = (1,) * (coarse.weight.ndim - 2)
    triangle = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        features.bias[0] = 1.0  # the coarse features are 1 everywhere
        coarse.weight[(slice(None), 0, *middle)] = torch.tensor([1.5, -0.5])
        up.weight[[0, 1], [0, 1]] = torch.outer(triangle, triangle).expand(up.weight[0, 0].shape)
        merge[0].weight[([0, 1], [-2, -1], *middle)] = 1.0
        merge[1].weight.fill_(1.0)
        fine.weight[([0, 1], [0, 1], *middle)] = 1.0
        _, flow3, flow4 = network(torch.zeros(1, 3, 2, 64, 64))
    assert torch.allclose(flow4[0, :, 0, 4, 4], torch.tensor([1.5, -0.5]))
    scale = (1 + 1e-5) ** -0.5  # of batch normalisation
    interior = flow3[0, :, 0, 2:-2, 2:-2]
    expected = 2 * scale * torch.tensor([1.5, -0.5])[:, None, None]
    assert torch.allclose(interior, expected.expand_as(interior), atol=1e-6)


# Blocks


def test_joined_parts_are_cropped_at_the_bottom_right() -> None:
    first, second = torch.rand(1, 2, 5, 6), torch.rand(1, 1, 4, 8)
    joined = join(first, second)
    assert torch.equal(joined, torch.cat([first[..., :4, :6], second[..., :4, :6]], dim=1))


def test_frames_are_stacked_and_pairs_unstacked_in_order() -> None:
    clips = torch.arange(2 * 3 * 4.0).view(2, 3, 4, 1, 1)
    stacked = stack_frames(clips)
    assert all(stacked[1, 3 * k + c] == clips[1, c, k] for k in range(4) for c in range(3))
    flow = unstack_pairs(stacked)
    assert flow.shape == (2, 2, 6, 1, 1)
    assert all(flow[1, c, k] == stacked[1, 2 * k + c] for k in range(6) for c in range(2))


def test_the_width_scales_every_number_of_channels_but_leaves_one() -> None:
    assert scale_channels((64, 128, 3), 0.5) == [32, 64, 2]
    assert scale_channels((64, 3), 0.01) == [1, 1]


# Single networks


def test_weights_of_earlier_versions_fit_tiny_motionnet() -> None:
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    layers = ("conv1", "conv2", "conv3", "conv4", "merge3", "merge2")
    expected = {f"{layer}.0.{last}" for layer in layers for last in ("weight", "bias")}
    expected |= {f"{layer}.1.{last}" for layer in layers for last in norm}
    ups = ("up3.0", "up2.0", "up_flow3", "up_flow2")
    expected |= {f"{layer}.{last}" for layer in ups for last in ("weight", "bias")}
    expected |= {f"flow{level}.weight" for level in (2, 3, 4)}
    assert set(TinyMotionNet(clip_length=2, width=0.1).state_dict()) == expected


@pytest.fixture
def pairwise_network() -> PairwiseMotionNet:
    network = PairwiseMotionNet(clip_length=5, width=0.125)
    network(torch.randn(4, 3, 5, 24, 32))  # statistics that are not those of the start
    return network.eval()


def test_every_pair_of_a_clip_gets_the_flow_it_has_alone(
    pairwise_network: PairwiseMotionNet,
) -> None:
    clips = torch.randn(2, 3, 5, 24, 32)
    flows = pairwise_network(clips)
    for pair in range(4):
        alone = pairwise_network.pair(clips[:, :, pair : pair + 2])
        for level, expected in zip(flows, alone, strict=True):
            torch.testing.assert_close(level[:, :, pair : pair + 1], expected)


def test_the_flow_of_a_pair_depends_on_its_two_frames_only(
    pairwise_network: PairwiseMotionNet,
) -> None:
    clips = torch.randn(1, 3, 5, 24, 32)
    changed = clips.clone()
    changed[:, :, [0, 1, 4]] = torch.randn(1, 3, 3, 24, 32)
    for before, after in zip(pairwise_network(clips), pairwise_network(changed), strict=True):
        torch.testing.assert_close(before[:, :, 2], after[:, :, 2])
        assert all((before[:, :, k] - after[:, :, k]).abs().max() > 1e-3 for k in (0, 1, 3))


def test_pairwise_weights_fit_clips_of_any_length(pairwise_network: PairwiseMotionNet) -> None:
    longer = PairwiseMotionNet(clip_length=8, width=0.125).eval()
    longer.load_state_dict(pairwise_network.state_dict())
    clips = torch.randn(1, 3, 8, 24, 32)
    torch.testing.assert_close(longer(clips)[0][:, :, 2:6], pairwise_network(clips[:, :, 2:7])[0])


# Reference values

SMALL = {"conv5": "pairs4", "deconv": "up", "iconv": "pairs", "xconv": "merge"}
SMALL |= {"upsampled_flow4_to_3": "up_flow3", "upsampled_flow3_to_2": "up_flow2"}
SMALL |= {f"predict_flow{level}.0": f"flow{level}" for level in (2, 3, 4)}
SMALL |= {"predict_flow": "flow"}
LARGE = {"predict_flow6": "flow6"}
for level in range(1, 7):
    LARGE |= {f"conv{level}_1": f"encoder.{level - 1}.1", f"conv{level}": f"encoder.{level - 1}.0"}
for step, level in enumerate((5, 4, 3, 2)):
    LARGE |= {f"deconv{level}": f"decoder.{step}.up", f"xconv{level}": f"decoder.{step}.merge"}
    LARGE |= {f"predict_flow{level}": f"decoder.{step}.flow"}
    LARGE |= {f"upsampled_flow{level + 1}_to_{level}": f"decoder.{step}.up_flow"}
REFERENCES = {
    "tinymotionnet": ("tiny_motionnet", SMALL),
    "motionnet": ("motionnet", LARGE),
    "tinymotionnet3d": ("tiny_motionnet_3d", SMALL),
}


def rename(reference_name: str, names: dict[str, str]) -> str:
    """Our name for a parameter of the reference network."""
    for theirs, ours in names.items():
        if reference_name.startswith(theirs):
            return reference_name.replace(theirs, ours, 1)
    return reference_name


@pytest.fixture(scope="module", params=sorted(REFERENCES))
def reference(
    request: pytest.FixtureRequest, golden: Path, fill_golden_weights: Callable
) -> tuple[str, nn.Module]:
    """Name of a reference network, and ours with its weights."""
    name, names = REFERENCES[request.param]
    description = json.loads((golden / f"{request.param}.json").read_text())
    shapes = {key: entry["shape"] for key, entry in description["state_dict"].items()}
    network = MODELS[name]().build()
    weights = fill_golden_weights(shapes).items()
    network.load_state_dict({rename(key, names): values for key, values in weights})
    return request.param, network.eval()


@pytest.mark.parametrize("size", ["", "_odd"])
def test_flows_equal_the_reference(
    golden: Path, reference: tuple[str, nn.Module], size: str
) -> None:
    name, network = reference
    with np.load(golden / f"{name}{size}.npz") as arrays, torch.no_grad():
        flows = network(unstack(arrays["input"]))
        for key, flow in zip(("flow2", "flow3", "flow4"), flows, strict=True):
            np.testing.assert_allclose(flow, to_flow(arrays[key]), atol=1e-4)


def unstack(images: np.ndarray) -> torch.Tensor:
    """Clips (B, 3, 11, H, W), also of the reference's (B, 33, H, W)."""
    clips = torch.from_numpy(images)
    return clips if clips.ndim == 5 else clips.unflatten(1, (-1, 3)).transpose(1, 2)


def to_flow(values: np.ndarray) -> torch.Tensor:
    """Flow (B, 2, 10, h, w), also of the reference's (B, 20, h, w)."""
    flow = torch.from_numpy(values)
    return flow if flow.ndim == 5 else unstack_pairs(flow)


# Normalisation


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
