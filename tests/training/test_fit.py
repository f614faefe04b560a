"""The training loop: pace, order of items, best weights, resuming, stopping."""

from __future__ import annotations

import csv
import errno
import itertools
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pixelethogram.config import TrainConfig
from pixelethogram.errors import UsageError
from pixelethogram.progress import SilentProgress
from pixelethogram.training import fit as fit_module
from pixelethogram.training.fit import (
    BEST,
    COSINE_END,
    LAST,
    EpochSampler,
    FitResult,
    Goal,
    build_optimizer,
    cosine_factor,
    drop_checkpoints,
    fit,
    plan_epochs,
)

LOSS = Goal("val_loss", higher_is_better=False)
F1 = Goal("val_f1", higher_is_better=True)


class Line(torch.utils.data.Dataset):
    """Points of y = 2 x + 1, with their number."""

    def __init__(self, num_points: int = 8) -> None:
        self.x = torch.linspace(-1, 1, num_points)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": self.x[index : index + 1], "y": 2 * self.x[index : index + 1] + 1, "i": index}


class LineTask(pl.LightningModule):
    """Learns the line with noise on its input; can be told what to score and when to break."""

    def __init__(self, config: TrainConfig, goal: Goal = LOSS, **options: Any) -> None:
        super().__init__()
        self.network = nn.Linear(1, 1)
        nn.init.zeros_(self.network.weight)
        nn.init.zeros_(self.network.bias)
        self.config, self.goal = config, goal
        self.scores: list[tuple[float, float]] = options.get("scores", [])
        self.break_at: int | None = options.get("break_at")
        self.break_with: BaseException = options.get("break_with", RuntimeError("broken off"))
        self.seen: list[list[int]] = []
        self.after_step: list[float] = []
        self.at_validation: list[float] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        if self.global_step == self.break_at:
            raise self.break_with
        self.seen.append(batch["i"].tolist())
        noisy = batch["x"] + 0.1 * torch.randn_like(batch["x"])
        loss = (self.network(noisy) - batch["y"]).square().mean()
        self.log("train_loss", loss)
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        self.after_step.append(self.network.weight.item())

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        loss = (self.network(batch["x"]) - batch["y"]).square().mean()
        self.at_validation.append(self.network.weight.item())
        score, loss = self.scores.pop(0) if self.scores else (0.0, loss.item())
        self.log_dict({"val_f1": score, "val_loss": loss})

    def configure_optimizers(self) -> Any:
        return build_optimizer(list(self.network.parameters()), self.config, self.goal)


def settings(**changes: Any) -> TrainConfig:
    values = {
        "steps": 8,
        "validate_every": 2,
        "batch_size": 2,
        "learning_rate": 0.1,
        "ema_decay": 0.0,
        "precision": "fp32",
        **changes,
    }
    return TrainConfig(**values)


def run_fit(task: LineTask, folder: Path, seed: int = 0) -> FitResult:
    return fit(
        task,
        Line(),
        Line(),
        task.config,
        task.goal,
        folder=folder,
        metrics_path=folder / "metrics.csv",
        seed=seed,
        device="cpu",
        progress=SilentProgress(),
        name="line",
        val_batch_size=8,
    )


def test_a_loss_that_is_no_number_stops_training_with_advice(tmp_path: Path) -> None:
    task = LineTask(settings())
    nn.init.constant_(task.network.weight, float("nan"))
    with pytest.raises(UsageError, match=r"(?s)loss became nan at step 1.*precision=fp32"):
        run_fit(task, tmp_path)


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class TestPace:
    @pytest.mark.parametrize("steps", [1, 7, 10, 100])
    @pytest.mark.parametrize("every", [1, 3, 10, 64])
    def test_validations_are_evenly_spaced_and_cover_all_steps(
        self, steps: int, every: int
    ) -> None:
        num_epochs, epoch_steps = plan_epochs(settings(steps=steps, validate_every=every))
        assert epoch_steps <= every
        assert steps <= num_epochs * epoch_steps < steps + num_epochs

    def test_the_learning_rate_rises_in_a_line_then_falls_along_a_cosine(self) -> None:
        config = settings(steps=100, validate_every=10, warmup_steps=10)
        assert [cosine_factor(step, config) for step in (0, 4, 9, 10)] == pytest.approx(
            [0.1, 0.5, 1.0, 1.0]
        )
        assert cosine_factor(55, config) == pytest.approx((1 + COSINE_END) / 2)
        assert cosine_factor(100, config) == pytest.approx(COSINE_END)
        falling = [cosine_factor(step, config) for step in range(10, 101)]
        assert falling == sorted(falling, reverse=True)

    def test_the_warm_up_takes_at_most_a_tenth_of_the_steps(self) -> None:
        config = settings(steps=20, validate_every=20, warmup_steps=500)
        assert cosine_factor(0, config) == pytest.approx(0.5)
        assert cosine_factor(1, config) == pytest.approx(1.0)


class TestEpochSampler:
    def test_equal_seed_and_epoch_give_equal_order(self) -> None:
        orders = []
        for seed, epoch in ((3, 0), (3, 0), (3, 1), (4, 0)):
            sampler = EpochSampler(50, 50, seed)
            sampler.set_epoch(epoch)
            orders.append(list(sampler))
        assert orders[0] == orders[1]
        assert orders[0] != orders[2]
        assert orders[0] != orders[3]

    @pytest.mark.parametrize("rounds", [1, 3])
    def test_every_item_comes_equally_often(self, rounds: int) -> None:
        order = list(EpochSampler(7, 7 * rounds, seed=0))
        assert sorted(order) == sorted(list(range(7)) * rounds)

    def test_fewer_draws_than_items_repeat_nothing(self) -> None:
        sampler = EpochSampler(100, 30, seed=0)
        assert len(set(sampler)) == len(sampler) == 30


class TestGoal:
    def test_higher_or_lower_is_better_as_the_goal_says(self) -> None:
        good, bad = {"val_f1": 0.9, "val_loss": 1.0}, {"val_f1": 0.1, "val_loss": 1.0}
        assert F1.rank(good) > F1.rank(bad)
        assert LOSS.rank({"val_loss": 0.1}) > LOSS.rank({"val_loss": 0.9})

    def test_among_equals_the_lower_loss_wins(self) -> None:
        assert F1.rank({"val_f1": 0.5, "val_loss": 1}) > F1.rank({"val_f1": 0.5, "val_loss": 2})

    def test_not_a_number_is_worse_than_anything(self) -> None:
        assert F1.rank({"val_f1": math.nan, "val_loss": 0}) < F1.rank({"val_f1": 0, "val_loss": 9})
        assert LOSS.rank({"val_loss": math.nan}) < LOSS.rank({"val_loss": 1e9})


class TestBestWeights:
    @pytest.mark.parametrize(
        ("goal", "best"),
        [(F1, 1), (LOSS, 2)],
        ids=["highest F1, ties by loss", "lowest loss"],
    )
    def test_the_weights_of_the_best_validation_are_kept(
        self, goal: Goal, best: int, tmp_path: Path
    ) -> None:
        scores = [(0.7, 0.9), (0.7, 0.4), (0.2, 0.1), (0.7, 0.5)]
        task = LineTask(settings(), goal, scores=list(scores))
        result = run_fit(task, tmp_path)
        assert result.best_step == 2 * (best + 1)
        assert result.best == pytest.approx(
            {"val_f1": scores[best][0], "val_loss": scores[best][1]}
        )
        assert task.network.weight.item() == task.at_validation[best]
        assert len(set(task.at_validation)) == 4

    def test_metrics_csv_has_one_row_per_validation(self, tmp_path: Path) -> None:
        task = LineTask(settings(), scores=[(0.0, value) for value in (4.0, 3.0, 2.0, 1.0)])
        run_fit(task, tmp_path)
        rows = read_rows(tmp_path)
        assert [row["step"] for row in rows] == ["2", "4", "6", "8"]
        assert [float(row["val_loss"]) for row in rows] == [4.0, 3.0, 2.0, 1.0]
        assert {"learning_rate", "train_loss", "val_f1"} <= rows[0].keys()

    def test_the_running_mean_of_the_weights_is_validated_and_kept(self, tmp_path: Path) -> None:
        task = LineTask(settings(ema_decay=0.5))
        result = run_fit(task, tmp_path)
        mean = task.after_step[0]
        expected = []
        for updates, weight in enumerate(task.after_step[1:], start=1):
            share = min(0.5, (1 + updates) / (10 + updates))
            mean = share * mean + (1 - share) * weight
            expected.append(mean)
        assert task.at_validation == pytest.approx([expected[i] for i in (0, 2, 4, 6)], abs=1e-5)
        best = result.best_step // 2 - 1
        assert task.network.weight.item() == task.at_validation[best]

    def test_learning_lowers_the_loss(self, tmp_path: Path) -> None:
        task = LineTask(settings(steps=60, validate_every=20, warmup_steps=0))
        run_fit(task, tmp_path)
        losses = [float(row["val_loss"]) for row in read_rows(tmp_path)]
        assert losses[-1] < 0.2 * losses[0]

    def test_equal_seeds_give_equal_weights(self, tmp_path: Path) -> None:
        tasks = [LineTask(settings()) for _ in range(3)]
        for number, (task, seed) in enumerate(zip(tasks, (1, 1, 2), strict=True)):
            run_fit(task, tmp_path / str(number), seed)
        assert tasks[0].after_step == tasks[1].after_step
        assert tasks[0].after_step != tasks[2].after_step


class TestResume:
    @pytest.mark.parametrize("break_at", [3, 4], ids=["between", "right after a checkpoint"])
    @pytest.mark.parametrize(
        "changes",
        [{}, {"ema_decay": 0.9}, {"schedule": "plateau", "patience": 1}],
        ids=["cosine", "running mean", "plateau"],
    )
    def test_a_broken_off_training_ends_like_one_that_was_not(
        self, changes: dict[str, Any], break_at: int, tmp_path: Path
    ) -> None:
        scores = [(0.0, 1.0), (0.0, 2.0), (0.0, 3.0), (0.0, 4.0), (0.0, 5.0)]
        whole = LineTask(settings(steps=10, **changes), scores=list(scores))
        expected = run_fit(whole, tmp_path / "whole")

        broken = LineTask(whole.config, scores=list(scores), break_at=break_at)
        with pytest.raises(RuntimeError, match="broken off"):
            run_fit(broken, tmp_path / "broken")
        done = len(broken.at_validation)
        again = LineTask(whole.config, scores=scores[done:])
        result = run_fit(again, tmp_path / "broken")

        assert result == expected
        assert read_rows(tmp_path / "broken") == read_rows(tmp_path / "whole")
        assert again.seen == whole.seen[2 * done :]
        assert again.after_step == whole.after_step[2 * done :]
        assert again.network.weight.item() == whole.network.weight.item()

    def test_a_training_that_broke_off_before_its_first_checkpoint_begins_anew(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(RuntimeError):
            run_fit(LineTask(settings(), break_at=1), tmp_path)
        task = LineTask(settings())
        run_fit(task, tmp_path)
        assert len(task.seen) == 8

    def test_a_training_that_was_over_is_not_continued(self, tmp_path: Path) -> None:
        first = LineTask(settings())
        expected = run_fit(first, tmp_path)
        again = LineTask(settings())
        assert run_fit(again, tmp_path) == expected
        assert again.seen == []
        assert again.network.weight.item() == first.network.weight.item()

    def test_ctrl_c_arrives_as_such_and_the_next_call_goes_on(self, tmp_path: Path) -> None:
        task = LineTask(settings(), break_at=5, break_with=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run_fit(task, tmp_path)
        again = LineTask(settings())
        assert run_fit(again, tmp_path).steps == 8
        assert len(again.seen) == 4

    def test_a_full_disk_leaves_the_last_checkpoint_usable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail_late(write: Callable[[Path, bytes], None]) -> Callable[[Path, bytes], None]:
            calls = itertools.count(1)

            def write_or_fail(path: Path, data: bytes) -> None:
                if path.name == LAST and next(calls) == 3:
                    raise OSError(errno.ENOSPC, "No space left on device")
                write(path, data)

            return write_or_fail

        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "write_bytes", fail_late(fit_module.write_bytes))
            with pytest.raises(OSError, match="No space left"):
                run_fit(LineTask(settings()), tmp_path)
        again = LineTask(settings())
        assert run_fit(again, tmp_path).steps == 8
        assert len(again.seen) == 4

    def test_checkpoints_can_be_dropped_once_the_result_is_kept(self, tmp_path: Path) -> None:
        run_fit(LineTask(settings()), tmp_path)
        assert {LAST, BEST} <= {path.name for path in tmp_path.iterdir()}
        drop_checkpoints(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


class TestStop:
    def test_after_all_steps(self, tmp_path: Path) -> None:
        result = run_fit(LineTask(settings(steps=7, validate_every=3)), tmp_path)
        assert (result.steps, result.stopped_by) == (9, "steps")

    def test_when_the_learning_rate_is_spent(self, tmp_path: Path) -> None:
        config = settings(
            steps=100, schedule="plateau", patience=1, learning_rate=1e-3, min_learning_rate=5e-5
        )
        task = LineTask(config, scores=[(0.0, 1.0)] * 50)
        result = run_fit(task, tmp_path)
        rates = [float(row["learning_rate"]) for row in read_rows(tmp_path)]
        assert rates == pytest.approx([1e-3] * 3 + [1e-4] * 2)
        assert (result.steps, result.stopped_by) == (10, "learning rate")

    def test_when_the_time_is_over_with_a_validation_at_the_end(self, tmp_path: Path) -> None:
        task = LineTask(settings(steps=1000, validate_every=500, max_hours=1e-9))
        result = run_fit(task, tmp_path)
        assert (result.steps, result.stopped_by) == (1, "wall clock")
        assert [row["step"] for row in read_rows(tmp_path)] == ["1"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"max_hours": 1e-9},
            {"schedule": "plateau", "patience": 1, "min_learning_rate": 0.05},
        ],
        ids=["time", "learning rate"],
    )
    def test_a_stopped_training_stays_stopped_when_it_is_called_again(
        self, changes: dict[str, Any], tmp_path: Path
    ) -> None:
        config = settings(steps=100, **changes)
        expected = run_fit(LineTask(config, scores=[(0.0, 1.0)] * 50), tmp_path)
        again = LineTask(config)
        assert run_fit(again, tmp_path) == expected
        assert again.seen == []


def test_lightnings_loggers_speak_again_after_an_error(tmp_path: Path) -> None:
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    with pytest.raises(RuntimeError):
        run_fit(LineTask(settings(), break_at=0), tmp_path)
    assert logger.level == before


class CountingProgress(SilentProgress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0

    def start(self, task: str, total: int | None) -> None:
        self.total = total

    def advance(self, units: int = 1, note: str = "") -> None:
        self.done += units


def test_a_resumed_bar_starts_where_the_training_was(tmp_path: Path) -> None:
    progress = CountingProgress()
    with pytest.raises(RuntimeError):
        run_fit(LineTask(settings(), break_at=5), tmp_path)
    task = LineTask(settings())
    fit(
        task,
        Line(),
        Line(),
        task.config,
        LOSS,
        folder=tmp_path,
        metrics_path=tmp_path / "metrics.csv",
        seed=0,
        device="cpu",
        progress=progress,
        name="line",
    )
    assert (progress.done, progress.total) == (8, 8)
