"""The temporal Gaussian mixture: kernels, smoothing, and equality with the reference network."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from pixelethogram.sequence.models.tgm import (
    CauchyKernels,
    GaussianKernels,
    SmoothingStack,
    TGMConfig,
    filter_max,
)


def every_frame(features: Tensor) -> Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("num_outputs", "num_parameters"), [(2, 264_206), (5, 264_983), (8, 265_760)]
)
def test_parameter_counts_of_the_compatible_form(num_outputs: int, num_parameters: int) -> None:
    assert count(TGMConfig(compatible=True).build(1024, num_outputs)) == num_parameters


# Kernels


def test_kernels_are_non_negative_and_sum_to_one() -> None:
    for kernels in (GaussianKernels(8, 15), CauchyKernels(8, 15)):
        with torch.no_grad():
            kernels.center.copy_(3 * torch.randn(8))
            kernels.width.copy_(3 * torch.randn(8))
        values = kernels()
        assert (values >= 0).all()
        torch.testing.assert_close(values.sum(dim=1), torch.ones(8), atol=1e-5, rtol=0)


def test_the_widest_cauchy_kernel_has_the_known_shape() -> None:
    kernels = CauchyKernels(1, 15)
    nn.init.zeros_(kernels.center)
    nn.init.zeros_(kernels.width)
    values = kernels()[0]
    assert values[7].item() == pytest.approx(0.10804, abs=1e-5)
    assert values[0].item() == pytest.approx(0.03141, abs=1e-5)
    assert values[5:10].sum().item() == pytest.approx(0.49405, abs=1e-5)


def test_a_gaussian_kernel_of_one_frame_has_the_known_peak() -> None:
    kernels = GaussianKernels(1, 15)
    nn.init.zeros_(kernels.center)
    share = math.log(1 / 0.3) / math.log(7.5 / 0.3)
    nn.init.constant_(kernels.width, math.log(share / (1 - share)))
    assert kernels()[0, 7].item() == pytest.approx(0.39894, abs=1e-5)


def test_gaussian_kernels_start_spread_out_and_within_bounds() -> None:
    kernels = GaussianKernels(8, 15)
    center = 7 * (torch.tanh(kernels.center) + 1)
    assert (center.diff() > 0.5).all()
    assert center.max() - center.min() > 10
    sigma = 0.3 * (7.5 / 0.3) ** torch.sigmoid(kernels.width)
    assert ((sigma >= 0.49) & (sigma <= 4.01)).all()


@pytest.mark.parametrize(("mean", "sigma"), [(3.0, 2.8), (11.0, 0.8), (6.3, 1.5)])
def test_a_gaussian_kernel_recovers_a_planted_one(mean: float, sigma: float) -> None:
    taps = torch.arange(15.0)
    planted = torch.softmax(-((taps - mean) ** 2) / (2 * sigma**2), dim=0)
    impulses = (torch.rand(4, 1, 200) < 0.1).float()
    target = F.conv1d(impulses, planted.view(1, 1, -1))
    kernels = GaussianKernels(1, 15)
    optimizer = torch.optim.Adam(kernels.parameters(), lr=0.03)
    for _ in range(500):
        optimizer.zero_grad()
        F.mse_loss(F.conv1d(impulses, kernels()[:, None]), target).backward()
        optimizer.step()
    found_sigma = 0.3 * (7.5 / 0.3) ** torch.sigmoid(kernels.width)
    assert 7 * (torch.tanh(kernels.center) + 1).item() == pytest.approx(mean, abs=0.01)
    assert found_sigma.item() == pytest.approx(sigma, abs=0.01)


# Smoothing


def layer_by_layer(stack: SmoothingStack, features: Tensor) -> Tensor:
    """(B, T, D) -> (B, C, T, D) by padded convolutions, one layer after the other."""
    batch, num_frames, size = features.shape
    planes = features.transpose(1, 2).reshape(batch * size, 1, num_frames)
    for layer in stack.layers:
        filters = layer()
        planes = F.conv1d(planes, filters, padding=filters.shape[2] // 2)
    return planes.view(batch, size, -1, num_frames).permute(0, 2, 3, 1)


@pytest.mark.parametrize("num_frames", [1, 5, 14, 28, 34, 35, 36, 60, 61, 180])
def test_padded_layers_equal_convolutions_everywhere(num_frames: int) -> None:
    stack = SmoothingStack(TGMConfig(), padded_layers=True)
    features = torch.randn(2, num_frames, 4)
    expected = layer_by_layer(stack, features).amax(dim=1)
    torch.testing.assert_close(stack(features), expected, atol=1e-6, rtol=1e-5)


def test_one_filter_bank_differs_from_padded_layers_in_the_first_and_last_14_frames() -> None:
    stack = SmoothingStack(TGMConfig(kernel="cauchy"), padded_layers=False)
    features = torch.rand(2, 130, 4)
    difference = (stack(features) - layer_by_layer(stack, features).amax(dim=1)).abs()
    by_frame = difference.amax(dim=(0, 2))
    assert by_frame[14:-14].max() < 1e-5
    assert (by_frame[:14] > 1e-5).all()
    assert (by_frame[-14:] > 1e-5).all()


def test_the_filter_bank_equals_a_convolution_everywhere() -> None:
    stack = SmoothingStack(TGMConfig(), padded_layers=False)
    for num_frames in (1, 59, 60, 61, 130):
        features = torch.randn(3, num_frames, 4)
        rows = features.transpose(1, 2).reshape(12, 1, num_frames)
        smoothed = F.conv1d(rows, stack.taps()[:, None], padding=21).amax(dim=1)
        expected = smoothed.view(3, 4, num_frames).transpose(1, 2)
        torch.testing.assert_close(stack(features), expected, atol=1e-6, rtol=1e-5)


def test_flat_kernels_reach_43_frames() -> None:
    stack = SmoothingStack(TGMConfig(kernel="cauchy"), padded_layers=False)
    impulse = torch.zeros(1, 101, 1)
    impulse[0, 50] = 1
    assert torch.nonzero(stack(impulse)[0, :, 0]).flatten().tolist() == list(range(29, 72))


@pytest.mark.parametrize("padded_layers", [False, True])
def test_a_constant_stays_constant_in_the_interior(padded_layers: bool) -> None:
    stack = SmoothingStack(TGMConfig(), padded_layers)
    smoothed = stack(torch.full((1, 100, 2), 3.0))
    torch.testing.assert_close(smoothed[:, 21:-21], torch.full((1, 58, 2), 3.0), atol=1e-5, rtol=0)
    assert smoothed[0, 0, 0] < 2.9


def test_gradients_of_the_filter_bank_equal_those_of_a_convolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the blocks do not go into memory at once."""
    taps = torch.randn(3, 7, requires_grad=True)
    features = torch.randn(2, 150, 4, requires_grad=True)
    weight = torch.randn(2, 150, 4)

    rows = features.transpose(1, 2).reshape(8, 1, 150)
    plain = F.conv1d(rows, taps[:, None], padding=3).amax(dim=1).view(2, 4, 150).transpose(1, 2)
    expected = torch.autograd.grad((plain * weight).sum(), (taps, features))
    for planes in (1, 3 * 60 * 4 * 2, 1 << 22):
        monkeypatch.setattr("pixelethogram.sequence.models.tgm.PLANES_AT_ONCE", planes)
        gradients = torch.autograd.grad(
            (filter_max(features, taps) * weight).sum(), (taps, features)
        )
        torch.testing.assert_close(gradients, expected, atol=1e-4, rtol=1e-4)


def test_dropped_feature_dimensions_are_dropped_for_the_whole_window() -> None:
    model = TGMConfig().build(50, 2)
    dropped = model._drop(torch.ones(3, 20, 50))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0, 2}
    assert not torch.equal(dropped[0], dropped[1])
    element_wise = TGMConfig(compatible=True).build(50, 2)._drop(torch.ones(3, 20, 50))
    assert not torch.equal(element_wise, element_wise[:, :1].expand_as(element_wise))


def test_compatible_and_gaussian_do_not_go_together() -> None:
    assert TGMConfig(compatible=True).kernel == "cauchy"
    with pytest.raises(ValidationError, match="cauchy"):
        TGMConfig(compatible=True, kernel="gaussian")
    with pytest.raises(ValidationError, match="odd"):
        TGMConfig(filter_length=14)


# Reference values


def reference_names(name: str) -> str:
    """Our name for a parameter of the reference network."""
    if name.startswith("tgm_layers"):
        _, layer, last = name.split(".")
        ours = {"center": "kernels.center", "gamma": "kernels.width", "soft_attn": "mixing"}
        if last == "delta":
            return f"unused.{layer}"
        return f"smoothing.layers.{layer}.{ours.get(last, 'channels')}"
    heads = {"classify1.0": "direct.output", "classify1.1": "direct.norm"}
    heads |= {"classify2.0": "smoothed.output", "classify2.1": "smoothed.norm"}
    part, _, last = name.rpartition(".")
    if part == "h2":
        return {"weight": "unused.3", "bias": "unused.4"}[last]
    return f"{'direct.hidden' if part == 'h' else heads[part]}.{last}"


TGM_SHAPES: dict[str, tuple[int, ...]] = {
    f"tgm_layers.{layer}.{last}": (8,)
    for layer in range(3)
    for last in ("center", "delta", "gamma")
}
TGM_SHAPES |= {f"tgm_layers.{i}.soft_attn": (8 if i == 0 else 64, 8) for i in range(3)}
TGM_SHAPES |= {f"tgm_layers.{i}.cls_attn": (1, 8, 8, 1, 1) for i in (1, 2)}
HEAD_SHAPES: dict[str, tuple[int, ...]] = {
    f"{hidden}.{last}": shape
    for hidden in ("h", "h2")
    for last, shape in (("weight", (128, 1024, 1)), ("bias", (128,)))
}
HEAD_SHAPES |= {f"classify{i}.0.weight": (5, 128, 1) for i in (1, 2)}
HEAD_SHAPES |= {
    f"classify{i}.1.{last}": (5,)
    for i in (1, 2)
    for last in ("weight", "bias", "running_mean", "running_var")
}


@pytest.fixture
def reference_tgm(fill_golden_weights: Callable[..., dict[str, Tensor]]) -> nn.Module:
    """Compatible TGM with the weights of the reference network."""
    aliases = {"classify2.1.bias": "classify1.1.bias"}
    drawn = fill_golden_weights(TGM_SHAPES | HEAD_SHAPES, aliases=aliases)
    model = TGMConfig(compatible=True).build(1024, 5)
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    state = {}
    for name, values in drawn.items():
        ours = reference_names(name)
        state[ours] = values.reshape(shapes[ours])
    state |= {
        f"smoothed.hidden.{last}": state[f"direct.hidden.{last}"] for last in ("weight", "bias")
    }
    model.load_state_dict(state)
    return model.eval()


@pytest.mark.parametrize("reference", ["tgmj", "tgm"])
def test_filters_and_smoothing_equal_the_reference(
    golden: Path, reference_tgm: nn.Module, reference: str
) -> None:
    arrays = np.load(golden / f"{reference}.npz")
    features = torch.from_numpy(arrays["input"]).transpose(1, 2)
    stack = reference_tgm.smoothing
    with torch.no_grad():
        filters, smoothed = stack.layers[0].kernels(), stack(features)
        planes = torch.einsum("cts,bsd->bcdt", stack.matrix(60), features[..., :4])
    np.testing.assert_allclose(filters, arrays["filters_layer0"], atol=1e-6)
    np.testing.assert_allclose(planes, arrays["tgm_stack_d0to3"], atol=1e-5)
    expected = arrays["smoothed_max_d0to63"].transpose(0, 2, 1)
    np.testing.assert_allclose(smoothed[..., :64], expected, atol=1e-5)


def test_logits_equal_the_reference(golden: Path, reference_tgm: nn.Module) -> None:
    arrays = np.load(golden / "tgmj.npz")
    features = torch.from_numpy(arrays["input"]).transpose(1, 2)
    with torch.no_grad():
        logits = reference_tgm(features, every_frame(features))[-1]
    np.testing.assert_allclose(logits, arrays["logits"].transpose(0, 2, 1), atol=1e-5)
