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
from pixelethogram.sequence.heads import Question, balance_heads
from pixelethogram.sequence.models.multitask_mstcn2 import MultitaskMSTCN2Config
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.windows import WindowDataset
from pixelethogram.start_weights.load import load_sequence_weights, record_start
from pixelethogram.start_weights.naming import name_run_outputs
from pixelethogram.training.classifier import GOAL, Classifier, Target
from pixelethogram.training.fit import FitResult, drop_checkpoints, fit
from pixelethogram.training.losses import decayed_parameters, l2_sp
from pixelethogram.training.weighing import Rule

Stretch = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class SequenceData:
    """Features (T, D) and labels of stretches of video.

    Labels are (T, K), or (T, R · K) where R raters have a head each; see `sequence.heads`.
    """

    train: Sequence[Stretch]
    val: Sequence[Stretch]
    behaviors: tuple[str, ...]
    exclusive: bool
    raters: tuple[str, ...] = ()

    @property
    def question(self) -> Question:
        """What is asked about every frame."""
        return Question(self.behaviors, self.exclusive, self.raters)


@dataclasses.dataclass(frozen=True)
class TrainedSequence:
    """A model with its best weights, in eval mode on the CPU, and how training went."""

    model: NormalizedSequence
    result: FitResult
    targets: list[Target]
    """Of every head; one where all behaviors of all raters are one question."""


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
    targets = data.question.build_targets(labels, settings)
    for target in targets:
        target.report_untrainable(progress)
    mean, std = feature_statistics([features for features, _ in data.train])
    network = data.question.build_network(settings, len(mean), [each.prior for each in targets])
    model = NormalizedSequence(network, mean, std, data.raters)
    report = load_sequence_weights(model, settings, name_run_outputs(run), progress)
    record_start(run, report, model, progress)
    result = fit(
        _build_task(model, targets, settings),
        WindowDataset(_balance(data, targets, settings), choose_window(settings), jitter=True),
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
    return TrainedSequence(model.cpu().eval(), result, targets)


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
        members.append(_restore(record["weights"], config.sequence, each.question))
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
    return _restore(run.load_weights(), settings, _describe(run))


def load_ensemble(run: Run) -> Ensemble:
    """The ensemble of a finished run with `ensemble_folds` of 2 or more."""
    settings = run.config.sequence
    divided = _divide_weights(run.load_weights(), settings.ensemble_folds)
    return Ensemble([_restore(each, settings, _describe(run)) for each in divided]).eval()


def choose_window(settings: SequenceConfig) -> int:
    """Frames per training window: as set, else the network's own."""
    return settings.window_frames or settings.model.default_window_frames


def choose_smoothness(settings: SequenceConfig) -> float:
    """Weight of the smoothness loss: as set, else the network's own."""
    wanted = settings.smoothness
    return settings.model.default_smoothness if wanted is None else wanted


def choose_head_weights(settings: SequenceConfig) -> Rule:
    """How the losses of several heads become one; networks with one head do not care."""
    model = settings.model
    return model.head_weights if isinstance(model, MultitaskMSTCN2Config) else "equal"


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


def _build_task(
    model: NormalizedSequence, targets: Sequence[Target], settings: SequenceConfig
) -> Classifier:
    return Classifier(
        model,
        predict_batch,
        parameters=lambda module: list(module.parameters()),
        targets=targets,
        loss=settings.loss,
        train_config=settings.train,
        penalty=_weight_penalty(settings),
        smoothness=choose_smoothness(settings),
        head_weights=choose_head_weights(settings),
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


def _balance(
    data: SequenceData, targets: Sequence[Target], settings: SequenceConfig
) -> Sequence[Stretch]:
    model = settings.model
    if not (isinstance(model, MultitaskMSTCN2Config) and model.balance):
        return data.train
    return balance_heads(data.train, [len(target.behaviors) for target in targets])


def _describe(run: Run) -> Question:
    return Question(run.behaviors, run.exclusive, tuple(run.results.get("raters", ())))


def _restore(
    weights: Mapping[str, Tensor], settings: SequenceConfig, question: Question
) -> NormalizedSequence:
    """A single model in eval mode from its state dict."""
    mean, std = weights["mean"], weights["std"]
    network = question.build_network(settings, len(mean))
    model = NormalizedSequence(network, mean, std, question.raters)
    model.load_state_dict(weights)
    return model.eval()


def _divide_weights(weights: Mapping[str, Tensor], number: int) -> list[dict[str, Tensor]]:
    """State dict of each member from that of an `Ensemble`."""
    divided: list[dict[str, Tensor]] = [{} for _ in range(number)]
    for name, tensor in weights.items():
        _, member, rest = name.split(".", maxsplit=2)
        divided[int(member)][rest] = tensor
    return divided
