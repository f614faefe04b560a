"""Contract of every sequence model, and the numbers of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from pixelethogram.sequence.models import MODELS
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.models.tgm import (
    CauchyKernels,
    GaussianKernels,
    MaskedBatchNorm,
    SmoothingStack,
    TGMConfig,
    filter_max,
)
from pixelethogram.training.losses import focal_loss

NUM_FEATURES, NUM_OUTPUTS = 6, 3
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {name: (name, {}) for name in MODELS}
VARIANTS |= {
    "tgm-cauchy": ("tgm", {"kernel": "cauchy"}),
    "tgm-compatible": ("tgm", {"compatible": True}),
    "tgm-small": ("tgm", {"num_filters": 3, "filter_length": 5, "num_layers": 2, "hidden": 4}),
    "lstm-ahead": ("lstm", {"bidirectional": False}),
}
every_model = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are slower with more."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


def build(variant: str, prior: Tensor | None = None) -> nn.Module:
    name, settings = VARIANTS[variant]
    return MODELS[name](**settings).build(NUM_FEATURES, NUM_OUTPUTS, prior)


def every_frame(features: Tensor) -> Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_a_name_in_the_table_is_the_name_in_the_settings() -> None:
    assert all(config().name == name for name, config in MODELS.items())


@every_model
def test_settings_are_frozen_strict_and_explained(variant: str) -> None:
    config = MODELS[VARIANTS[variant][0]]
    with pytest.raises(ValidationError):
        config(windw=3)
    with pytest.raises(ValidationError):
        config().name = "other"
    assert all(field.description for field in config.model_fields.values())
    settings = config(**VARIANTS[variant][1])
    assert config(**settings.model_dump()) == settings


@every_model
@pytest.mark.parametrize("num_frames", [1, 20, 35, 36, 61, 130])
def test_logits_have_one_row_per_frame(variant: str, num_frames: int) -> None:
    features = torch.randn(2, num_frames, NUM_FEATURES)
    for model in (build(variant).train(), build(variant).eval()):
        answers = model(features, every_frame(features))
        assert [tuple(logits.shape) for logits in answers] == [(2, num_frames, NUM_OUTPUTS)]
        assert answers[-1].isfinite().all()


@every_model
def test_gradients_reach_every_parameter(variant: str) -> None:
    model = build(variant)
    features = torch.randn(4, 70, NUM_FEATURES)
    labels = torch.randint(0, 2, (4, 70, NUM_OUTPUTS))
    focal_loss(model(features, every_frame(features))[-1], labels).backward()
    missed = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    dead = {f"unused.{i}" for i in range(5)} if variant == "tgm-compatible" else set()
    assert missed == dead


@every_model
def test_samples_of_a_batch_do_not_mix(variant: str) -> None:
    model = build(variant).eval()
    features = torch.randn(3, 50, NUM_FEATURES, requires_grad=True)
    model(features, every_frame(features))[-1][1].sum().backward()
    assert features.grad is not None
    assert features.grad[[0, 2]].abs().sum() == 0
    assert features.grad[1].abs().sum() > 0


@every_model
def test_what_stands_in_the_padding_changes_no_real_frame(variant: str) -> None:
    features = torch.randn(2, 80, NUM_FEATURES)
    mask = every_frame(features)
    mask[0, 50:] = mask[1, 10:] = False
    other = torch.where(mask[..., None], features, torch.full_like(features, math.nan))
    for train in (False, True):
        logits = []
        for frames in (features, other):
            torch.manual_seed(0)
            logits.append(build(variant).train(train)(frames, mask)[-1])
        torch.testing.assert_close(logits[0][mask], logits[1][mask])


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "tgm-compatible"])
def test_a_padded_window_gives_what_the_window_alone_gives(variant: str) -> None:
    """DeepEthogram's form is left out: it pads between layers, so the window's end matters."""
    model = build(variant).eval()
    features = torch.randn(2, 80, NUM_FEATURES)
    mask = every_frame(features)
    mask[:, 47:] = False
    alone = model(features[:, :47], mask[:, :47])[-1]
    torch.testing.assert_close(model(features, mask)[-1][:, :47], alone, atol=1e-5, rtol=1e-5)


@every_model
def test_it_learns_a_rule_that_can_be_read_off_the_features(variant: str) -> None:
    labels = torch.repeat_interleave(torch.randint(0, 2, (8, 12, NUM_OUTPUTS)), 10, dim=1)
    features = (2.0 * labels - 1).repeat(1, 1, 2) + 0.3 * torch.randn(8, 120, NUM_FEATURES)
    model = build(variant)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(50):
        optimizer.zero_grad()
        focal_loss(model(features, every_frame(features))[-1], labels).backward()
        optimizer.step()
    present = model.eval()(features, every_frame(features))[-1] > 0
    assert (present == labels.bool()).float().mean() > 0.95


@every_model
@pytest.mark.filterwarnings("ignore:The tensor attribute")  # torch about its own LSTM
def test_exported_programs_agree(variant: str) -> None:
    model = build(variant).eval()
    features = torch.randn(2, 100, NUM_FEATURES)
    mask = every_frame(features)
    mask[1, 80:] = False
    program = torch.export.export(model, (features, mask))
    with torch.no_grad():
        exported, expected = program.module()(features, mask)[-1], model(features, mask)[-1]
    torch.testing.assert_close(exported, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", ["tgm", "tgm-compatible", "linear"])
def test_one_exported_program_serves_windows_of_any_length(variant: str) -> None:
    model = build(variant).eval()
    features = torch.randn(2, 100, NUM_FEATURES)
    length = {1: torch.export.Dim("num_frames", min=2, max=100_000)}
    program = torch.export.export(
        model, (features, every_frame(features)), dynamic_shapes=(length, length)
    )
    for num_frames in (2, 60, 250):
        features = torch.randn(2, num_frames, NUM_FEATURES)
        with torch.no_grad():
            exported = program.module()(features, every_frame(features))[-1]
            expected = model(features, every_frame(features))[-1]
        torch.testing.assert_close(exported, expected, atol=1e-5, rtol=1e-5)


@every_model
def test_the_receptive_radius_is_true(variant: str) -> None:
    model = build(variant).eval()
    features = torch.zeros(1, 101, NUM_FEATURES)
    quiet = model(features, every_frame(features))[-1]
    features[0, 50] = 100 * torch.randn(NUM_FEATURES)
    changed = (model(features, every_frame(features))[-1] - quiet)[0].abs().amax(dim=1) > 1e-6
    frames = torch.arange(101)[changed]
    radius = 50 if model.receptive_radius is None else model.receptive_radius
    assert frames.min() >= 50 - radius
    assert frames.max() <= 50 + radius
    if variant in {"linear", "tgm-cauchy", "tgm-compatible"}:  # others fade before they end
        assert (frames.min(), frames.max()) == (50 - radius, 50 + radius)


@every_model
def test_the_prior_is_where_the_logits_start(variant: str) -> None:
    prior = torch.tensor([-4.0, 0.5, 2.0])
    model = build(variant, prior)
    features = torch.zeros(4, 30, NUM_FEATURES)
    logits = model(features, every_frame(features))[-1].mean(dim=(0, 1))
    torch.testing.assert_close(logits, prior, atol=0.3, rtol=0)


@every_model
def test_training_twice_from_one_seed_is_the_same(variant: str) -> None:
    features, labels = torch.randn(2, 40, NUM_FEATURES), torch.ones(2, 40, NUM_OUTPUTS)
    losses = []
    for _ in range(2):
        torch.manual_seed(5)
        losses.append(focal_loss(build(variant)(features, every_frame(features))[-1], labels))
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    ("name", "settings", "num_parameters"),
    [
        ("linear", {}, 5_125),
        ("lstm", {"bidirectional": False}, 279_365),
        ("lstm", {"bidirectional": True}, 558_725),
        ("tgm", {"compatible": True}, 264_983),
        ("tgm", {}, 264_983 - 24 + 5),
    ],
)
def test_parameter_counts(name: str, settings: dict[str, object], num_parameters: int) -> None:
    assert count(MODELS[name](**settings).build(1024, 5)) == num_parameters


@pytest.mark.parametrize(("num_outputs", "num_parameters"), [(2, 264_206), (8, 265_760)])
def test_parameter_counts_of_other_projects(num_outputs: int, num_parameters: int) -> None:
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


@pytest.mark.parametrize("variant", ["tgm", "tgm-compatible"])
def test_half_precision_training_gives_finite_gradients(variant: str) -> None:
    model = build(variant)
    features = torch.randn(2, 80, NUM_FEATURES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(features, every_frame(features))[-1]
    focal_loss(logits, torch.ones(2, 80, NUM_OUTPUTS)).backward()
    gradients = [p.grad for n, p in model.named_parameters() if not n.startswith("unused")]
    assert all(g is not None and g.isfinite().all() for g in gradients)


# Parts


def test_statistics_come_from_real_frames_only() -> None:
    ours, torchs = MaskedBatchNorm(3, None), nn.BatchNorm1d(3)
    logits, mask = torch.randn(4, 20, 3) * 3 + 1, torch.rand(4, 20) < 0.6
    torch.testing.assert_close(ours(logits, mask)[mask], torchs(logits[mask]))
    torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    torch.testing.assert_close(ours.running_var, torchs.running_var)
    torch.testing.assert_close(ours.eval()(logits, mask)[mask], torchs.eval()(logits[mask]))


def test_a_batch_without_real_frames_is_finite() -> None:
    norm = MaskedBatchNorm(3, None)
    assert norm(torch.randn(2, 4, 3), torch.zeros(2, 4, dtype=torch.bool)).isfinite().all()
    assert norm.running_var.isfinite().all()


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


def test_features_are_z_scored_and_clipped() -> None:
    class Echo(nn.Module):
        receptive_radius = 4

        def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
            return [features]

    model = NormalizedSequence(Echo(), torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0]))
    features = torch.tensor([[[5.0, 0.002], [-1e6, 1.0]]])
    normalized = model(features, every_frame(features))[0]
    torch.testing.assert_close(normalized, torch.tensor([[[2.0, 2.0], [-8.0, 8.0]]]))
    assert model.receptive_radius == 4
    assert set(model.state_dict()) == {"mean", "std"}
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        NormalizedSequence(Echo(), torch.zeros(2), torch.ones(3))


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
