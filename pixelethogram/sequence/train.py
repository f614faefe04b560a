"""The sequence stage: cached features and labels in, a run with a sequence model out."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pixelethogram.atomic import write_bytes
from pixelethogram.config import Config, SequenceConfig
from pixelethogram.progress import Progress
from pixelethogram.runs import Run
from pixelethogram.sequence.ensemble import Ensemble
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.windows import WindowDataset
from pixelethogram.start_weights.load import load_sequence_weights, record_start
from pixelethogram.start_weights.naming import name_run_outputs
from pixelethogram.training.classifier import GOAL, Classifier, Target, build_target
from pixelethogram.training.fit import FitResult, drop_checkpoints, fit
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


@dataclasses.dataclass(frozen=True)
class TrainedEnsemble:
    """Members with their best weights, in eval mode on the CPU, and how each training went."""

    model: Ensemble
    results: list[dict[str, Any]]


def train_sequence(
    run: Run,
    data: SequenceData,
    config: Config,
    *,
    device: str,
    progress: Progress,
    member: int | None = None,
) -> TrainedSequence:
    """Learn temporal context.

    Args:
        run: A run of this stage, new or broken off; the caller finishes it.
        data: Features and labels.
        config: All settings.
        device: cpu, cuda or mps.
        progress: Told of every step.
        member: Number in an ensemble; it has files and random numbers of its own.
    """
    settings = config.sequence
    folder, metrics, name = run.checkpoints, "metrics.csv", "train sequence"
    if member is not None:
        folder, metrics = folder / f"member_{member}", f"metrics_member_{member}.csv"
        name = f"{name}, member {member + 1}"
    seed = config.seed + (member or 0)
    torch.manual_seed(seed)
    labels = np.concatenate([labels for _, labels in data.train])
    target = build_target(labels, data.behaviors, data.exclusive, settings.loss.weight_exponent)
    target.report_untrainable(progress)
    mean, std = feature_statistics([features for features, _ in data.train])
    network = settings.model.build(len(mean), target.num_outputs, target.prior, data.exclusive)
    model = NormalizedSequence(network, mean, std)
    report = load_sequence_weights(model, settings, name_run_outputs(run), progress)
    record_start(run, report, model, progress)
    result = fit(
        _build_task(model, target, settings),
        WindowDataset(data.train, choose_window(settings), jitter=True),
        WindowDataset(data.val, max(len(features) for features, _ in data.val)),
        settings.train,
        GOAL,
        folder=folder,
        metrics_path=run.folder / metrics,
        seed=seed,
        device=device,
        progress=progress,
        name=name,
        val_batch_size=1,
    )
    return TrainedSequence(model.cpu().eval(), result, target)


def train_ensemble(
    run: Run, data: Sequence[SequenceData], config: Config, *, device: str, progress: Progress
) -> TrainedEnsemble:
    """Train one model per fold; after a kill, finished ones are loaded instead of trained again.

    Args:
        run: A run of this stage, new or broken off; the caller finishes it.
        data: Of each member: what it learns from, and the fold that validates it.
        config: All settings.
        device: cpu, cuda or mps.
        progress: Told of every step.
    """
    members, results = [], []
    for number, each in enumerate(data):
        done = run.checkpoints / f"member_{number}.pt"
        if not done.is_file():
            trained = train_sequence(
                run, each, config, device=device, progress=progress, member=number
            )
            _keep_member(done, trained)
            drop_checkpoints(run.checkpoints / f"member_{number}")
        record = torch.load(done, map_location="cpu", weights_only=True)
        num_outputs = len(each.behaviors) + each.exclusive
        members.append(
            _restore(record["weights"], config.sequence, num_outputs, exclusive=each.exclusive)
        )
        results.append(record["result"])
    return TrainedEnsemble(Ensemble(members).eval(), results)


def folds_path(run: Run) -> Path:
    """File of an ensemble that is being trained, for its folds."""
    return run.checkpoints / "folds.yaml"


def drop_resumables(run: Run) -> None:
    """Delete what only resuming needs, of one model or of an ensemble, from a finished run."""
    drop_checkpoints(run.checkpoints)
    folds_path(run).unlink(missing_ok=True)
    for path in run.checkpoints.glob("member_*.pt"):
        path.unlink()


def load_sequence(run: Run) -> NormalizedSequence | Ensemble:
    """The sequence model of a finished run, or its ensemble, in eval mode on the CPU."""
    settings = run.config.sequence
    if settings.ensemble_folds > 1:
        return load_ensemble(run)
    num_outputs = len(run.behaviors) + run.exclusive
    return _restore(run.load_weights(), settings, num_outputs, exclusive=run.exclusive)


def load_ensemble(run: Run) -> Ensemble:
    """The ensemble of a finished run with `ensemble_folds` of 2 or more."""
    settings, num_outputs = run.config.sequence, len(run.behaviors) + run.exclusive
    divided = _divide_weights(run.load_weights(), settings.ensemble_folds)
    members = [
        _restore(weights, settings, num_outputs, exclusive=run.exclusive) for weights in divided
    ]
    return Ensemble(members).eval()


def choose_window(settings: SequenceConfig) -> int:
    """Frames per training window: as set, else the network's own."""
    return settings.window_frames or settings.model.default_window_frames


def choose_smoothness(settings: SequenceConfig) -> float:
    """Weight of the smoothness loss: as set, else the network's own."""
    wanted = settings.smoothness
    return settings.model.default_smoothness if wanted is None else wanted


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


def _build_task(model: NormalizedSequence, target: Target, settings: SequenceConfig) -> Classifier:
    return Classifier(
        model,
        predict_batch,
        parameters=lambda module: list(module.parameters()),
        target=target,
        loss=settings.loss,
        train_config=settings.train,
        penalty=_weight_penalty(settings),
        smoothness=choose_smoothness(settings),
    )


def _weight_penalty(settings: SequenceConfig) -> Callable[[nn.Module], Tensor]:
    def penalty(model: nn.Module) -> Tensor:
        return l2_sp({}, decayed_parameters(model), beta=settings.weight_decay)

    return penalty


def _keep_member(path: Path, trained: TrainedSequence) -> None:
    buffer = io.BytesIO()
    record = {"weights": trained.model.state_dict(), "result": trained.result.to_dict()}
    torch.save(record, buffer)
    write_bytes(path, buffer.getvalue())


def _restore(
    weights: Mapping[str, Tensor], settings: SequenceConfig, num_outputs: int, *, exclusive: bool
) -> NormalizedSequence:
    """A single model in eval mode from its state dict."""
    mean, std = weights["mean"], weights["std"]
    network = settings.model.build(len(mean), num_outputs, None, exclusive)
    model = NormalizedSequence(network, mean, std)
    model.load_state_dict(weights)
    return model.eval()


def _divide_weights(weights: Mapping[str, Tensor], number: int) -> list[dict[str, Tensor]]:
    """State dict of each member from that of an `Ensemble`."""
    divided: list[dict[str, Tensor]] = [{} for _ in range(number)]
    for name, tensor in weights.items():
        _, member, rest = name.split(".", maxsplit=2)
        divided[int(member)][rest] = tensor
    return divided
