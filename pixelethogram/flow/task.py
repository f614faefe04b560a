"""FlowTask: the LightningModule of the flow stage; needs no labels.

Clips in; loss, and the gain of the flow over "no motion" in dB, out (paper, Methods: Flow
generators).
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pixelethogram.config import FlowConfig
from pixelethogram.flow.losses import FlowLoss, flow_loss
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.frames.augment import build_augmentation, to_float
from pixelethogram.training.fit import Goal, build_optimizer

GOAL = Goal("val_loss", higher_is_better=False)
SHOWN = (
    "pixel",
    "ssim",
    "smoothness",
    "psnr_warp",
    "psnr_identity",
    "gain_db",
    "mean_flow",
    "inside",
)


class FlowTask(pl.LightningModule):
    """Learns optic flow by reconstructing each frame from the next.

    Args:
        network: The generator; its weights are kept.
        config: Settings of the stage.
    """

    def __init__(self, network: FlowGenerator, config: FlowConfig) -> None:
        super().__init__()
        self.network = network
        self._config = config
        self._augment = build_augmentation(**config.augment.model_dump())

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        with torch.no_grad():
            clips = self._augment(to_float(batch["clip"]))
        loss = self._loss(clips)
        self.log("train_loss", loss.total.detach())
        self.log("train_gain_db", loss.gain_db)
        return loss.total + self._config.weight_decay / 2 * _squared_weights(self.network)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        loss = self._loss(to_float(batch["clip"]))
        values = {"val_loss": loss.total, **{f"val_{name}": getattr(loss, name) for name in SHOWN}}
        self.log_dict(values, batch_size=len(batch["clip"]))

    def configure_optimizers(self) -> Any:
        return build_optimizer(list(self.network.parameters()), self._config.train, GOAL)

    def _loss(self, clips: Tensor) -> FlowLoss:
        weights = self._config.loss
        return flow_loss(
            clips,
            self.network(clips),
            smoothness=weights.smoothness,
            ssim=weights.ssim,
            mask=weights.mask,
        )


def _squared_weights(network: nn.Module) -> Tensor:
    """Sum of squares of all weights with at least two dimensions (no biases, no BatchNorm)."""
    squares = [weight.square().sum() for weight in network.parameters() if weight.ndim > 1]
    return torch.stack(squares).sum()
