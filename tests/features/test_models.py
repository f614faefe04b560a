"""Contract of every features network, and the two-stream ones against their published numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.feature_extraction import create_feature_extractor

from pixelethogram.features.models import MODELS, FeaturesNetwork
from pixelethogram.features.models.resnet import ResNet, ResNet18Config, ResNet50Config
from pixelethogram.features.models.resnet3d import ResNet3D, ResNet3D34Config
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNet

GREY = (0.5, 0.5, 0.5)
ONES = (1.0, 1.0, 1.0)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in MODELS}
VARIANTS |= {
    "external": ("external", {"height": 32, "width": 32}),
    "external-frozen": ("external", {"height": 32, "width": 32, "frozen": True}),
    "resnet18-skip": ("resnet18", {"skip_features": True}),
    "resnet50-skip": ("resnet50", {"skip_features": True}),
}


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


class ColorFlow(FakeFlow):
    """Flow that differs from place to place: red and green of the first frame of each pair."""

    def forward(self, clips: Tensor) -> list[Tensor]:
        colors = nn.functional.avg_pool3d(clips[:, :2, :-1], (1, 2, 2))
        return [colors + 0 * self.norm(clips).mean()]


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


class VolumeProbe(Probe):
    """A stream that answers with the values at one pixel of each channel over time."""

    def forward_features(self, volumes: Tensor) -> Tensor:
        return volumes[..., 0, 0].flatten(1)


def probes(mean=(0.0, 0.0, 0.0), std=ONES, *, length: int = 11) -> TwoStream:
    motion = Probe(2 * (length - 1))
    return TwoStream(FakeFlow(), spatial=Probe(3), motion=motion, mean=mean, std=std)


def volume_probes(mean=(0.0, 0.0, 0.0), std=ONES) -> TwoStream:
    return TwoStream(
        FakeFlow(),
        spatial=VolumeProbe(3 * 11),
        motion=VolumeProbe(2 * 10),
        mean=mean,
        std=std,
        spatial_sees="clip",
        flow_as="time",
    )


def numbered_clip(length: int) -> Tensor:
    """Frame t is t / 100 everywhere, plus 0.1 in green and 0.2 in blue."""
    frames = torch.arange(float(length)).view(1, 1, length, 1, 1) / 100
    color = torch.tensor([0.0, 0.1, 0.2]).view(1, 3, 1, 1, 1)
    return (frames + color).expand(1, 3, length, 8, 8)


@pytest.fixture(scope="module", params=VARIANTS)
def network(request: pytest.FixtureRequest) -> FeaturesNetwork:
    """For clips of five frames; `given_flow` is the flow network it was given."""
    torch.manual_seed(0)
    name, settings = VARIANTS[request.param]
    flow = ColorFlow()
    network = MODELS[name](**settings).build(flow, 4, GREY, ONES, clip_length=5)
    object.__setattr__(network, "given_flow", flow)  # beside the modules, for the tests
    return network


def random_clips(number: int) -> Tensor:
    return torch.rand(number, 3, 5, 32, 32)


class TestContract:
    def test_forward_is_the_head_of_the_features(self, network: FeaturesNetwork) -> None:
        clips = random_clips(2)
        network.eval()
        features = network.forward_features(clips)
        logits = network.forward_head(features)
        assert features.ndim == 2
        assert len(features) == 2
        assert logits.shape == (2, 4)
        assert torch.equal(network(clips), logits)

    def test_the_named_logits_are_those_of_the_head_and_of_each_stream(
        self, network: FeaturesNetwork
    ) -> None:
        network.eval()
        features = network.forward_features(random_clips(2))
        named = network.named_logits(features)
        assert list(named) in (["logits"], ["logits", "spatial_logits", "flow_logits"])
        assert all(logits.shape == (2, 4) for logits in named.values())
        assert torch.equal(named["logits"], network.forward_head(features))

    def test_clips_of_a_batch_do_not_mix(self, network: FeaturesNetwork) -> None:
        clips = random_clips(3)
        network.eval()
        alone = network(clips[1:2])
        assert torch.allclose(network(clips)[1:2], alone, atol=1e-4, rtol=1e-4)

    def test_each_phase_reaches_what_it_trains_and_nothing_else(
        self, network: FeaturesNetwork
    ) -> None:
        network.train()
        for phase in network.phases:
            network.zero_grad(set_to_none=True)
            network.phase_logits(random_clips(2), phase).square().sum().backward()
            learning = {
                parameter
                for module in network.phase_modules(phase)
                for parameter in module.parameters()
            }
            for name, parameter in network.named_parameters():
                assert (parameter.grad is not None) == (parameter in learning), (phase, name)

    def test_a_phase_that_needs_no_clips_needs_their_centre_frame_only(
        self, network: FeaturesNetwork
    ) -> None:
        clips = random_clips(2)
        network.eval()
        for phase in network.phases:
            if not network.needs_clips(phase):
                whole = network.phase_logits(clips, phase)
                assert torch.equal(network.phase_logits(clips[:, :, 2:3], phase), whole)

    def test_the_flow_network_is_frozen_in_training(self, network: FeaturesNetwork) -> None:
        flow = network.given_flow
        before = {key: value.clone() for key, value in flow.state_dict().items()}
        flow.eval()
        network.train()
        assert network.training
        assert not flow.training
        assert not flow.norm.training
        network(random_clips(2)).sum().backward()
        assert all(parameter.grad is None for parameter in flow.parameters())
        for key, value in flow.state_dict().items():
            assert torch.equal(value, before[key]), key

    def test_the_heads_start_at_the_prior(self, network: FeaturesNetwork) -> None:
        prior = torch.tensor([0.01, 0.2, 0.5, 0.9])
        network.eval().set_head_bias(prior.logit())
        with torch.no_grad():
            for module in network.modules():  # so that zero features reach the heads as zeros
                if isinstance(module, nn.Linear) and module.out_features == 512:
                    module.bias.zero_()
        features = torch.zeros_like(network.forward_features(random_clips(1)))
        for logits in network.named_logits(features).values():
            assert torch.allclose(logits.sigmoid(), prior, atol=1e-6)


@pytest.mark.parametrize(("length", "centre"), [(11, 5), (5, 2), (4, 2)])
def test_the_spatial_stream_sees_the_centre_frame(length: int, centre: int) -> None:
    features = probes(length=length).spatial_features(numbered_clip(length))
    expected = torch.tensor([[0.0, 0.1, 0.2]]) + centre / 100
    assert torch.allclose(features, expected, atol=1e-6)


@pytest.mark.parametrize(("length", "first"), [(11, 16), (5, 7), (4, 6), (2, 3)])
def test_a_spatial_stream_may_see_what_deepethogram_showed(length: int, first: int) -> None:
    """Three channels in a row of all frames, from int(length / 2 * 3): of two frames if odd."""
    network = probes(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125), length=length)
    network.spatial_sees = "deepethogram"
    clip = numbered_clip(length)
    normalised = (clip - network.mean.view(1, 3, 1, 1, 1)) / network.std.view(1, 3, 1, 1, 1)
    channels = normalised.transpose(1, 2).flatten(1, 2).mean(dim=(2, 3))
    expected = channels[:, first : first + 3]
    assert torch.allclose(network.spatial_features(clip), expected, atol=1e-6)
    assert network.needs_clips("spatial")


def test_the_spatial_stream_is_normalised_once() -> None:
    network = probes(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    features = network.spatial_features(numbered_clip(11))
    expected = torch.tensor([[(0.05 - 0.1) / 0.5, (0.15 - 0.2) / 0.25, (0.25 - 0.3) / 0.125]])
    assert torch.allclose(features, expected, atol=1e-6)


def test_the_motion_stream_sees_x_and_y_of_every_pair_in_turn() -> None:
    features = probes().motion_features(numbered_clip(11))
    assert torch.equal(features, torch.arange(20.0)[None])


def test_a_spatial_stream_may_see_the_whole_clip() -> None:
    clip = numbered_clip(11)
    network = volume_probes(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    seen = network.spatial_features(clip).unflatten(1, (3, 11))
    time = torch.arange(11.0) / 100
    expected = torch.stack([(time - 0.1) / 0.5, (time - 0.1) / 0.25, (time - 0.1) / 0.125])
    assert torch.allclose(seen[0], expected, atol=1e-6)


def test_a_motion_stream_may_see_the_flow_over_time() -> None:
    seen = volume_probes().motion_features(numbered_clip(11)).unflatten(1, (2, 10))
    assert torch.equal(seen[0], torch.arange(20.0).view(10, 2).T)


def test_only_a_spatial_stream_of_single_frames_can_do_without_clips() -> None:
    phases = TwoStream.phases
    assert phases == ("spatial", "flow", "joint")
    assert [probes().needs_clips(phase) for phase in phases] == [False, True, True]
    assert [volume_probes().needs_clips(phase) for phase in phases] == [True, True, True]


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


@pytest.mark.parametrize("network", [ResNet("resnet18", 3, 2, dropout=0.5), ResNet3D(3, 2, 0.5)])
def test_dropout_acts_in_training_only(network: nn.Module) -> None:
    features = torch.ones(1, 512)
    assert not torch.equal(network.forward_head(features), network.forward_head(features))
    network.eval()
    assert torch.equal(network.forward_head(features), network.forward_head(features))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("config", "flow", "spatial", "motion", "total"),
    [
        (ResNet18Config(), 1_951_784, 11_179_077, 11_232_389, 24_363_250),
        (ResNet50Config(), 45_882_896, 24_559_685, 24_612_997, 95_055_578),
        (ResNet3D34Config(), 437_738, 63_516_101, 63_494_149, 127_447_988),
    ],
)
def test_networks_have_the_published_sizes(
    config: Any, flow: int, spatial: int, motion: int, total: int
) -> None:
    """`flow` is the size of the flow network of the same preset; see its own tests."""
    with torch.device("meta"):
        network = config.build(nn.Linear(flow, 1, bias=False), 5, GREY, ONES)
    assert count(network.spatial) == spatial
    assert count(network.motion) == motion
    assert count(network) == total


@pytest.mark.parametrize(
    ("config", "spatial", "motion"),
    [
        (ResNet18Config(), 2.369, 0.811),
        (ResNet50Config(), 5.339, 1.554),
        (ResNet3D34Config(), 51.33, 10.98),
    ],
)
def test_networks_take_the_published_work(config: Any, spatial: float, motion: float) -> None:
    """In 10^9 multiplications for a frame of 256 x 256 pixels."""
    with torch.device("meta"):
        network = config.build(nn.Identity(), 5, GREY, ONES).eval()
        with FlopCounterMode(display=False) as counter:
            network.spatial_features(torch.empty(1, 3, 11, 256, 256))
        assert counter.get_total_flops() / 2e9 == pytest.approx(spatial, rel=0.005)
        with FlopCounterMode(display=False) as counter:
            network.features_of_flow(torch.empty(1, 2, 10, 128, 128))
        assert counter.get_total_flops() / 2e9 == pytest.approx(motion, rel=0.005)


@pytest.mark.parametrize(("architecture", "width"), [("resnet18", 960), ("resnet50", 3840)])
class TestSkipFeatures:
    @pytest.fixture
    def pair(self, architecture: Any, width: int) -> tuple[ResNet, ResNet]:
        """The same network without and with them."""
        plain = ResNet(architecture, 20, 3).eval()
        skipping = ResNet(architecture, 20, 3, skip_features=True).eval()
        skipping.load_state_dict(plain.state_dict())
        assert (plain.num_features, skipping.num_features) == (512, width)
        return plain, skipping

    def test_they_are_the_means_of_four_layers(self, pair: tuple[ResNet, ResNet]) -> None:
        images = torch.rand(2, 20, 64, 48)
        layers = [f"layer{number}" for number in (1, 2, 3, 4)]
        maps = create_feature_extractor(pair[0].backbone, layers)(images)
        expected = torch.cat([maps[layer].mean(dim=(2, 3)) for layer in layers], dim=1)
        found = pair[1].forward_features(images)
        assert found.shape == (2, pair[1].num_features)
        assert torch.allclose(found, expected, atol=1e-5)

    def test_logits_are_the_same_with_and_without(self, pair: tuple[ResNet, ResNet]) -> None:
        images = torch.rand(2, 20, 64, 48)
        assert torch.allclose(pair[0](images), pair[1](images), atol=1e-5)


def rename(reference_name: str) -> str:
    first, rest = reference_name.split(".", 1)
    if rest.startswith("compression_fc"):
        return rest.replace("compression_fc", "compression", 1)
    return {"0": "backbone", "1": "head"}[first] + "." + rest


def shapes_of(golden: Path, name: str) -> dict[str, list[int]]:
    description = json.loads((golden / f"{name}.json").read_text())
    return {key: entry["shape"] for key, entry in description["state_dict"].items()}


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("resnet18_rgb", lambda: ResNet("resnet18", 3, 5)),
        ("resnet18_flow", lambda: ResNet("resnet18", 20, 5)),
        ("resnet50_rgb", lambda: ResNet("resnet50", 3, 5)),
        ("resnet50_flow", lambda: ResNet("resnet50", 20, 5)),
        ("resnet3d_34_rgb", lambda: ResNet3D(3, 5)),
        ("resnet3d_34_flow", lambda: ResNet3D(2, 5)),
    ],
)
def test_a_stream_equals_the_reference(
    golden: Path, fill_golden_weights: Any, name: str, build: Callable[[], nn.Module]
) -> None:
    """In float64: features of up to 700 are not exact to 1e-4 in float32, there or here."""
    network = build().eval()
    weights = fill_golden_weights(shapes_of(golden, name))
    network.load_state_dict({rename(key): values for key, values in weights.items()})
    with np.load(golden / f"{name}.npz") as arrays, torch.no_grad():
        features = network.double().forward_features(torch.from_numpy(arrays["input"]).double())
        np.testing.assert_allclose(features, arrays["features_f64"], atol=1e-8, rtol=0)
        logits = network.forward_head(features)
        np.testing.assert_allclose(logits, arrays["logits_f64"], atol=1e-8, rtol=0)
        scale = np.abs(arrays["features"]).max()
        single = network.float().forward_features(torch.from_numpy(arrays["input"]))
        np.testing.assert_allclose(single / scale, arrays["features"] / scale, atol=1e-5, rtol=0)


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


class GivenFlow(nn.Module):
    """Answers any clip with the same flow."""

    def __init__(self, flow: Tensor) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, clips: Tensor) -> list[Tensor]:
        return [self.flow]


@pytest.mark.parametrize(
    ("name", "config"),
    [("deg_m", ResNet50Config(flow_weight=1.5)), ("deg_s", ResNet3D34Config(flow_weight=1.5))],
)
def test_streams_and_fusion_equal_the_reference(
    golden: Path, fill_golden_weights: Any, name: str, config: Any
) -> None:
    """On the reference's own flow; `medium` shows channels 16 to 18 to its spatial stream."""
    shapes = {
        rename_whole(key): (key, shape)
        for key, shape in shapes_of(golden, name).items()
        if not key.startswith("flow_generator")
    }
    weights = fill_golden_weights(dict(shapes.values()))
    with np.load(golden / f"{name}.npz") as arrays, torch.no_grad():
        images, flow = (torch.from_numpy(arrays[key]).double() for key in ("input", "flow2_f64"))
        if flow.ndim == 4:
            flow = flow.unflatten(1, (-1, 2)).transpose(1, 2)
            images = images[:, 16:19, None]
        network = config.build(GivenFlow(flow), 5, (0.0, 0.0, 0.0), ONES).eval().double()
        state = {ours: weights[theirs] for ours, (theirs, _) in shapes.items()}
        assert network.load_state_dict(state, strict=False) == (["mean", "std"], [])
        found = network.named_logits(network.forward_features(images))
        for ours, logits in found.items():
            theirs = "fused_logits" if ours == "logits" else ours
            expected = arrays[f"{theirs}_f64"]
            np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0, err_msg=ours)
