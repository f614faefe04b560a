"""FlowTask: the LightningModule of the flow stage; needs no labels.

Clips in; loss, and the gain of the flow over "no motion" in dB, out (paper, Methods: Flow
generators).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pixelethogram.config import FlowConfig
from pixelethogram.flow.losses import FlowLoss, flow_loss
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.frames.augment import build_augmentation, to_float
from pixelethogram.frames.crop import crop_to_motion
from pixelethogram.start_weights.penalty import start_penalty
from pixelethogram.training.fit import Goal, build_optimizer
from pixelethogram.training.losses import decayed_parameters

GOAL = Goal("val_loss", higher_is_better=False)
SHOWN = (
    "pixel",
    "ssim",
    "smoothness",
    "sparsity",
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
        start: Start values of the network's parameters, which they are pulled to.
    """

    def __init__(
        self,
        network: FlowGenerator,
        config: FlowConfig,
        start: Mapping[nn.Parameter, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._config, self._start = config, start or {}
        self._augment = build_augmentation(**config.augment.model_dump())

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        with torch.no_grad():
            clips = crop_to_motion(to_float(batch["clip"]), self._config.crop)
            clips = self._augment(clips)
        loss = self._loss(clips)
        self.log("train_loss", loss.total.detach())
        self.log("train_gain_db", loss.gain_db)
        return loss.total + start_penalty(
            decayed_parameters(self.network),
            self._start,
            alpha=self._config.weight_decay,
            beta=self._config.l2sp_new,
        )

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        loss = self._loss(to_float(batch["clip"]))
        values = {"val_loss": loss.total, **{f"val_{name}": getattr(loss, name) for name in SHOWN}}
        self.log_dict(values, batch_size=len(batch["clip"]))

    def configure_optimizers(self) -> Any:
        return build_optimizer(list(self.network.parameters()), self._config.train, GOAL)

    def _loss(self, clips: Tensor) -> FlowLoss:
        return weigh_loss(clips, self.network(clips), self._config)


def weigh_loss(clips: Tensor, flows: Sequence[Tensor], config: FlowConfig) -> FlowLoss:
    """The loss with the weights of the settings; those left open are what the network asks for.

    Args:
        clips: (B, 3, L, H, W) in [0, 1].
        flows: What the network found in them, finest first, each (B, 2, L-1, h, w).
        config: Settings of the stage.
    """
    weights, wanted = config.loss, config.network
    factor, sparsity = weights.smoothness_factor, weights.sparsity
    factor = wanted.smoothness_factor if factor is None else factor
    return flow_loss(
        clips,
        flows,
        smoothness=[factor * weight for weight in weights.smoothness],
        sparsity=wanted.sparsity if sparsity is None else sparsity,
        ssim=weights.ssim,
        mask=weights.mask,
    )
