"""Classifier: the LightningModule of the features and the sequence stage.

In: batches with labels (…, K), 1 / 0 / -1 = not scored. A network makes logits of them, the focal
loss (over classes in exclusive projects) compares. Out: macro F1 on validation frames at the
thresholds that are best for them (paper, Methods: Key evaluation metrics).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pixelethogram.config import ClassifierLossConfig, TrainConfig
from pixelethogram.ethogram.decision import always_shows_one
from pixelethogram.ethogram.scores import score
from pixelethogram.ethogram.thresholds import (
    apply_exclusive,
    apply_thresholds,
    choose_thresholds,
)
from pixelethogram.progress import Progress
from pixelethogram.training.fit import Goal, build_optimizer
from pixelethogram.training.losses import (
    exclusive_log_odds,
    exclusive_loss,
    exclusive_weights,
    focal_loss,
    positive_weights,
    prior_log_odds,
    truncated_mse,
)
from pixelethogram.training.weighing import HeadWeights, Rule, replace_weights

GOAL = Goal("val_f1", higher_is_better=True)


@dataclasses.dataclass(frozen=True)
class Target:
    """What is to be told apart, and how rare each behavior is in the training labels."""

    behaviors: tuple[str, ...]
    exclusive: bool
    positive_weights: Tensor
    """(O,) weight of the loss towards each output."""
    trainable: Tensor
    """(K,) bool; False where the training labels hold no positive frame to learn from."""
    prior: Tensor
    """(O,) log-odds that the last layer's bias starts with."""
    always_one: bool
    """Exclusive projects: every training frame that is scored in full shows a behavior."""

    @property
    def num_outputs(self) -> int:
        """O: K, and in exclusive projects one more, "none of them"."""
        return len(self.behaviors) + self.exclusive

    def report_untrainable(self, progress: Progress) -> None:
        """Say which behaviors nothing can be learned about."""
        names = [
            name
            for name, trainable in zip(self.behaviors, self.trainable.tolist(), strict=True)
            if not trainable
        ]
        if names:
            progress.message(
                f"cannot be learned: {', '.join(names)}; no training frame shows them: label some, "
                "or leave them out"
            )


def build_target(
    labels: np.ndarray,
    behaviors: Sequence[str],
    exclusive: bool,
    weight_exponent: float,
    *,
    given: Mapping[str, float],
) -> Target:
    """Target of training labels (N, K), 1 / 0 / -1.

    Args:
        labels: Of the frames to learn from.
        behaviors: K names.
        exclusive: At most one is present per frame.
        weight_exponent: How much more rare behaviors weigh, see `positive_weights`.
        given: Behavior -> weight that takes the place of that.
    """
    tensor = torch.from_numpy(labels)
    weights, trainable = positive_weights(tensor, weight_exponent)
    if exclusive:
        weights = exclusive_weights(tensor, weight_exponent)
    return Target(
        tuple(behaviors),
        exclusive,
        replace_weights(weights, behaviors, given),
        trainable,
        exclusive_log_odds(tensor) if exclusive else prior_log_odds(tensor),
        always_one=exclusive and always_shows_one(labels),
    )


class Classifier(pl.LightningModule):
    """Learns labels from batches.

    Args:
        network: The part whose weights are kept (`fit` saves them).
        predict: Batch -> list of logits (..., O), best last; every one of them is supervised.
        parameters: What is learned.
        targets: Behaviors and their rarity, of every head. Labels and logits of the heads stand
            side by side, in this order; a head learns from the windows that it has labels in.
        loss: Settings of the loss.
        train_config: Pace.
        penalty: Regularisation, added to the loss.
        smoothness: Weight, per real frame, of the truncated squared difference of neighbouring
            frames (MS-TCN); 0 for clips.
        head_weights: How the losses of several heads become one.
    """

    def __init__(
        self,
        network: nn.Module,
        predict: Callable[[nn.Module, dict[str, Tensor]], list[Tensor]],
        *,
        parameters: Callable[[nn.Module], Sequence[nn.Parameter]],
        targets: Sequence[Target],
        loss: ClassifierLossConfig,
        train_config: TrainConfig,
        penalty: Callable[[nn.Module], Tensor],
        smoothness: float = 0.0,
        head_weights: Rule = "equal",
    ) -> None:
        super().__init__()
        self.network = network
        self._predict, self._learned, self._penalty = predict, parameters, penalty
        self._targets, self._loss, self._train_config = targets, loss, train_config
        self._smoothness = smoothness
        self._weigh = HeadWeights(head_weights, len(targets))
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._val_loss: list[Tensor] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        logits = self._predict(self.network, batch)
        loss = self._compare(logits, batch) + self._penalty(self.network)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        logits = self._predict(self.network, batch)
        frames = batch["labels"].shape[:-1].numel()
        self._val_loss.append(
            self._compare(logits, batch).float().cpu() / max(1, frames / len(batch["labels"]))
        )
        probabilities = torch.cat(
            [
                to_probabilities(each, target.exclusive)
                for each, target in zip(
                    self._split_logits(logits[-1].float()), self._targets, strict=True
                )
            ],
            dim=-1,
        )
        num_columns = probabilities.shape[-1]
        labels = batch["labels"].reshape(-1, num_columns)
        self._seen.append((probabilities.reshape(-1, num_columns).cpu(), labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        probabilities = torch.cat([p for p, _ in self._seen])
        labels = torch.cat([y for _, y in self._seen])
        self.log("val_f1", self._judge(labels, probabilities))
        self.log("val_loss", torch.stack(self._val_loss).mean())
        self._seen, self._val_loss = [], []

    def configure_optimizers(self) -> Any:
        learned = [*self._learned(self.network), *self._weigh.parameters()]
        return build_optimizer(learned, self._train_config, GOAL)

    def _judge(self, labels: Tensor, probabilities: Tensor) -> float:
        """Mean macro F1 of the heads that have labels."""
        columns = zip(self._split_labels(labels), self._split_labels(probabilities), strict=True)
        found = [
            best_macro_f1(truth.numpy(), of_head.numpy(), target)
            for (truth, of_head), target in zip(columns, self._targets, strict=True)
            if len(self._targets) == 1 or (truth >= 0).any()
        ]
        return sum(found) / max(len(found), 1)

    def _split_labels(self, labels: Tensor) -> tuple[Tensor, ...]:
        return labels.split([len(target.behaviors) for target in self._targets], dim=-1)

    def _split_logits(self, logits: Tensor) -> tuple[Tensor, ...]:
        return logits.split([target.num_outputs for target in self._targets], dim=-1)

    def _compare(self, logits: list[Tensor], batch: dict[str, Tensor]) -> Tensor:
        if len(self._targets) == 1:
            return self._compare_answers(logits, batch, self._targets[0])
        by_head = list(zip(*map(self._split_logits, logits), strict=True))
        losses, known = [], []
        for answers, labels, target in zip(
            by_head, self._split_labels(batch["labels"]), self._targets, strict=True
        ):
            chosen = (labels >= 0).flatten(1).any(dim=1)  # windows with a label of this head
            part = {"labels": labels[chosen], "mask": batch["mask"][chosen]}
            own = [each[chosen] for each in answers]
            known.append(chosen.any())
            losses.append(
                self._compare_answers(own, part, target)
                if known[-1]
                else sum((each.sum() * 0 for each in own), torch.zeros(()))
            )
        return self._weigh(torch.stack(losses), torch.stack(known))

    def _compare_answers(
        self, answers: Sequence[Tensor], batch: dict[str, Tensor], target: Target
    ) -> Tensor:
        losses = (self._compare_one(each.float(), batch, target) for each in answers)
        return sum(losses, torch.zeros(()))

    def _compare_one(self, logits: Tensor, batch: dict[str, Tensor], target: Target) -> Tensor:
        labels = batch["labels"]
        weights = target.positive_weights.to(logits.device)
        settings = {"gamma": self._loss.gamma, "smoothing": self._loss.smoothing}
        if target.exclusive:
            loss = exclusive_loss(logits, labels, class_weights=weights, **settings)
        else:
            labels = labels.masked_fill(~target.trainable.to(labels.device), -1)
            loss = focal_loss(logits, labels, positive_weights=weights, **settings)
        if self._smoothness:
            # the loss is a sum over frames, so a weight beside a mean has to grow with their number
            frames = batch["mask"].sum() / len(logits)
            jumps = truncated_mse(logits, batch["mask"], exclusive=target.exclusive)
            loss = loss + self._smoothness * frames * jumps
        return loss


def to_probabilities(logits: Tensor, exclusive: bool) -> Tensor:
    """Probabilities (..., K) of logits (..., O), without the exclusive "none of them" column."""
    return logits.softmax(-1)[..., :-1] if exclusive else logits.sigmoid()


def best_macro_f1(labels: np.ndarray, probabilities: np.ndarray, target: Target) -> float:
    """Macro F1 without background at the thresholds that suit these frames best."""
    thresholds = choose_thresholds(probabilities, labels).values
    if target.exclusive:
        present = apply_exclusive(probabilities, thresholds, target.always_one)
    else:
        present = apply_thresholds(probabilities, thresholds)
    return score(labels, probabilities, present, target.behaviors).macro_f1
