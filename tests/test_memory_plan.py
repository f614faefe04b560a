"""What a training needs: exact for a step as it is taken, and said in words that help."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from pixelethogram import memory_plan
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNet
from pixelethogram.memory_plan import (
    MemoryPlan,
    Training,
    announce_memory,
    build_steps,
    describe_plan,
    find_crop,
    measure_step,
    plan_memory,
)
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.runs import STAGES, Stage
from pixelethogram.sequence.models import MODELS as SEQUENCE_MODELS
from pixelethogram.stages import Job
from pixelethogram.training.device import Memory

FLOAT = 4  # bytes
SMALL = (
    *("frames.height=32", "frames.width=40", "flow.model.width=0.1", "flow.crop=1"),
    *("sequence.window_frames=20", "features.start_weights=none"),
)
NETWORKS = [
    *(("flow", f"flow.model={{name: {name}, width: 0.1}}") for name in FLOW_MODELS),
    *(("features", f"features.model.name={name}") for name in FEATURES_MODELS),
    *(("sequence", f"sequence.model.name={name}") for name in SEQUENCE_MODELS if name != "lstm"),
]
GIGA = 10**9
ROOMY = Memory(total=25 * GIGA, free=22 * GIGA)


def prepare(stage: Stage, *overrides: str, exclusive: bool = False) -> Training:
    config = load_config("fast", {}, (*SMALL, *overrides))
    return Training(stage, config, ("lick", "groom"), exclusive, num_features=16)


def plan(training: Training, device: str = "cpu") -> MemoryPlan:
    found = plan_memory(training, device)
    assert found is not None
    return found


def peaks(training: Training, crop: tuple[int, int], number: int = 2) -> list[tuple[int, int]]:
    """Bytes alive in training and in validation, for every phase."""
    found = []
    for step in build_steps(training, crop):
        learning = measure_step(step.task, step.train_batch(number), training=True)
        build = step.val_batch or step.train_batch
        found.append((learning, measure_step(step.task, build(number), training=False)))
    return found


def count_saved(task: Any, batch: dict[str, Tensor]) -> int:
    """Bytes that autograd keeps of a training step, without the weights."""
    own = [each.untyped_storage() for each in (*task.parameters(), *task.buffers())]
    kept: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[id(storage)] = storage
        return tensor

    task.log = lambda *_: None
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        task.train().training_step(batch, 0)
    weights = {id(storage) for storage in own}
    return sum(each.nbytes() for number, each in kept.items() if number not in weights)


class TestActivations:
    @pytest.mark.parametrize(("stage", "network"), NETWORKS)
    def test_without_memory_the_same_is_counted_as_with_it(
        self, stage: Stage, network: str
    ) -> None:
        """Except for lstm, which has an operation of its own where nothing is computed."""
        training = prepare(stage, network)
        crop = find_crop(training.config)
        with FakeTensorMode():
            counted = peaks(training, crop)
        assert counted == peaks(training, crop)

    @pytest.mark.parametrize("stage", STAGES)
    def test_what_autograd_keeps_is_most_of_it(self, stage: Stage) -> None:
        """The rest passes by: through the loss, or through the frozen flow network."""
        training = prepare(stage, "features.phases.flow=0", "features.phases.joint=0")
        (step,) = build_steps(training, (32, 40))
        saved = count_saved(step.task, step.train_batch(3))
        peak = measure_step(step.task, step.train_batch(3), training=True)
        assert saved <= peak < 1.5 * saved

    @pytest.mark.parametrize("stage", STAGES)
    def test_they_are_exact_for_the_batch_of_the_settings(self, stage: Stage) -> None:
        training = prepare(stage, f"{stage}.train.batch_size=5")
        judged = stage != "sequence"
        expected = max(
            max(learning, judging if judged else 0)
            for learning, judging in peaks(training, (32, 40), 5)
        )
        assert plan(training).activations == pytest.approx(expected, abs=5)

    @pytest.mark.parametrize("stage", STAGES)
    def test_they_grow_with_the_batch(self, stage: Stage) -> None:
        sizes = (1, 7)
        found = [plan(prepare(stage, f"{stage}.train.batch_size={size}")) for size in sizes]
        activations = [each.activations for each in found]
        assert activations == sorted(set(activations))
        assert len({each.weights for each in found}) == 1

    def test_the_most_demanding_phase_counts(self) -> None:
        wide = "flow.model.width=1"
        every = plan(prepare("features", wide))
        only = {
            phase: plan(
                prepare(
                    "features",
                    wide,
                    *(
                        f"features.phases.{other}=0"
                        for other in ("spatial", "flow", "joint")
                        if other != phase
                    ),
                )
            )
            for phase in ("spatial", "flow", "joint")
        }
        assert every == max(only.values(), key=lambda each: each.total) == only["joint"]
        assert only["spatial"].activations < only["flow"].activations  # which runs the flow network

    def test_cut_clips_take_less_until_whole_frames_are_validated(self) -> None:
        sides = ("frames.height=128", "frames.width=128")
        whole = plan(prepare("flow", *sides))
        cut = plan(prepare("flow", *sides, "flow.crop=0.25"))
        half = plan(prepare("flow", "frames.height=64", "frames.width=64"))
        assert half.activations < cut.activations < 0.6 * whole.activations

    def test_long_windows_and_wide_features_take_more(self) -> None:
        few = plan(prepare("sequence"))
        long = plan(prepare("sequence", "sequence.window_frames=40"))
        wide = plan(dataclasses.replace(prepare("sequence"), num_features=64))
        assert few.activations < long.activations
        assert few.activations < wide.activations

    @pytest.mark.parametrize("stage", ["features", "sequence"])
    def test_exclusive_projects_have_one_more_output(self, stage: Stage) -> None:
        with_none = plan(prepare(stage, exclusive=True))
        assert with_none.weights > plan(prepare(stage)).weights


class TestWeights:
    def test_each_learned_weight_has_a_gradient_two_means_and_a_running_mean(self) -> None:
        """Linear layer of 16 features and 2 behaviors; mean and deviation of the features."""
        learned, kept = 16 * 2 + 2, 2 * 16
        training = prepare("sequence", "sequence.model.name=linear")
        assert plan(training).weights == FLOAT * (2 * (learned + kept) + 3 * learned)
        without = prepare("sequence", "sequence.model.name=linear", "sequence.train.ema_decay=0")
        assert plan(without).weights == FLOAT * (learned + kept + 3 * learned)

    @pytest.mark.parametrize(
        ("stage", "key"),
        [
            ("flow", "flow.start_weights"),
            ("features", "features.start_weights"),
            ("features", "features.model.weights"),
        ],
    )
    def test_start_weights_are_kept_beside_the_weights(self, stage: Stage, key: str) -> None:
        network = ("features.model.name=external",) if "model.weights" in key else ()
        off = ("flow.train.ema_decay=0", "features.train.ema_decay=0")
        fresh = prepare(stage, *network, *off, f"{key}=none")
        started = prepare(stage, *network, *off, f"{key}=somewhere.pt")
        learned = sum(each.nbytes for each in build_steps(fresh, (32, 40))[-1].learned)
        assert plan(started).weights - plan(fresh).weights == 2 * learned

    def test_the_frozen_flow_network_has_no_gradients(self) -> None:
        training = prepare("features", "features.train.ema_decay=0")
        step = build_steps(training, (32, 40))[-1]
        learned = sum(each.nbytes for each in step.learned)
        flow = sum(each.nbytes for each in step.task.network.flow.parameters())  # type: ignore[union-attr]
        assert flow > 0
        rest = plan(training).weights - 4 * learned - flow
        assert 0 < rest < 0.01 * learned  # statistics of batch normalisation


class TestWhatCannotBeKnown:
    def test_a_network_in_a_file_is_not_opened(self) -> None:
        network = "features.model={name: external, source: /nowhere/network.pt}"
        assert plan_memory(prepare("features", network), "cpu") is None

    def test_sequence_models_need_features(self) -> None:
        training = dataclasses.replace(prepare("sequence"), num_features=None)
        assert plan_memory(training, "cpu") is None

    def test_a_network_that_computes_by_what_its_numbers_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forward(self: TinyMotionNet, clips: Tensor) -> list[Tensor]:
            return [clips] if clips.sum() > 0 else []

        monkeypatch.setattr(TinyMotionNet, "forward", forward)
        assert plan_memory(prepare("flow"), "cpu") is None

    def test_a_network_that_is_refused_is_left_for_training_to_say(self) -> None:
        tiny = "features.model={name: external, source: s3d, height: 8, width: 8}"
        training = prepare("features", tiny)
        with pytest.raises(InputError, match="does not take"):
            build_steps(training, (32, 40))
        assert plan_memory(training, "cpu") is None

    def test_training_of_no_steps(self) -> None:
        none = (f"features.phases.{phase}=0" for phase in ("spatial", "flow", "joint"))
        assert plan_memory(prepare("features", *none), "cpu") is None


class TestWords:
    config = load_config("fast")
    plan = MemoryPlan("flow", 32, weights=10**8, constant=0, per_item=160 * 10**6, at_most=False)

    def test_one_line_says_what_is_needed_and_what_is_there(self) -> None:
        assert describe_plan(self.plan, self.config, ROOMY, "cpu") == [
            "memory: flow training needs about 5.2 GB (weights, gradients, optimizer 0.1 GB; "
            "activations of 32 clips 5.1 GB); this machine has 25.0 GB, 22.0 GB free"
        ]

    def test_where_the_system_does_not_say_the_line_ends_there(self) -> None:
        (line,) = describe_plan(self.plan, self.config, None, "cpu")
        assert line.endswith("activations of 32 clips 5.1 GB)")

    def test_a_warning_names_the_batch_that_fits(self) -> None:
        memory = Memory(4 * GIGA, 2 * GIGA)
        _, warning = describe_plan(self.plan, self.config, memory, "cpu")
        assert warning == (
            "warning: that does not fit; 11 per step would: --set flow.train.batch_size=11"
        )
        smaller = dataclasses.replace(self.plan, batch_size=11)
        assert smaller.total <= memory.free < dataclasses.replace(smaller, batch_size=12).total
        assert len(describe_plan(smaller, self.config, memory, "cpu")) == 1

    @pytest.mark.parametrize("device", ["cuda", "cuda:1"])
    def test_half_precision_may_need_less(self, device: str) -> None:
        half = dataclasses.replace(self.plan, at_most=True)
        line, warning = describe_plan(half, self.config, Memory(4 * GIGA, 2 * GIGA), device)
        assert "needs at most 5.2 GB" in line
        assert "the GPU has 4.0 GB, 2.0 GB free" in line
        assert warning.startswith("warning: that may not fit")

    def test_where_not_even_one_clip_fits_smaller_frames_are_named(self) -> None:
        _, warning = describe_plan(self.plan, self.config, Memory(GIGA, 2 * 10**8), "cpu")
        assert "--set frames.height=128 --set frames.width=128" in warning
        load_config("fast", {}, ["frames.height=128", "frames.width=128"])

    def test_where_not_even_one_window_fits_shorter_ones_are_named(self) -> None:
        windows = dataclasses.replace(self.plan, stage="sequence")
        line, warning = describe_plan(windows, self.config, Memory(GIGA, 2 * 10**8), "cpu")
        assert "activations of 32 windows" in line
        assert "--set sequence.window_frames=90" in warning

    def test_small_amounts_keep_their_digits(self) -> None:
        small = MemoryPlan("sequence", 1, 5_300_000, 0, 123_000_000, False)
        (line,) = describe_plan(small, self.config, None, "cpu")
        assert "about 0.13 GB (weights, gradients, optimizer 0.0053 GB;" in line

    @pytest.mark.parametrize(("precision", "at_most"), [("fp32", False), ("bf16", True)])
    def test_the_number_format_decides(self, precision: str, at_most: bool) -> None:
        assert plan(prepare("flow", f"flow.train.precision={precision}")).at_most is at_most


class Messages(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


class TestAnnounce:
    def test_stages_are_announced_as_far_as_they_are_known(
        self,
        make_toy_project: Callable[[Path], Project],
        make_job: Callable[..., Job],
        tmp_path: Path,
    ) -> None:
        messages = Messages()
        job = make_job(make_toy_project(tmp_path / "project"), progress=messages)
        for stage in STAGES:
            announce_memory(job, stage)
        flow, features = messages.said
        assert flow.startswith("memory: flow training needs")
        assert "activations of 2 clips" in features

    def test_a_sequence_model_takes_the_features_that_are_there(
        self, project_copy: Project, make_job: Callable[..., Job]
    ) -> None:
        messages = Messages()
        announce_memory(make_job(project_copy, progress=messages), "sequence")
        assert "activations of 2 windows" in messages.said[0]

    def test_too_little_memory_warns_and_refuses_nothing(
        self,
        make_toy_project: Callable[[Path], Project],
        make_job: Callable[..., Job],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(memory_plan, "machine_memory", lambda _: Memory(GIGA, 10**6))
        messages = Messages()
        announce_memory(make_job(make_toy_project(tmp_path / "p"), progress=messages), "flow")
        assert messages.said[1].startswith("warning: ")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("stage", STAGES)
def test_a_gpu_allocates_what_was_planned(stage: Stage) -> None:
    """In fp32, two steps with Adam; cuDNN takes some for itself."""
    sides = ("frames.height=128", "frames.width=128", "sequence.window_frames=180")
    settings = load_config(
        "fast",
        {},
        (*sides, "features.start_weights=none", f"{stage}.train.batch_size=8")
        + (f"{stage}.train.precision=fp32", f"{stage}.train.ema_decay=0"),
    )
    training = Training(stage, settings, ("lick", "groom"), False, num_features=1024)
    planned = plan(training, "cuda").total
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with torch.device("cuda"):
        step = build_steps(training, find_crop(settings))[-1]
        step.task.log = lambda *_: None  # type: ignore[method-assign, assignment]
        optimizer = torch.optim.Adam(step.learned)
        for _ in range(2):
            step.task.train().training_step(step.train_batch(8), 0).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert torch.cuda.max_memory_allocated() - before == pytest.approx(planned, rel=0.3)


@pytest.mark.parametrize(("device", "kind"), [("cuda:1", "cuda"), ("cuda", "cuda"), ("mps", "cpu")])
def test_the_plan_is_made_on_the_kind_of_device_that_trains(
    device: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def build_steps(*_: Any) -> list[Any]:
        seen.append(torch.empty(1).device.type)
        return []

    monkeypatch.setattr("pixelethogram.memory_plan.build_steps", build_steps)
    training = Training("flow", load_config("fast", {}, []), ("a",), False)
    assert plan_memory(training, device) is None
    assert seen == [kind]
