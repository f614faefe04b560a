"""Contract of every features network, and ResNet18 x 2 against its published numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixelethogram.features.models import MODELS
from pixelethogram.features.models.resnet import ResNet18, ResNet18Config
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNet

GREY = (0.5, 0.5, 0.5)
ONES = (1.0, 1.0, 1.0)


class FakeFlow(nn.Module):
    """Flow (x, y) of pair k is (2k, 2k + 1) everywhere; has a parameter and batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(3)

    def forward(self, clips: Tensor) -> list[Tensor]:
        batch, _, length, height, width = clips.shape
        numbers = torch.arange(2.0 * (length - 1)).view(1, length - 1, 2, 1, 1).transpose(1, 2)
        size = (height // 2, width // 2)
        flow = numbers.expand(batch, -1, -1, *size) + 0 * self.norm(clips).mean()
        return [flow]


class Probe(nn.Module):
    """A stream that answers with the mean of each channel."""

    def __init__(self, channels: int, num_outputs: int = 1) -> None:
        super().__init__()
        self.num_features = channels
        self.backbone = nn.Identity()
        self.head = nn.Linear(channels, num_outputs)

    def forward_features(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))

    def forward_head(self, features: Tensor) -> Tensor:
        return self.head(features)


def probes(mean=(0.0, 0.0, 0.0), std=ONES, *, length: int = 11) -> TwoStream:
    motion = Probe(2 * (length - 1))
    return TwoStream(FakeFlow(), spatial=Probe(3), motion=motion, mean=mean, std=std)


def numbered_clip(length: int) -> Tensor:
    """Frame t is t / 100 everywhere, plus 0.1 in green and 0.2 in blue."""
    frames = torch.arange(float(length)).view(1, 1, length, 1, 1) / 100
    color = torch.tensor([0.0, 0.1, 0.2]).view(1, 3, 1, 1, 1)
    return (frames + color).expand(1, 3, length, 8, 8)


@pytest.fixture(scope="module", params=sorted(MODELS))
def two_stream(request: pytest.FixtureRequest) -> TwoStream:
    torch.manual_seed(0)
    return MODELS[request.param]().build(FakeFlow(), 4, GREY, ONES, clip_length=5)


def test_forward_is_the_head_of_the_features(two_stream: TwoStream) -> None:
    clips = torch.rand(2, 3, 5, 64, 64)
    two_stream.eval()
    features = two_stream.forward_features(clips)
    logits = two_stream.forward_head(features)
    assert features.shape == (2, two_stream.spatial.num_features + two_stream.motion.num_features)
    assert logits.shape == (2, 4)
    assert torch.equal(two_stream(clips), logits)


def test_clips_of_a_batch_do_not_mix(two_stream: TwoStream) -> None:
    clips = torch.rand(3, 3, 5, 64, 64)
    two_stream.eval()
    assert torch.allclose(two_stream(clips)[1:2], two_stream(clips[1:2]), atol=1e-4)


def test_gradients_reach_both_streams_but_never_the_flow(two_stream: TwoStream) -> None:
    two_stream.train()
    two_stream.zero_grad()
    two_stream(torch.rand(2, 3, 5, 64, 64)).square().sum().backward()
    for name, parameter in two_stream.named_parameters():
        assert (parameter.grad is None) == name.startswith("flow."), name


def test_the_flow_network_is_frozen_in_training(two_stream: TwoStream) -> None:
    before = {key: value.clone() for key, value in two_stream.flow.state_dict().items()}
    two_stream.train()
    assert two_stream.training
    assert not two_stream.flow.training
    assert not two_stream.flow.norm.training
    optimizer = torch.optim.SGD(two_stream.parameters(), lr=0.1)
    for _ in range(2):
        two_stream(torch.rand(2, 3, 5, 64, 64)).sum().backward()
        optimizer.step()
    for key, value in two_stream.flow.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_both_heads_start_at_the_prior(two_stream: TwoStream) -> None:
    prior = torch.tensor([0.01, 0.2, 0.5, 0.9])
    two_stream.eval().set_head_bias(prior.logit())
    features = torch.zeros(1, 2 * 512)
    for logits in (*two_stream.stream_logits(features), two_stream.forward_head(features)):
        assert torch.allclose(logits.sigmoid(), prior, atol=1e-6)


@pytest.mark.parametrize(("length", "centre"), [(11, 5), (5, 2), (4, 2)])
def test_the_spatial_stream_sees_the_centre_frame(length: int, centre: int) -> None:
    features = probes(length=length).spatial_features(numbered_clip(length))
    expected = torch.tensor([[0.0, 0.1, 0.2]]) + centre / 100
    assert torch.allclose(features, expected, atol=1e-6)


def test_the_spatial_stream_is_normalised_once() -> None:
    network = probes(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    features = network.spatial_features(numbered_clip(11))
    expected = torch.tensor([[(0.05 - 0.1) / 0.5, (0.15 - 0.2) / 0.25, (0.25 - 0.3) / 0.125]])
    assert torch.allclose(features, expected, atol=1e-6)


def test_the_motion_stream_sees_x_and_y_of_every_pair_in_turn() -> None:
    features = probes().motion_features(numbered_clip(11))
    assert torch.equal(features, torch.arange(20.0)[None])


def test_features_are_spatial_then_motion() -> None:
    features = probes().forward_features(numbered_clip(11))
    assert torch.allclose(features[0, :3], torch.tensor([0.05, 0.15, 0.25]))
    assert torch.equal(features[0, 3:], torch.arange(20.0))


@pytest.mark.parametrize(("weight", "expected"), [(1.0, 3.0), (0.0, 2.0), (3.0, 3.5)])
def test_fusion_is_the_weighted_mean_of_the_logits(weight: float, expected: float) -> None:
    network = probes()
    network.flow_weight = weight
    with torch.no_grad():
        for stream, bias in ((network.spatial, 2.0), (network.motion, 4.0)):
            stream.head.weight.zero_()
            stream.head.bias.fill_(bias)
    assert network.forward_head(torch.zeros(1, 23)).item() == pytest.approx(expected)


def test_the_colors_travel_with_the_weights() -> None:
    trained, fresh = probes(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)), probes()
    fresh.load_state_dict(trained.state_dict())
    clip = numbered_clip(11)
    assert torch.equal(fresh.spatial_features(clip), trained.spatial_features(clip))


def test_dropout_acts_in_training_only() -> None:
    network = ResNet18(3, 2, dropout=0.5)
    features = torch.ones(1, 512)
    assert not torch.equal(network.forward_head(features), network.forward_head(features))
    network.eval()
    assert torch.equal(network.forward_head(features), network.forward_head(features))


def test_networks_have_the_published_sizes() -> None:
    def count(network: nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    network = ResNet18Config().build(TinyMotionNet(), 5, GREY, ONES)
    assert count(network.spatial) == 11_179_077
    assert count(network.motion) == 11_232_389
    assert count(network) == 24_363_250


def rename(reference_name: str) -> str:
    first, rest = reference_name.split(".", 1)
    return {"0": "backbone", "1": "head"}[first] + "." + rest


def shapes_of(golden, name: str) -> dict[str, list[int]]:
    description = json.loads((golden / f"{name}.json").read_text())
    return {key: entry["shape"] for key, entry in description["state_dict"].items()}


@pytest.mark.parametrize(("name", "channels"), [("resnet18_rgb", 3), ("resnet18_flow", 20)])
def test_resnet18_equals_the_reference(
    golden, fill_golden_weights, name: str, channels: int
) -> None:
    network = ResNet18(channels, 5).eval()
    weights = fill_golden_weights(shapes_of(golden, name))
    network.load_state_dict({rename(key): values for key, values in weights.items()})
    with np.load(golden / f"{name}.npz") as arrays, torch.no_grad():
        features = network.forward_features(torch.from_numpy(arrays["input"]))
        np.testing.assert_allclose(features, arrays["features"], atol=1e-4)
        logits = network.forward_head(features)
        np.testing.assert_allclose(logits, arrays["logits"], atol=1e-4)


FLOW_NAMES = {
    "deconv": "up",
    "xconv": "merge",
    "predict_flow": "flow",
    "upsampled_flow4_to_3": "up_flow3",
    "upsampled_flow3_to_2": "up_flow2",
}


def rename_whole(reference_name: str) -> str:
    part, rest = reference_name.split(".", 1)
    if part != "flow_generator":
        return {"spatial_classifier": "spatial", "flow_classifier": "motion"}[part] + (
            "." + rename(rest)
        )
    for theirs, ours in FLOW_NAMES.items():
        if rest.startswith(theirs):
            return "flow." + rest.replace(theirs, ours, 1)
    return "flow." + rest


def test_the_whole_model_equals_the_reference(golden, fill_golden_weights) -> None:
    """The reference shows its spatial stream channels 16 to 18, which are not one frame."""
    config = ResNet18Config(flow_weight=1.5)
    network = config.build(TinyMotionNet(), 5, (0.0, 0.0, 0.0), ONES).eval()
    weights = fill_golden_weights(shapes_of(golden, "deg_f"))
    state = {rename_whole(key): values for key, values in weights.items()}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["mean", "std"], [])
    with np.load(golden / "deg_f.npz") as arrays, torch.no_grad():
        images = torch.from_numpy(arrays["input"])
        spatial = network.spatial.forward_features(images[:, 16:19])
        motion = network.motion_features(images.unflatten(1, (-1, 3)).transpose(1, 2))
        features = torch.cat([spatial, motion], dim=1)
        spatial_logits, motion_logits = network.stream_logits(features)
        found = {
            "spatial_features": spatial,
            "flow_features": motion,
            "spatial_logits": spatial_logits,
            "flow_logits": motion_logits,
            "fused_logits": network.forward_head(features),
        }
        for key, values in found.items():
            np.testing.assert_allclose(values, arrays[key], atol=1e-4, err_msg=key)
