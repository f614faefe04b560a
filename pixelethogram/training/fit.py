"""The one place that builds a pl.Trainer: learn, validate, keep the best, resume, stop.

An epoch is the stretch between two validations. What a killed training needs to go on lies in the
checkpoint folder: `last.ckpt` (everything) and `best.pt` (state dict of the best weights so far).
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from pixelethogram.config import Precision, TrainConfig
from pixelethogram.progress import Progress
from pixelethogram.runs import write_bytes

COSINE_END = 0.01  # share of the learning rate that is left at the last step
EMA_WARMUP_STEPS = 10  # the running mean forgets its start over about this many steps


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
        """Sort key: the larger, the better."""
        value = metrics[self.metric]
        return (value if self.higher_is_better else -value), -metrics[self.tie]


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
        folder: For checkpoints and metrics.csv.
        seed: Start of the random numbers.
        device: cpu, cuda or mps.
        progress: Told of every step.
        name: Shown beside the bar.
        val_batch_size: Validation items per batch; the training batch size when None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    num_epochs, epoch_steps = plan_epochs(config)
    workers = config.workers if config.workers is not None else (0 if device == "cpu" else 4)
    loading: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0}
    sampler = EpochSampler(len(train), epoch_steps * config.batch_size, seed)  # type: ignore[arg-type]
    train_loader = DataLoader(train, config.batch_size, sampler=sampler, **loading)
    val_loader = DataLoader(val, val_batch_size or config.batch_size, **loading)
    keeper = _Keeper(goal, folder, progress, config)
    with _quiet_lightning():
        trainer = _build_trainer(config, keeper, folder, num_epochs, device)
        pl.seed_everything(seed, verbose=False)
        last = folder / "last.ckpt"
        progress.start(name, num_epochs * epoch_steps)
        try:
            trainer.fit(
                task,
                train_loader,
                val_loader,
                str(last) if last.exists() else None,
                weights_only=False,
            )
        except SystemExit as error:  # Lightning's answer to Ctrl+C
            raise KeyboardInterrupt from error
    progress.finish(f"best {goal.metric} {keeper.best[goal.metric]:.4g} at step {keeper.best_step}")
    task.network.load_state_dict(torch.load(folder / "best.pt", weights_only=True))  # type: ignore[union-attr]
    return FitResult(keeper.best_step, keeper.best, trainer.global_step, keeper.stopped_by)


def plan_epochs(config: TrainConfig) -> tuple[int, int]:
    """(validations, steps between them); together at least `config.steps`, evenly divided."""
    num_epochs = math.ceil(config.steps / config.validate_every)
    return num_epochs, math.ceil(config.steps / num_epochs)


def build_optimizer(
    parameters: Sequence[nn.Parameter], config: TrainConfig, goal: Goal
) -> dict[str, Any]:
    """Adam with the schedule of the settings, in the form Lightning's configure_optimizers returns."""
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate)
    if config.schedule == "plateau":
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="max" if goal.higher_is_better else "min",
            factor=0.1,
            patience=config.patience,
        )
        scheduler: dict[str, Any] = {"scheduler": plateau, "monitor": goal.metric}
    else:
        cosine = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: cosine_factor(step, config)
        )
        scheduler = {"scheduler": cosine, "interval": "step"}
    return {"optimizer": optimizer, "lr_scheduler": scheduler}


def cosine_factor(step: int, config: TrainConfig) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine down to COSINE_END."""
    num_epochs, epoch_steps = plan_epochs(config)
    total = num_epochs * epoch_steps
    warmup = min(config.warmup_steps, total // 10)
    if step < warmup:
        return (step + 1) / warmup
    share = min(1.0, (step - warmup) / max(1, total - warmup))
    return COSINE_END + (1 - COSINE_END) * (1 + math.cos(math.pi * share)) / 2


def choose_precision(wanted: Precision, device: str) -> str:
    """The number format that a device runs well: fp32, bf16 or fp16.

    `auto` takes bf16 on CUDA and on CPUs with instructions for it (AMX, AVX-512 BF16), else fp32.
    """
    if wanted != "auto":
        return wanted
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bf16"
    return "fp32"


def choose_device(wanted: str = "auto") -> str:
    """cuda, mps or cpu: the fastest that is there, or the one asked for."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


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
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        rounds = math.ceil(self._num_drawn / self._num_items)
        order = torch.cat(
            [torch.randperm(self._num_items, generator=generator) for _ in range(rounds)]
        )
        return iter(order[: self._num_drawn].tolist())


class _Ema(WeightAveraging):
    """Running mean of all weights and BatchNorm statistics."""

    def __init__(self, decay: float) -> None:
        def average(mean: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
            warm = (1 + int(updates)) / (EMA_WARMUP_STEPS + int(updates))
            if not mean.is_floating_point():
                return current
            return torch.lerp(mean, current, 1 - min(decay, warm))

        super().__init__(avg_fn=average)

    @property
    def network(self) -> nn.Module:
        """The averaged copy of task.network."""
        assert self._average_model is not None
        return self._average_model.module.network  # type: ignore[union-attr,return-value]


class _Keeper(Callback):
    """Shows progress, writes metrics.csv and best.pt, and stops when the learning rate is spent."""

    def __init__(self, goal: Goal, folder: Path, progress: Progress, config: TrainConfig) -> None:
        self._goal, self._folder, self._progress, self._config = goal, folder, progress, config
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self.best_step = 0
        self.stopped_by = "steps"

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.best = state_dict["rows"], state_dict["best"]
        self.best_step = state_dict["best_step"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step:
            self._progress.advance(trainer.global_step, f"resumed at step {trainer.global_step}")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        loss = float(trainer.callback_metrics["train_loss"])
        self._progress.advance(1, f"loss {loss:.4g}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append({"step": trainer.global_step, "learning_rate": rate, **metrics})
        write_bytes(self._folder / "metrics.csv", _to_csv(self.rows).encode())
        if not self.best or self._goal.rank(metrics) > self._goal.rank(self.best):
            self.best, self.best_step = metrics, trainer.global_step
            write_bytes(self._folder / "best.pt", _to_bytes(self._network(trainer, pl_module)))
        if self._config.schedule == "plateau" and rate < self._config.min_learning_rate:
            self.stopped_by, trainer.should_stop = "learning rate", True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        planned = math.prod(plan_epochs(self._config))
        if trainer.global_step < planned and self.stopped_by == "steps":
            self.stopped_by = "wall clock"

    def _network(self, trainer: pl.Trainer, task: pl.LightningModule) -> nn.Module:
        averages = [callback for callback in trainer.callbacks if isinstance(callback, _Ema)]  # type: ignore[attr-defined]
        return averages[0].network if averages else task.network  # type: ignore[return-value]


def _build_trainer(
    config: TrainConfig, keeper: _Keeper, folder: Path, num_epochs: int, device: str
) -> pl.Trainer:
    precision = choose_precision(config.precision, device)
    checkpoint = ModelCheckpoint(
        dirpath=folder,
        filename="last",
        every_n_epochs=1,
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )
    ema = [_Ema(config.ema_decay)] if config.ema_decay else []
    return pl.Trainer(
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=1,
        precision={"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[precision],  # type: ignore[arg-type]
        max_epochs=num_epochs,
        max_time={"hours": config.max_hours},
        gradient_clip_val=config.gradient_clip or None,
        callbacks=[*ema, keeper, checkpoint],
        num_sanity_val_steps=0,
        logger=False,
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
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", module="pytorch_lightning|lightning|torch.optim.lr_scheduler"
        )
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


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
