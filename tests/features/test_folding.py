"""Folding: every network of the tables gives the same without its batch normalisations."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pixelethogram.features.folding import NORMS, fold_batch_norms
from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.training.layout import to_channels_last

RELATIVE = 5e-6  # of the largest output; up to a hundred layers, each exact to 5e-7
GREY, ONES = (0.5,) * 3, (1.0,) * 3


def shake(network: nn.Module) -> nn.Module:
    """Statistics and factors such as training leaves."""
    for module in network.modules():
        if isinstance(module, NORMS):
            nn.init.normal_(module.running_mean, std=0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return network.eval()


def assert_same(
    network: nn.Module, forward: Callable[[nn.Module], Tensor], tolerance: float
) -> int:
    with torch.inference_mode():
        expected = forward(network)
        num_norms = sum(isinstance(module, NORMS) for module in network.modules())
        folded = copy.deepcopy(network)
        assert fold_batch_norms(folded) == num_norms
        assert not any(isinstance(module, NORMS) for module in folded.modules())
        assert (forward(folded) - expected).abs().max() <= tolerance * expected.abs().max()
        to_channels_last(folded)
        assert (forward(folded) - expected).abs().max() <= 2 * tolerance * expected.abs().max()
    return num_norms


@pytest.mark.parametrize("name", sorted(FLOW_MODELS))
def test_flow_networks(name: str) -> None:
    network = shake(FLOW_MODELS[name](width=0.25, clip_length=5).build())
    clips = torch.rand(1, 3, 5, 32, 32)
    assert assert_same(network, lambda net: net(clips)[0], RELATIVE) > 0


@pytest.mark.parametrize("name", sorted(set(FEATURES_MODELS) - {"external"}))
def test_both_streams(name: str) -> None:
    network = FEATURES_MODELS[name]().build(nn.Identity(), 2, GREY, ONES, clip_length=5)
    shake(network)
    frames = torch.randn(1, 3, 5, 48, 48)
    flow = torch.randn(1, 2, 4, 48, 48)
    assert assert_same(network, lambda net: net.spatial_features(frames), RELATIVE) > 0
    assert assert_same(network, lambda net: net.features_of_flow(flow), RELATIVE) > 0


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.BatchNorm2d(6), (2, 4, 8, 8)),
        (nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6, affine=False), (2, 4, 8, 8)),
        (nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2), nn.BatchNorm2d(6), (2, 4, 8, 8)),
        (nn.ConvTranspose3d(4, 6, 3, bias=False), nn.BatchNorm3d(6), (2, 4, 3, 8, 8)),
    ],
)
def test_a_single_layer_is_exact_to_the_last_rounding(
    layer: nn.Module, norm: nn.Module, shape: tuple[int, ...]
) -> None:
    norm.running_mean.normal_()  # type: ignore[operator, union-attr]
    norm.running_var.uniform_(0.5, 2)  # type: ignore[operator, union-attr]
    network = nn.Sequential(layer, norm, nn.ReLU()).eval()
    images = torch.randn(shape)
    assert assert_same(network, lambda net: net(images), 5e-7) == 1


def test_a_normalisation_that_follows_no_convolution_stays() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    assert fold_batch_norms(network.eval()) == 0


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        fold_batch_norms(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))
