"""Contract of every sequence model: each test runs over the table."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from pixelethogram.sequence.models import MODELS
from pixelethogram.training.losses import focal_loss

NUM_FEATURES, NUM_OUTPUTS = 6, 3

# Settings that make tests fast; a network that is not here is tested with its defaults.
SMALL: dict[str, dict[str, object]] = {
    "tgm": {"filter_length": 9, "hidden": 16, "dropout": 0.1},
    "mlp_window": {"radius_frames": 6, "hidden": (32, 16), "dropout": 0.1},
    "conv1d": {"width": 16},
    "lstm": {"hidden": 16},
    "gru": {"hidden": 16},
    "attention": {"hidden": 16, "num_heads": 2, "num_layers": 2, "radius_frames": 6, "dropout": 0},
    "mstcn": {"hidden": 16, "num_layers": 4, "num_refinements": 1, "dropout": 0},
    "mstcn2": {
        "hidden": 16,
        "num_first_layers": 4,
        "num_layers": 3,
        "num_refinements": 1,
        "dropout": 0,
    },
    "multitask_mstcn2": {
        "hidden": 16,
        "num_first_layers": 4,
        "num_layers": 3,
        "dropout": 0,
    },
    "asformer": {
        "hidden": 16,
        "num_layers": 3,
        "num_decoders": 2,
        "dropout": 0,
        "channel_dropout": 0,
    },
}
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    name: (name, SMALL.get(name, {})) for name in MODELS
}
VARIANTS |= {
    "tgm-cauchy": ("tgm", {"kernel": "cauchy"}),
    "tgm-compatible": ("tgm", {"compatible": True}),
    "lstm-ahead": ("lstm", {**SMALL["lstm"], "bidirectional": False}),
    "gru-ahead": ("gru", {**SMALL["gru"], "bidirectional": False}),
    "conv1d-causal": ("conv1d", {**SMALL["conv1d"], "causal": True}),
    "mstcn-causal": ("mstcn", {**SMALL["mstcn"], "causal": True}),
    "mstcn2-causal": ("mstcn2", {**SMALL["mstcn2"], "causal": True}),
    "multitask-behaviors": (
        "multitask_mstcn2",
        {**SMALL["multitask_mstcn2"], "heads": "behaviors", "num_refinements": 2},
    ),
    "mstcn-once": ("mstcn", {**SMALL["mstcn"], "num_refinements": 0}),
    "asformer-encoder": ("asformer", {**SMALL["asformer"], "num_decoders": 0}),
}
CAUSAL = ["lstm-ahead", "gru-ahead", "conv1d-causal", "mstcn-causal", "mstcn2-causal"]
every_model = pytest.mark.parametrize("variant", VARIANTS)


def build(variant: str, prior: Tensor | None = None, exclusive: bool = False) -> nn.Module:
    name, settings = VARIANTS[variant]
    return MODELS[name](**settings).build(NUM_FEATURES, NUM_OUTPUTS, prior, exclusive)  # type: ignore


def every_frame(features: Tensor) -> Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def loss_of_all(answers: list[Tensor], labels: Tensor) -> Tensor:
    """Every answer is supervised."""
    return torch.stack([focal_loss(logits, labels) for logits in answers]).sum()


def test_a_name_in_the_table_is_the_name_in_the_settings() -> None:
    assert all(config().name == name for name, config in MODELS.items())


@every_model
def test_settings_are_frozen_strict_and_explained(variant: str) -> None:
    config = MODELS[VARIANTS[variant][0]]
    with pytest.raises(ValidationError):
        config(windw=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        config().name = "other"  # type: ignore
    assert all(field.description for field in config.model_fields.values())
    settings = config(**VARIANTS[variant][1])  # type: ignore[arg-type]
    assert config(**settings.model_dump()) == settings


def test_networks_were_published_with_these_weights_of_smoothness() -> None:
    weights = {name: config.default_smoothness for name, config in MODELS.items()}
    assert {name: weight for name, weight in weights.items() if weight} == {
        "mstcn": 0.15,
        "mstcn2": 0.15,
        "multitask_mstcn2": 0.15,
        "asformer": 0.15,
    }


@pytest.mark.parametrize("name", MODELS)
def test_in_a_window_of_its_own_length_every_tap_of_a_network_learns(name: str) -> None:
    config = MODELS[name]
    model = config().build(4, 2, None, False)
    features = torch.randn(1, config.default_window_frames, 4)
    labels = torch.randint(0, 2, (1, config.default_window_frames, 2))
    loss_of_all(model(features, every_frame(features)), labels).backward()
    for weight_name, weight in model.named_parameters():
        if weight.ndim == 3:  # (out, in, taps)
            assert weight.grad is not None
            assert weight.grad.abs().sum(dim=(0, 1)).all(), weight_name


@every_model
@pytest.mark.parametrize("num_frames", [1, 20, 35, 61, 130])
def test_logits_have_one_row_per_frame(variant: str, num_frames: int) -> None:
    features = torch.randn(2, num_frames, NUM_FEATURES)
    for model in (build(variant).train(), build(variant).eval()):
        answers = model(features, every_frame(features))
        assert {tuple(logits.shape) for logits in answers} == {(2, num_frames, NUM_OUTPUTS)}
        assert all(logits.isfinite().all() for logits in answers)


@pytest.mark.parametrize(
    ("variant", "num_answers"),
    [
        ("linear", 1),
        ("mstcn", 2),
        ("mstcn-once", 1),
        ("mstcn2", 2),
        ("multitask-behaviors", 3),
        ("asformer", 3),
    ],
)
def test_networks_that_refine_give_all_their_answers(variant: str, num_answers: int) -> None:
    features = torch.randn(1, 20, NUM_FEATURES)
    assert len(build(variant)(features, every_frame(features))) == num_answers


@every_model
def test_gradients_reach_every_parameter(variant: str) -> None:
    model = build(variant)
    features = torch.randn(4, 70, NUM_FEATURES)
    labels = torch.randint(0, 2, (4, 70, NUM_OUTPUTS))
    loss_of_all(model(features, every_frame(features)), labels).backward()
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
def test_a_batch_gives_what_its_samples_alone_give(variant: str) -> None:
    model = build(variant).eval()
    features = torch.randn(3, 50, NUM_FEATURES)
    together = model(features, every_frame(features))[-1]
    alone = [model(each[None], every_frame(each[None]))[-1] for each in features]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


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


def moving_mean_world(num_windows: int) -> tuple[Tensor, Tensor]:
    """Noise, and where the mean of the first feature over 9 (5, 1) frames is above zero.

    For the second behavior one frame says it all. For the first one it is right on
    1/2 + asin(1/3)/pi = 61 % of the frames.
    """
    features = torch.randn(num_windows, 90, NUM_FEATURES)
    rows = features[..., :1].transpose(1, 2)
    labels = [
        F.avg_pool1d(rows, width, 1, width // 2, count_include_pad=False) > 0 for width in (9, 5, 1)
    ]
    return features, torch.cat(labels, dim=1).transpose(1, 2).long()


@every_model
def test_it_learns_behaviors_that_are_means_of_several_frames(variant: str) -> None:
    features, labels = moving_mean_world(32)
    model = build(variant)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        chosen = torch.randint(32, (8,))
        answers = model(features[chosen], every_frame(features[chosen]))
        loss_of_all(answers, labels[chosen]).backward()
        optimizer.step()
    features, labels = moving_mean_world(16)
    present = model.eval()(features, every_frame(features))[-1] > 0
    right = (present == labels.bool()).float().mean(dim=(0, 1))
    assert right[2] > 0.85
    if variant == "linear":
        assert 0.55 < right[0] < 0.67  # so the others do see the frames around
    else:
        assert right[0] > (0.65 if variant in CAUSAL else 0.75)


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


@pytest.mark.parametrize(
    "variant",
    [
        "tgm",
        "tgm-compatible",
        "linear",
        "mlp_window",
        "conv1d",
        "mstcn",
        "mstcn2",
        "multitask_mstcn2",
    ],
)
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


# Receptive radius

# At their published depth, with fewer channels.
DEEP: dict[str, tuple[str, dict[str, object]]] = {
    "tgm-default": ("tgm", {}),
    "mlp_window-default": ("mlp_window", {}),
    "attention-default": ("attention", {}),
    "mstcn-default": ("mstcn", {"hidden": 16}),
    "mstcn2-default": ("mstcn2", {"hidden": 16}),
    "mstcn-default-causal": ("mstcn", {"hidden": 16, "causal": True}),
}
FADING = {"tgm", "tgm-default"}  # Gaussian kernels are zero, in floating point, before they end


def finite_models() -> list[str]:
    chosen = {**VARIANTS, **DEEP}
    networks = {v: MODELS[n](**s).build(2, 1) for v, (n, s) in chosen.items()}  # type: ignore
    return [v for v, network in networks.items() if network.receptive_radius is not None]


def build_exact(variant: str) -> tuple[nn.Module, int, Tensor]:
    """A model in double precision, its radius, features whose middle frame has all it can see."""
    name, settings = {**VARIANTS, **DEEP}[variant]
    model = MODELS[name](**settings).build(NUM_FEATURES, NUM_OUTPUTS).double().eval()  # type: ignore
    radius = model.receptive_radius
    features = torch.randn(1, 2 * radius + 5, NUM_FEATURES, dtype=torch.float64)
    return model, radius, features


@pytest.mark.parametrize("variant", finite_models())
def test_frames_beyond_the_receptive_radius_change_nothing(variant: str) -> None:
    model, radius, features = build_exact(variant)
    middle = radius + 2
    wild = features.clone()
    wild[:, [0, 1, -2, -1]] = 1e4 * torch.randn(1, 4, NUM_FEATURES, dtype=torch.float64)
    with torch.no_grad():
        quiet, disturbed = (
            model(each, every_frame(each))[-1][0, middle] for each in (features, wild)
        )
        torch.testing.assert_close(disturbed, quiet, rtol=0, atol=1e-13)
        wild[:, middle] += 1
        assert not torch.equal(model(wild, every_frame(wild))[-1][0, middle], quiet)


@pytest.mark.parametrize("variant", [v for v in finite_models() if v not in FADING])
def test_the_receptive_radius_is_no_larger_than_it_has_to_be(variant: str) -> None:
    """The farthest frame, on the side that is seen, has an influence, however small."""
    model, radius, features = build_exact(variant)
    features.requires_grad_(True)
    model(features, every_frame(features))[-1][0, radius + 2].sum().backward()
    assert features.grad is not None
    influence = features.grad[0].abs().sum(dim=1)
    seen = torch.nonzero(influence).flatten()
    ahead = 2 * radius + 2
    assert (seen.min(), seen.max()) == (2, radius + 2 if "causal" in variant else ahead)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in finite_models()])
def test_a_model_without_finite_radius_sees_the_whole_window(variant: str) -> None:
    features = torch.randn(1, 60, NUM_FEATURES, dtype=torch.float64, requires_grad=True)
    build(variant).double().eval()(features, every_frame(features))[-1][0, -1].sum().backward()
    assert features.grad is not None
    assert (features.grad[0].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("variant", CAUSAL)
def test_a_causal_model_knows_nothing_of_what_follows(variant: str) -> None:
    model = build(variant).eval()
    features = torch.randn(1, 60, NUM_FEATURES)
    other = features.clone()
    other[:, 40:] = torch.randn(1, 20, NUM_FEATURES)
    with torch.no_grad():
        first, second = (model(each, every_frame(each))[-1][0] for each in (features, other))
    assert torch.equal(first[:40], second[:40])
    assert not torch.equal(first[40], second[40])


# Start


def build_default(name: str, prior: Tensor) -> nn.Module:
    return MODELS[name]().build(NUM_FEATURES, NUM_OUTPUTS, prior)


@pytest.mark.parametrize("name", MODELS)
def test_the_prior_is_where_the_logits_start(name: str) -> None:
    prior = torch.tensor([-4.0, 0.5, 2.0])
    for features in (torch.zeros(4, 30, NUM_FEATURES), torch.randn(4, 30, NUM_FEATURES)):
        for answer in build_default(name, prior)(features, every_frame(features)):
            torch.testing.assert_close(answer.mean(dim=(0, 1)), prior, atol=0.3, rtol=0)


@every_model
def test_training_twice_from_one_seed_is_the_same(variant: str) -> None:
    features, labels = torch.randn(2, 40, NUM_FEATURES), torch.ones(2, 40, NUM_OUTPUTS)
    losses = []
    for _ in range(2):
        torch.manual_seed(5)
        losses.append(loss_of_all(build(variant)(features, every_frame(features)), labels))
    assert torch.equal(*losses)


@pytest.mark.parametrize("name", MODELS)
def test_prediction_is_not_random(name: str) -> None:
    model = build_default(name, torch.zeros(NUM_OUTPUTS)).eval()
    features = torch.randn(2, 40, NUM_FEATURES)
    with torch.no_grad():
        first, second = (model(features, every_frame(features))[-1] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", MODELS)
def test_half_precision_training_gives_finite_gradients(name: str) -> None:
    model = build(name)
    features = torch.randn(2, 80, NUM_FEATURES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answers = model(features, every_frame(features))
    loss_of_all(answers, torch.ones(2, 80, NUM_OUTPUTS)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_weights_do_not_depend_on_whether_behaviors_are_exclusive(name: str) -> None:
    shapes = [
        {key: value.shape for key, value in build(name, exclusive=exclusive).state_dict().items()}
        for exclusive in (False, True)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("name", "settings", "num_parameters"),
    [
        ("linear", {}, 5_125),
        ("conv1d", {}, 1024 * 64 * 7 + 64 + 2 * 64 + 64 * 5 * 3 + 5),
        ("lstm", {"bidirectional": False}, 279_365),
        ("lstm", {"bidirectional": True}, 558_725),
        ("gru", {"bidirectional": False}, 3 * 64 * (1024 + 64 + 2) + 64 * 5 + 5),
        ("tgm", {"compatible": True}, 264_983),
        ("tgm", {}, 264_983 - 24 + 5),
        ("mstcn", {}, 728_532),
        ("mstcn", {"causal": True}, 728_532),
        ("mstcn", {"num_refinements": 0}, 231_045),
        ("mstcn2", {}, 925_972),
        ("mstcn2", {"num_refinements": 0}, 428_485),
        ("multitask_mstcn2", {}, 428_485 + 165_829),
        ("multitask_mstcn2", {"heads": "behaviors"}, 428_485 + 5 * (165_829 - 4 * 65)),
    ],
)
def test_parameter_counts(name: str, settings: dict[str, object], num_parameters: int) -> None:
    assert count(MODELS[name](**settings).build(1024, 5)) == num_parameters  # type: ignore


def test_the_window_perceptron_on_pose_features_has_the_published_size() -> None:
    assert count(MODELS["mlp_window"]().build(44, 5)) == 382_981
