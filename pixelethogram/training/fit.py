"""The one place that builds a pl.Trainer: learn, validate, keep the best, resume, stop.

An epoch is the stretch between two validations. What a killed training needs to go on lies in the
checkpoint folder: `last.ckpt` (everything) and `best.pt` (state dict of the best weights so far).
Random numbers depend on the seed and the step only, so a resumed training repeats the one that was
not killed; where worker processes read clips, changes that they draw themselves are others.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import io
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging
from pytorch_lightning.plugins import TorchCheckpointIO
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from pixelethogram.atomic import write_bytes
from pixelethogram.config import TrainConfig
from pixelethogram.errors import UsageError
from pixelethogram.progress import Progress
from pixelethogram.training.device import choose_precision, count_workers

COSINE_END = 0.01  # share of the learning rate that is left at the last step
EMA_WARMUP_STEPS = 10  # the running mean forgets its start over about this many steps
SEED_STRIDE = 1_000_003  # between the random numbers of neighbouring seeds
LAST, BEST = "last.ckpt", "best.pt"
NEVER = 10**12  # plateau: _Keeper moves the schedule, so that the checkpoint holds the new state


@dataclasses.dataclass(frozen=True)
class Goal:
    """What makes one set of weights better than another."""

    metric: str
    """Logged validation value that decides."""
    higher_is_better: bool
    """Direction of `metric`."""
    tie: str = "val_loss"
    """Logged value, lower is better, that decides between equals."""

    def rank(self, metrics: Mapping[str, float]) -> tuple[float, float]:
        """Sort key: the larger, the better; what is not a number is the worst."""
        values = metrics[self.metric] * (1 if self.higher_is_better else -1), -metrics[self.tie]
        first, second = (-math.inf if math.isnan(value) else value for value in values)
        return first, second


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What a training came to."""

    best_step: int
    best: dict[str, float]
    """Validation values of the best weights."""
    steps: int
    stopped_by: str
    """steps, learning rate or wall clock."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for results.yaml."""
        return dataclasses.asdict(self)


def fit(
    task: pl.LightningModule,
    train: Dataset,
    val: Dataset,
    config: TrainConfig,
    goal: Goal,
    *,
    folder: Path,
    metrics_path: Path,
    seed: int,
    device: str,
    progress: Progress,
    name: str,
    val_batch_size: int | None = None,
) -> FitResult:
    """Train `task.network`, which holds the best weights afterwards.

    Called again after a kill with the same folder, it goes on from the last validation.

    Args:
        task: Logs `train_loss` per step and the goal's metrics per validation; has `.network`.
        train: Items are drawn in a new random order every epoch.
        val: Items are read in order at every validation.
        config: Length and pace.
        goal: Which validation is the best.
        folder: For what resuming needs; `drop_checkpoints` empties it.
        metrics_path: CSV with one row per validation; training values are means since the last one.
        seed: Start of the random numbers.
        device: cpu, cuda or mps.
        progress: Told of every step.
        name: Shown beside the bar.
        val_batch_size: Validation items per batch; the training batch size when None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    num_epochs, epoch_steps = plan_epochs(config)
    workers = config.workers if config.workers is not None else count_workers(device)
    loading: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0}
    loading["pin_memory"] = device.startswith("cuda")
    sampler = EpochSampler(len(train), epoch_steps * config.batch_size, seed)  # type: ignore[arg-type]
    train_loader = DataLoader(train, config.batch_size, sampler=sampler, **loading)
    val_loader = DataLoader(val, val_batch_size or config.batch_size, **loading)
    keeper = _Keeper(goal, folder, metrics_path, progress, config, seed)
    last = folder / LAST
    torch.manual_seed(seed)
    with _quiet_lightning():
        precision = choose_precision(config.precision, device, task)
        trainer = _build_trainer(config, keeper, folder, num_epochs, device, precision)
        progress.start(name, num_epochs * epoch_steps)
        try:
            trainer.fit(
                task,
                train_dataloaders=train_loader,
                val_dataloaders=val_loader,
                ckpt_path=str(last) if last.exists() else None,
                weights_only=True,
            )
        except SystemExit as error:  # Lightning's answer to Ctrl+C
            raise KeyboardInterrupt from error
    progress.finish(f"best {goal.metric} {keeper.best[goal.metric]:.4g} at step {keeper.best_step}")
    network: nn.Module = task.network  # type: ignore[assignment]
    network.load_state_dict(torch.load(folder / BEST, weights_only=True))
    return FitResult(keeper.best_step, keeper.best, trainer.global_step, keeper.stopped_by)


def drop_checkpoints(folder: Path) -> None:
    """Delete what only resuming needs, once the result of the training is kept elsewhere."""
    for name in (LAST, BEST):
        (folder / name).unlink(missing_ok=True)


def plan_epochs(config: TrainConfig) -> tuple[int, int]:
    """(validations, steps between them); together at least `config.steps`, evenly divided."""
    num_epochs = math.ceil(config.steps / config.validate_every)
    return num_epochs, math.ceil(config.steps / num_epochs)


def build_optimizer(
    parameters: Sequence[nn.Parameter], config: TrainConfig, goal: Goal
) -> dict[str, Any]:
    """Adam with the schedule of the settings, as Lightning's configure_optimizers returns it."""
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate)
    if config.schedule == "plateau":
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="max" if goal.higher_is_better else "min",
            factor=0.1,
            patience=config.patience,
        )
        scheduler: dict[str, Any] = {"scheduler": plateau, "monitor": goal.metric}
        scheduler["frequency"] = NEVER
    else:
        cosine = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: cosine_factor(step, config)
        )
        scheduler = {"scheduler": cosine, "interval": "step"}
    return {"optimizer": optimizer, "lr_scheduler": scheduler}


def cosine_factor(step: int, config: TrainConfig) -> float:
    """Share of the learning rate at a step: linear warm-up, half a cosine down to COSINE_END."""
    num_epochs, epoch_steps = plan_epochs(config)
    total = num_epochs * epoch_steps
    warmup = min(config.warmup_steps, total // 10)
    if step < warmup:
        return (step + 1) / warmup
    share = min(1.0, (step - warmup) / max(1, total - warmup))
    return COSINE_END + (1 - COSINE_END) * (1 + math.cos(math.pi * share)) / 2


class EpochSampler(Sampler[int]):
    """Random permutations of all items, one after the other; another order in every epoch.

    Args:
        num_items: Items of the dataset.
        num_drawn: Items per epoch.
        seed: Together with the epoch it decides the order, so a resumed training sees the same.
    """

    def __init__(self, num_items: int, num_drawn: int, seed: int) -> None:
        self._num_items, self._num_drawn, self._seed, self._epoch = num_items, num_drawn, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; Lightning calls it."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._num_drawn

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * SEED_STRIDE + self._epoch)
        rounds = math.ceil(self._num_drawn / self._num_items)
        order = torch.cat(
            [torch.randperm(self._num_items, generator=generator) for _ in range(rounds)]
        )
        return iter(order[: self._num_drawn].tolist())


class _Ema(WeightAveraging):
    """Running mean of all weights and BatchNorm statistics, where the network is.

    Args:
        decay: Share of the mean that stays at every step, once warm.
        device: Of the network while it learns; Lightning would make the mean before it is there.
    """

    def __init__(self, decay: float, device: str) -> None:
        def average(means: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
            done = int(updates)
            warm = (1 + done) / (EMA_WARMUP_STEPS + done)
            if means[0].is_floating_point():  # all of them: torch groups by type
                torch._foreach_lerp_(means, current, 1 - min(decay, warm))
            else:
                torch._foreach_copy_(means, current)

        super().__init__(device=device, multi_avg_fn=average)

    @property
    def network(self) -> nn.Module:
        """The averaged copy of task.network."""
        assert self._average_model is not None
        return self._average_model.module.network  # type: ignore[return-value]


class _Keeper(Callback):
    """Keeps what is worth it (metrics, best and last weights), and stops when the rate is spent."""

    def __init__(
        self,
        goal: Goal,
        folder: Path,
        metrics_path: Path,
        progress: Progress,
        config: TrainConfig,
        seed: int,
    ) -> None:
        self._goal, self._folder, self._metrics_path = goal, folder, metrics_path
        self._progress, self._config, self._seed = progress, config, seed
        self._since_validation: list[dict[str, float]] = []
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self.best_step = 0
        self.stopped_by = "steps"

    def state_dict(self) -> dict[str, Any]:
        names = ("rows", "best", "best_step", "stopped_by")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step:
            self._progress.advance(trainer.global_step, f"resumed at step {trainer.global_step}")
        trainer.should_stop = self.stopped_by != "steps"

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        torch.manual_seed(self._seed * SEED_STRIDE + trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        values = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("train_")
        }
        if not math.isfinite(values["train_loss"]):
            raise UsageError(
                f"the loss became {values['train_loss']} at step {trainer.global_step}",
                where=self._metrics_path.parent,
                why="the learning rate is too high, or numbers of 16 bits are too coarse here",
                do="lower train.learning_rate of this stage, or set its train.precision=fp32",
            )
        self._since_validation.append(values)
        self._progress.advance(1, f"loss {values['train_loss']:.4g}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val_")
        }
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        means = _means(self._since_validation)
        self.rows.append({"step": trainer.global_step, "learning_rate": rate, **means, **metrics})
        self._since_validation = []
        write_bytes(self._metrics_path, _to_csv(self.rows).encode())
        if not self.best or self._goal.rank(metrics) > self._goal.rank(self.best):
            self.best, self.best_step = metrics, trainer.global_step
            write_bytes(self._folder / BEST, _to_bytes(self._network(trainer, pl_module)))
        self._decide_to_stop(trainer, metrics)
        trainer.save_checkpoint(self._folder / LAST)

    def _decide_to_stop(self, trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
        """Cut the learning rate of the plateau schedule, and stop where there is none left."""
        if self._config.schedule == "plateau":
            plateau: Any = trainer.lr_scheduler_configs[0].scheduler
            plateau.step(metrics[self._goal.metric])
            if trainer.optimizers[0].param_groups[0]["lr"] < self._config.min_learning_rate:
                self.stopped_by, trainer.should_stop = "learning rate", True
        planned = math.prod(plan_epochs(self._config))
        if trainer.should_stop and self.stopped_by == "steps" and trainer.global_step < planned:
            self.stopped_by = "wall clock"

    def _network(self, trainer: pl.Trainer, task: pl.LightningModule) -> nn.Module:
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        averages = [callback for callback in callbacks if isinstance(callback, _Ema)]
        return averages[0].network if averages else task.network  # type: ignore[return-value]


class _WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are either whole or not there; Lightning's own may be cut by a kill."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())


def _build_trainer(
    config: TrainConfig, keeper: _Keeper, folder: Path, num_epochs: int, device: str, precision: str
) -> pl.Trainer:
    ema = [_Ema(config.ema_decay, device)] if config.ema_decay else []
    kind, _, number = device.partition(":")
    return pl.Trainer(
        accelerator={"cuda": "gpu"}.get(kind, kind),
        devices=[int(number)] if number else 1,
        precision={"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[precision],  # type: ignore[arg-type]
        plugins=[LightningEnvironment(), _WholeCheckpoints()],  # no guessing from SLURM variables
        max_epochs=num_epochs,
        max_time=datetime.timedelta(hours=config.max_hours),
        gradient_clip_val=config.gradient_clip or None,
        callbacks=[*ema, keeper],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's banners and its advice about worker numbers away from the user."""
    loggers = [
        logging.getLogger(name)
        for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric")
    ]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", module="pytorch_lightning|lightning|torch.optim.lr_scheduler"
            )
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = rows[0] if rows else ()
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}


def _to_csv(rows: Sequence[Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: f"{value:.6g}" for key, value in row.items()} for row in rows])
    return text.getvalue()


def _to_bytes(network: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    return buffer.getvalue()
