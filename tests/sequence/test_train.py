"""The sequence stage as a whole: features and labels in, a model that has learned the rule out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Run, finish_run, read_yaml, start_run
from pixelethogram.sequence import train as train_module
from pixelethogram.sequence.train import (
    SequenceData,
    Stretch,
    TrainedEnsemble,
    TrainedSequence,
    choose_window,
    drop_resumables,
    feature_statistics,
    load_sequence,
    train_ensemble,
    train_sequence,
)
from pixelethogram.training.classifier import Classifier, best_macro_f1, to_probabilities

SETTINGS = (
    "sequence.window_frames=40",
    "sequence.train.steps=60",
    "sequence.train.validate_every=20",
    "sequence.train.batch_size=8",
    "sequence.train.learning_rate=1e-2",
    "sequence.train.schedule=cosine",
    "sequence.train.ema_decay=0.5",
    "sequence.train.precision=fp32",
    "sequence.weight_decay=0",
)
BEHAVIORS = ("now", "lately")


def noisy_stretch(seed: int, num_frames: int = 200) -> Stretch:
    """Features in odd units; "now" is read off one frame, "lately" off the mean of nine."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(num_frames, 6))
    steps = np.repeat(generator.normal(size=num_frames // 10), 10)
    features[:, 1] = 0.3 * features[:, 1] + steps
    average = np.convolve(np.pad(features[:, 1], 4, mode="edge"), np.ones(9) / 9, "valid")
    labels = np.stack([features[:, 0] > 0, average > 0], axis=1)
    return (1000 + 50 * features).astype(np.float32), labels.astype(np.int8)


def to_data(exclusive: bool = False) -> SequenceData:
    stretches = [noisy_stretch(seed) for seed in range(6)]
    if exclusive:
        stretches = [(x, np.stack([y[:, 0], 1 - y[:, 0]], axis=1)) for x, y in stretches]
    return SequenceData(stretches[:4], stretches[4:], BEHAVIORS, exclusive)


def start(folder: Path, data: SequenceData, *overrides: str) -> tuple[Run, Config]:
    config = load_config(overrides=(*SETTINGS, *overrides))
    run = start_run(
        folder,
        "sequence",
        config,
        behaviors=data.behaviors,
        exclusive=data.exclusive,
        parents={"features": "none"},
        videos={},
        fingerprint="",
    )
    return run, config


def train(folder: Path, data: SequenceData, *overrides: str) -> tuple[Run, Config, TrainedSequence]:
    run, config = start(folder, data, *overrides)
    trained = train_sequence(run, data, config, device="cpu", progress=SilentProgress())
    return run, config, trained


def judge(trained: TrainedSequence, data: SequenceData) -> float:
    """Macro F1 on the validation stretches, each as a whole."""
    probabilities = []
    for features, _ in data.val:
        tensor = torch.from_numpy(features)[None]
        with torch.no_grad():
            logits = trained.model(tensor, torch.ones(1, len(features), dtype=torch.bool))[-1][0]
        probabilities.append(to_probabilities(logits, data.exclusive).numpy())
    labels = np.concatenate([labels for _, labels in data.val])
    return best_macro_f1(labels, np.concatenate(probabilities), trained.targets[0])


def test_it_starts_from_another_run(tmp_path: Path) -> None:
    data = to_data()
    run, _, trained = train(tmp_path, data, "sequence.train.steps=2")
    finish_run(run, trained.model.state_dict(), {})
    again, config = start(
        tmp_path,
        data,
        f"sequence.start_weights={run.folder}",
        "sequence.train.steps=1",
        "sequence.train.learning_rate=1e-12",
        "sequence.train.ema_decay=0",
    )
    second = train_sequence(again, data, config, device="cpu", progress=SilentProgress())
    first = dict(trained.model.named_parameters())
    for name, parameter in second.model.named_parameters():
        torch.testing.assert_close(parameter, first[name], atol=1e-6, rtol=0)
    about = read_yaml(again.folder / "start_weights.yaml")
    assert (about["kind"], about["network"], about["new"]) == ("run", "tgm", [])


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("{name: linear}", 0.85),
        ("{name: tgm, filter_length: 9, hidden: 16, dropout: 0}", 0.9),
        ("{name: lstm, hidden: 16}", 0.85),
        ("{name: mstcn, hidden: 16, num_layers: 3, num_refinements: 1, dropout: 0}", 0.85),
    ],
    ids=["linear", "tgm", "lstm", "mstcn"],
)
def test_it_learns_the_rule_from_features_in_odd_units(
    model: str, least: float, tmp_path: Path
) -> None:
    data = to_data()
    _, _, trained = train(tmp_path, data, f"sequence.model={model}")
    assert judge(trained, data) > least
    assert trained.result.best["val_f1"] == pytest.approx(judge(trained, data), abs=1e-6)


class TestRun:
    def test_a_loaded_model_gives_equal_answers(self, tmp_path: Path) -> None:
        run, _, trained = train(tmp_path, to_data(), "sequence.train.steps=2")
        finish_run(run, trained.model.state_dict(), {})
        features = torch.from_numpy(noisy_stretch(9)[0])[None]
        mask = torch.ones(1, features.shape[1], dtype=torch.bool)
        with torch.no_grad():
            expected, found = trained.model(features, mask), load_sequence(run)(features, mask)
        assert torch.equal(expected[-1], found[-1])

    def test_equal_seeds_give_equal_models(self, tmp_path: Path) -> None:
        weights = []
        for number, seed in enumerate((1, 1, 2)):
            few = ("sequence.train.steps=4", f"seed={seed}")
            _, _, trained = train(tmp_path / str(number), to_data(), *few)
            weights.append(torch.cat([w.flatten() for w in trained.model.parameters()]))
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])

    def test_the_model_keeps_the_statistics_of_the_training_features(self, tmp_path: Path) -> None:
        data = to_data()
        _, _, trained = train(tmp_path, data, "sequence.train.steps=2")
        features = np.concatenate([features for features, _ in data.train])
        assert trained.model.mean.numpy() == pytest.approx(features.mean(axis=0), rel=1e-5)
        assert trained.model.std.numpy() == pytest.approx(features.std(axis=0), rel=1e-4)

    def test_there_is_a_table_with_a_row_per_validation(self, tmp_path: Path) -> None:
        run, _, _ = train(
            tmp_path, to_data(), "sequence.train.steps=6", "sequence.train.validate_every=2"
        )
        with (run.folder / "metrics.csv").open(newline="") as file:
            assert [row["step"] for row in csv.DictReader(file)] == ["2", "4", "6"]

    def test_the_last_layer_starts_from_how_common_each_behavior_is(self, tmp_path: Path) -> None:
        data = to_data()
        rare = [(x, np.stack([y[:, 0], np.arange(len(y)) < 2], axis=1)) for x, y in data.train]
        few = SequenceData(
            [(x, y.astype(np.int8)) for x, y in rare], data.val, BEHAVIORS, exclusive=False
        )
        slow = ("sequence.train.steps=1", "sequence.train.learning_rate=1e-8")
        _, _, trained = train(tmp_path, few, "sequence.model={name: linear}", *slow)
        assert trained.targets[0].prior.sigmoid()[1].item() == pytest.approx(0.01)
        bias = dict(trained.model.named_parameters())
        last = [tensor for name, tensor in bias.items() if tensor.shape == (2,)][-1]
        assert last.sigmoid()[1].item() == pytest.approx(0.01, rel=1e-3)


class TestSmoothness:
    @pytest.mark.parametrize(
        ("overrides", "weight"),
        [
            (["sequence.model={name: linear}"], 0.0),
            (["sequence.model={name: mstcn, num_layers: 1}"], 0.15),
            (["sequence.model={name: mstcn, num_layers: 1}", "sequence.smoothness=none"], 0.15),
            (["sequence.model={name: mstcn, num_layers: 1}", "sequence.smoothness=0"], 0.0),
            (["sequence.model={name: linear}", "sequence.smoothness=0.3"], 0.3),
        ],
    )
    def test_a_network_has_its_own_and_the_user_decides(
        self,
        overrides: list[str],
        weight: float,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        found = []

        def build(*arguments: Any, smoothness: float, **options: Any) -> Classifier:
            found.append(smoothness)
            return Classifier(*arguments, smoothness=smoothness, **options)

        monkeypatch.setattr(train_module, "Classifier", build)
        train(tmp_path, to_data(), "sequence.train.steps=1", *overrides)
        assert found == [weight]


class TestWindow:
    @pytest.mark.parametrize(
        ("overrides", "frames"),
        [
            (["sequence.model={name: linear}"], 180),
            (["sequence.model={name: mstcn}"], 1024),
            (["sequence.model={name: asformer}"], 1024),
            (["sequence.model={name: mstcn2}"], 2048),
            (["sequence.model={name: mstcn}", "sequence.window_frames=none"], 1024),
            (["sequence.model={name: mstcn}", "sequence.window_frames=90"], 90),
        ],
    )
    def test_a_network_has_its_own_and_the_user_decides(
        self, overrides: list[str], frames: int
    ) -> None:
        assert choose_window(load_config(overrides=overrides).sequence) == frames


class TestLabels:
    @pytest.mark.parametrize("exclusive", [False, True])
    def test_networks_that_refine_know_whether_behaviors_are_exclusive(
        self, exclusive: bool, tmp_path: Path
    ) -> None:
        data = to_data(exclusive)
        model = "sequence.model={name: mstcn, hidden: 4, num_layers: 1}"
        run, _, trained = train(tmp_path, data, model, "sequence.train.steps=1")
        finish_run(run, trained.model.state_dict(), {})
        assert trained.model.network.exclusive is exclusive
        assert load_sequence(run).network.exclusive is exclusive

    def test_exclusive_projects_have_one_more_output_and_still_learn(self, tmp_path: Path) -> None:
        data = to_data(exclusive=True)
        _, _, trained = train(tmp_path, data, "sequence.model={name: linear}")
        assert trained.targets[0].num_outputs == 3
        assert trained.targets[0].always_one
        assert judge(trained, data) > 0.85

    def test_frames_that_nobody_scored_teach_nothing(self, tmp_path: Path) -> None:
        """Labels that are wrong on the unscored half must not be seen."""
        data = to_data()
        half = [(x, np.where(np.arange(len(x))[:, None] < 100, y, -1)) for x, y in data.train]
        masked = SequenceData(
            [(x, y.astype(np.int8)) for x, y in half], data.val, BEHAVIORS, exclusive=False
        )
        _, _, trained = train(tmp_path, masked)
        assert judge(trained, data) > 0.8

    def test_a_stretch_without_any_scored_frame_is_no_obstacle(self, tmp_path: Path) -> None:
        data = to_data()
        features, labels = data.train[0]
        empty = (features, np.full_like(labels, -1))
        more = SequenceData([*data.train, empty], [*data.val, empty], BEHAVIORS, exclusive=False)
        _, _, trained = train(tmp_path, more, "sequence.train.steps=2")
        assert trained.result.steps == 2


class Members(SilentProgress):
    """Counts the trainings that begin, and ends like Ctrl+C when the last allowed one has begun."""

    def __init__(self, allowed: int = 99) -> None:
        self.begun: list[str] = []
        self.allowed = allowed

    def start(self, task: str, total: int | None) -> None:
        self.begun.append(task)
        if len(self.begun) > self.allowed:
            raise KeyboardInterrupt


class TestEnsemble:
    FEW = ("sequence.train.steps=6", "sequence.train.validate_every=3", "sequence.ensemble_folds=3")

    def data(self) -> list[SequenceData]:
        """Six stretches in three folds."""
        folds = [[noisy_stretch(2 * fold + each) for each in range(2)] for fold in range(3)]
        return [
            SequenceData(
                [each for other in folds if other is not fold for each in other],
                fold,
                BEHAVIORS,
                exclusive=False,
            )
            for fold in folds
        ]

    def train(self, run: Run, config: Config, progress: Members | None = None) -> TrainedEnsemble:
        return train_ensemble(
            run, self.data(), config, device="cpu", progress=progress or Members()
        )

    def test_each_member_learns_from_the_folds_it_does_not_validate(self, tmp_path: Path) -> None:
        data = self.data()
        trained = self.train(*start(tmp_path, data[0], *self.FEW))
        for (member, _), each in zip(trained.model.pair([[], [], []]), data, strict=True):
            features = np.concatenate([features for features, _ in each.train])
            assert member.mean.numpy() == pytest.approx(features.mean(axis=0), rel=1e-5)
        assert len(trained.results) == 3
        assert all(set(result["best"]) == {"val_f1", "val_loss"} for result in trained.results)

    def test_members_differ_in_their_random_numbers_too(self, tmp_path: Path) -> None:
        run, config = start(tmp_path, self.data()[0], *self.FEW)
        same = [self.data()[0]] * 2
        trained = train_ensemble(run, same, config, device="cpu", progress=SilentProgress())
        first, second = (
            torch.cat([w.flatten() for w in m.parameters()]) for m in trained.model.members
        )
        assert not torch.equal(first, second)

    def test_a_loaded_ensemble_gives_equal_answers(self, tmp_path: Path) -> None:
        run, config = start(tmp_path, self.data()[0], *self.FEW)
        trained = self.train(run, config)
        finish_run(run, trained.model.state_dict(), {})
        drop_resumables(run)
        features = torch.from_numpy(noisy_stretch(9)[0])[None]
        mask = torch.ones(1, features.shape[1], dtype=torch.bool)
        loaded = load_sequence(run)
        assert not loaded.training
        with torch.no_grad():
            assert torch.equal(trained.model(features, mask)[-1], loaded(features, mask)[-1])
        assert [path for path in run.checkpoints.rglob("*") if path.is_file()] == []

    def test_finished_members_are_not_trained_again(self, tmp_path: Path) -> None:
        whole_run, config = start(tmp_path / "whole", self.data()[0], *self.FEW)
        expected = self.train(whole_run, config)
        run, config = start(tmp_path / "broken", self.data()[0], *self.FEW)
        with pytest.raises(KeyboardInterrupt):
            self.train(run, config, Members(allowed=1))
        progress = Members()
        found = self.train(run, config, progress)
        assert progress.begun == ["train sequence, member 2", "train sequence, member 3"]
        assert found.results == expected.results
        weights, wanted = found.model.state_dict(), expected.model.state_dict()
        assert all(torch.equal(weights[name], wanted[name]) for name in wanted)

    def test_every_member_has_a_table_of_its_validations(self, tmp_path: Path) -> None:
        run, config = start(tmp_path, self.data()[0], *self.FEW)
        self.train(run, config)
        assert sorted(path.name for path in run.folder.glob("metrics*")) == [
            f"metrics_member_{number}.csv" for number in range(3)
        ]


class TestFeatureStatistics:
    def test_they_are_pooled_over_all_frames(self) -> None:
        stretches = [noisy_stretch(seed, frames)[0] for seed, frames in ((0, 50), (1, 400))]
        mean, std = feature_statistics(stretches)
        frames = np.concatenate(stretches).astype(np.float64)
        assert mean.numpy() == pytest.approx(frames.mean(axis=0), rel=1e-6)
        assert std.numpy() == pytest.approx(frames.std(axis=0), rel=1e-6)

    def test_half_precision_features_lose_nothing_in_the_sum(self) -> None:
        features = np.full((100_000, 1), 60_000, np.float16)
        mean, std = feature_statistics([features])
        assert mean.item() == float(features[0, 0])
        assert std.item() == 0
