"""The flow task: loss, regularisation and what is logged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pixelethogram.config import AugmentConfig, FlowConfig
from pixelethogram.flow.losses import flow_loss
from pixelethogram.flow.models import MODELS
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNetConfig
from pixelethogram.flow.task import SHOWN, FlowTask, weigh_loss

STILL = AugmentConfig(
    flip_horizontal=0,
    rotation_degrees=0,
    brightness=0,
    contrast=0,
    color_probability=0,
    grayscale=0,
)


@pytest.fixture
def batch(moving_texture: np.ndarray) -> dict[str, torch.Tensor]:
    """Two clips of 11 frames."""
    clips = np.stack([moving_texture[start : start + 11] for start in (0, 7)])
    return {"clip": torch.from_numpy(clips)}


def build(logged: dict[str, float], **changes: Any) -> FlowTask:
    """A task that logs into a dict, in eval mode so that equal input gives equal output."""
    torch.manual_seed(0)
    network = FlowGenerator(TinyMotionNetConfig(width=0.1).build(), (0.5,) * 3, (0.2,) * 3)
    task = FlowTask(network, FlowConfig(**{"augment": STILL, **changes})).eval()

    def log(name: str, value: Any, **_: Any) -> None:
        logged[name] = float(value.detach())

    task.log = log  # type: ignore[method-assign]
    task.log_dict = lambda values, **_: logged.update(  # type: ignore[method-assign]
        {name: float(value.detach()) for name, value in values.items()}
    )
    return task


def test_the_loss_is_the_flow_loss_and_weight_decay_on_kernels_only(
    batch: dict[str, torch.Tensor],
) -> None:
    logged: dict[str, float] = {}
    task = build(logged, weight_decay=0.5)
    clips = batch["clip"].permute(0, 4, 1, 2, 3) / 255
    expected = flow_loss(clips, task.network(clips)).total
    kernels = [w for n, w in task.network.named_parameters() if n.endswith("weight") and w.ndim > 1]
    decay = sum(0.25 * kernel.square().sum() for kernel in kernels)
    assert task.training_step(batch, 0).item() == pytest.approx((expected + decay).item(), rel=1e-5)
    assert logged["train_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_weights_with_a_start_are_pulled_there_and_the_others_to_zero(
    batch: dict[str, torch.Tensor],
) -> None:
    plain = build({}, weight_decay=0).training_step(batch, 0).item()
    task = build({}, weight_decay=0.5, l2sp_new=0.25)
    first = task.network.network.conv1[0].weight
    task._start = {first: first.detach() - 0.1}
    kernels = [weight for weight in task.network.parameters() if weight.ndim > 1]
    others = sum(kernel.square().sum().item() for kernel in kernels) - first.square().sum().item()
    expected = 0.5 / 2 * 0.1**2 * first.numel() + 0.25 / 2 * others
    assert task.training_step(batch, 0).item() - plain == pytest.approx(expected, rel=1e-3)


def test_validation_logs_the_loss_its_parts_and_the_gain_over_no_motion(
    batch: dict[str, torch.Tensor],
) -> None:
    logged: dict[str, float] = {}
    build(logged).validation_step(batch, 0)
    assert set(logged) == {"val_loss", *(f"val_{name}" for name in SHOWN)}
    gain = logged["val_psnr_warp"] - logged["val_psnr_identity"]
    assert logged["val_gain_db"] == pytest.approx(gain, abs=1e-4)


def test_validation_clips_are_not_augmented(batch: dict[str, torch.Tensor]) -> None:
    still: dict[str, float] = {}
    wild: dict[str, float] = {}
    build(still).validation_step(batch, 0)
    build(wild, augment=AugmentConfig(flip_horizontal=1, rotation_degrees=90)).validation_step(
        batch, 0
    )
    assert wild == still


def test_training_clips_are_augmented(batch: dict[str, torch.Tensor]) -> None:
    flipped = build({}, augment=STILL.model_copy(update={"flip_horizontal": 1.0}), weight_decay=0)
    mirrored = {"clip": batch["clip"].flip(3)}
    plain = build({}, weight_decay=0)
    loss = flipped.training_step(batch, 0).item()
    assert loss == pytest.approx(plain.training_step(mirrored, 0).item(), rel=1e-4)
    assert loss != pytest.approx(plain.training_step(batch, 0).item(), rel=1e-4)


def test_the_loss_weights_of_the_settings_are_used(batch: dict[str, torch.Tensor]) -> None:
    without = build({}, loss={"ssim": 0.0}, weight_decay=0).training_step(batch, 0)
    logged: dict[str, float] = {}
    task = build(logged, weight_decay=0)
    difference = task.training_step(batch, 0) - without
    assert difference.item() > 0.01


SPARSE = {"smoothness": [0.0025, 0.005, 0.01], "sparsity": 0.05}


@pytest.mark.parametrize(
    ("name", "loss", "weights"),
    [
        ("tiny_motionnet", {}, {}),
        ("pairwise_motionnet", {}, {}),
        ("motionnet", {}, {}),
        ("motionnet_lite", {}, {}),
        ("tiny_motionnet_3d", {}, SPARSE),
        ("tiny_motionnet_3d", {"smoothness_factor": 1.0, "sparsity": 0.0}, {}),
        ("tiny_motionnet_3d", {"sparsity": 0.5}, {**SPARSE, "sparsity": 0.5}),
        ("tiny_motionnet_3d", {"smoothness": [4, 0, 0]}, {**SPARSE, "smoothness": [1, 0, 0]}),
        ("tiny_motionnet", {"smoothness_factor": 0.25, "sparsity": 0.05}, SPARSE),
        ("tiny_motionnet", {"smoothness_factor": None, "sparsity": "none"}, {}),
    ],
)
def test_the_network_weighs_its_loss_unless_the_settings_do(
    name: str, loss: dict[str, Any], weights: dict[str, Any]
) -> None:
    clips = torch.rand(1, 3, 3, 16, 16)
    flows = [torch.randn(1, 2, 2, size, size) for size in (8, 4, 2)]
    config = FlowConfig.model_validate({"model": {"name": name}, "loss": loss})
    found, expected = weigh_loss(clips, flows, config), flow_loss(clips, flows, **weights)
    for part in ("total", "smoothness", "sparsity"):
        value = getattr(expected, part).item()
        assert getattr(found, part).item() == pytest.approx(value, rel=1e-6)


def test_every_network_is_in_the_table_of_loss_weights() -> None:
    weights = {name: (each.smoothness_factor, each.sparsity) for name, each in MODELS.items()}
    assert {name for name, each in weights.items() if each != (1, 0)} == {"tiny_motionnet_3d"}
    assert weights["tiny_motionnet_3d"] == (0.25, 0.05)


def test_every_parameter_of_the_network_learns(batch: dict[str, torch.Tensor]) -> None:
    task = build({})
    task.training_step(batch, 0).backward()
    still = [name for name, w in task.network.named_parameters() if w.grad is None]
    assert still == []
