"""Start weights: what is filled, adapted, new, and what is refused."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from pixelethogram.errors import InputError, ResourceError
from pixelethogram.features.models.resnet import ResNet18Config
from pixelethogram.features.models.start_weights import (
    adapt_first_layer,
    decayed_weights,
    load_start_weights,
)
from pixelethogram.features.models.two_stream import TwoStream


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(1)
    network = torchvision.models.resnet18()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
    return network.state_dict()


@pytest.fixture(scope="module")
def weights_file(tensors: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(tensors, path)
    return path


def build(num_outputs: int = 4) -> TwoStream:
    flow = nn.Conv3d(3, 2, 1)
    ones = (1.0, 1.0, 1.0)
    return ResNet18Config().build(flow, num_outputs, (0.0, 0.0, 0.0), ones)


def test_both_backbones_are_filled_from_the_file(
    weights_file: Path, tensors: dict[str, Tensor]
) -> None:
    network = build()
    heads = [stream.head.weight.clone() for stream in (network.spatial, network.motion)]
    flow = network.flow.weight.clone()
    load_start_weights(network, weights_file)
    for name, value in network.spatial.backbone.state_dict().items():
        assert torch.equal(value, tensors[name]), name
    for name, value in network.motion.backbone.state_dict().items():
        if name != "conv1.weight":
            assert torch.equal(value, tensors[name]), name
    for stream, head in zip((network.spatial, network.motion), heads, strict=True):
        assert torch.equal(stream.head.weight, head)
    assert torch.equal(network.flow.weight, flow)


def test_the_report_accounts_for_every_tensor(weights_file: Path) -> None:
    network = build()
    report = load_start_weights(network, str(weights_file))
    assert report.adapted == ("motion.backbone.conv1.weight",)
    assert report.new == (
        "spatial.head.weight",
        "spatial.head.bias",
        "motion.head.weight",
        "motion.head.bias",
    )
    assert report.ignored == ("fc.bias", "fc.weight")
    own = {
        name
        for name in network.state_dict()
        if name.startswith(("spatial", "motion")) and "num_batches" not in name
    }
    assert sorted([*report.matched, *report.adapted, *report.new]) == sorted(own)


def test_the_reference_holds_start_values_of_convolutions_only(weights_file: Path) -> None:
    network = build()
    report = load_start_weights(network, weights_file)
    parameters = dict(network.named_parameters())
    assert len(report.reference) == 2 * 20  # 17 on the main path, 3 shortcuts
    for name, start in report.reference.items():
        assert start.ndim == 4
        assert start.dtype == torch.float32
        assert torch.equal(start, parameters[name])
    with torch.no_grad():
        parameters["spatial.backbone.conv1.weight"].add_(1)
    moved = parameters["spatial.backbone.conv1.weight"]
    assert not torch.equal(report.reference["spatial.backbone.conv1.weight"], moved)


def test_weight_decay_is_for_convolutions_and_linear_layers(weights_file: Path) -> None:
    network = build()
    decayed = decayed_weights(network)
    assert len(decayed) == 2 * 21
    assert all(weight.ndim in (2, 4) for weight in decayed.values())
    parameters = dict(network.named_parameters())
    assert all(weight is parameters[name] for name, weight in decayed.items())
    report = load_start_weights(network, weights_file)
    assert set(decayed) - set(report.reference) == {"spatial.head.weight", "motion.head.weight"}


def test_an_adapted_first_layer_answers_grey_as_before(
    weights_file: Path, tensors: dict[str, Tensor]
) -> None:
    network = build()
    load_start_weights(network, weights_file)
    grey = torch.rand(2, 1, 32, 32)
    expected = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), tensors["conv1.weight"])
    adapted = network.motion.backbone.conv1.weight
    answer = nn.functional.conv2d(grey.expand(-1, 20, -1, -1), adapted)
    assert torch.allclose(answer, expected, atol=1e-5)


def test_adapting_to_three_channels_averages_the_colors() -> None:
    weight = torch.arange(12.0).view(1, 3, 2, 2)
    assert torch.equal(adapt_first_layer(weight, 3)[0, 1], weight[0].mean(dim=0))


def test_none_changes_nothing() -> None:
    network = build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    report = load_start_weights(network, "none")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert (report.matched, report.adapted, report.ignored) == ((), (), ())
    assert "motion.backbone.conv1.weight" in report.new
    assert report.reference == {}


def test_counters_may_be_absent_and_half_precision_is_converted(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    half = {name: value.half() for name, value in tensors.items() if "num_batches" not in name}
    torch.save(half, tmp_path / "half.pth")
    network = build()
    report = load_start_weights(network, tmp_path / "half.pth")
    assert network.spatial.backbone.conv1.weight.dtype == torch.float32
    assert report.reference["spatial.backbone.conv1.weight"].dtype == torch.float32


@pytest.mark.parametrize("other", ["resnet34", "resnet50", "mobilenet_v3_small"])
def test_weights_of_another_network_are_refused(other: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        foreign = getattr(torchvision.models, other)()
    small = {name: torch.zeros(()).expand(v.shape) for name, v in foreign.state_dict().items()}
    torch.save(small, tmp_path / "other.pth")
    network = build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError, match="another network"):
        load_start_weights(network, tmp_path / "other.pth")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(InputError, match="no file nowhere.pth"):
        load_start_weights(build(), "nowhere.pth")


@pytest.mark.parametrize("content", [b"", b"not a file of tensors", b"PK\x03\x04broken"])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(InputError, match="does not hold a state dict"):
        load_start_weights(build(), tmp_path / "weights.pth")


class NotTensors:
    """An object that a file of weights has no business with."""


@pytest.mark.parametrize(
    "content", [{"state_dict": {"conv1.weight": torch.zeros(1)}}, [1, 2], {}, NotTensors()]
)
def test_a_file_without_a_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="does not hold a state dict"):
        load_start_weights(build(), tmp_path / "weights.pth")


def test_the_download_is_checked_and_used(
    tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def download(url: str, **options: object) -> dict[str, Tensor]:
        asked.update(options, url=url)
        return tensors

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    network = build()
    load_start_weights(network, "torchvision")
    assert "resnet18" in asked["url"]
    assert asked["check_hash"] is True
    assert asked["weights_only"] is True
    assert torch.equal(network.spatial.backbone.conv1.weight, tensors["conv1.weight"])


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("no route to host"), RuntimeError("invalid hash value")]
)
def test_without_a_network_it_says_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(url: str, **options: object) -> None:
        raise error

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(ResourceError) as caught:
        load_start_weights(build(), "torchvision")
    assert "give features.start_weights a file, or none" in str(caught.value)
    assert caught.value.exit_code == 4
