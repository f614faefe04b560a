"""The sequence stage: cached features and labels in, a run with a sequence model out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pixelethogram.config import Config, SequenceConfig
from pixelethogram.progress import Progress
from pixelethogram.runs import Run
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.windows import WindowDataset
from pixelethogram.training.classifier import GOAL, Classifier, Target, build_target
from pixelethogram.training.fit import FitResult, fit
from pixelethogram.training.losses import decayed_parameters, l2_sp

Stretch = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class SequenceData:
    """Features (T, D) and labels (T, K) of stretches of video."""

    train: Sequence[Stretch]
    val: Sequence[Stretch]
    behaviors: tuple[str, ...]
    exclusive: bool


@dataclasses.dataclass(frozen=True)
class TrainedSequence:
    """A model with its best weights, in eval mode on the CPU, and how training went."""

    model: NormalizedSequence
    result: FitResult
    target: Target


def train_sequence(
    run: Run, data: SequenceData, config: Config, *, device: str, progress: Progress
) -> TrainedSequence:
    """Learn temporal context.

    Args:
        run: A run of this stage, new or broken off; the caller finishes it.
        data: Features and labels.
        config: All settings.
        device: cpu, cuda or mps.
        progress: Told of every step.
    """
    settings = config.sequence
    torch.manual_seed(config.seed)
    labels = np.concatenate([labels for _, labels in data.train])
    target = build_target(labels, data.behaviors, data.exclusive, settings.loss.weight_exponent)
    mean, std = feature_statistics([features for features, _ in data.train])
    network = settings.model.build(len(mean), target.num_outputs, target.prior)
    model = NormalizedSequence(network, mean, std)
    task = Classifier(
        model,
        predict_batch,
        parameters=lambda module: list(module.parameters()),
        target=target,
        loss=settings.loss,
        train_config=settings.train,
        penalty=_weight_penalty(settings),
        smoothness=settings.smoothness,
    )
    result = fit(
        task,
        WindowDataset(data.train, settings.window_frames, jitter=True),
        WindowDataset(data.val, max(len(features) for features, _ in data.val)),
        settings.train,
        GOAL,
        folder=run.checkpoints,
        metrics_path=run.folder / "metrics.csv",
        seed=config.seed,
        device=device,
        progress=progress,
        name="train sequence",
        val_batch_size=1,
    )
    return TrainedSequence(model.cpu().eval(), result, target)


def load_sequence(run: Run) -> NormalizedSequence:
    """The sequence model of a finished run, in eval mode on the CPU."""
    weights = run.load_weights()
    num_outputs = len(run.behaviors) + run.exclusive
    mean, std = weights["mean"], weights["std"]
    network = run.config.sequence.model.build(len(mean), num_outputs, None)
    model = NormalizedSequence(network, mean, std)
    model.load_state_dict(weights)
    return model.eval()


def predict_batch(model: nn.Module, batch: dict[str, Tensor]) -> list[Tensor]:
    """Logits of a batch of windows."""
    return model(batch["features"], batch["mask"])


def feature_statistics(stretches: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of features over all frames of all stretches, in float64."""
    total = sum(len(features) for features in stretches)
    mean = sum(features.sum(axis=0, dtype=np.float64) for features in stretches) / total
    squares = sum(((features.astype(np.float64) - mean) ** 2).sum(axis=0) for features in stretches)
    std = np.sqrt(squares / total)
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()


def _weight_penalty(settings: SequenceConfig) -> Callable[[nn.Module], Tensor]:
    def penalty(model: nn.Module) -> Tensor:
        return l2_sp({}, decayed_parameters(model), beta=settings.weight_decay)

    return penalty
