"""How much memory a training will need, said before it starts.

The stage's own training and validation steps run on tensors that have shapes but no memory, while
all tensors that are alive at once are counted: what autograd keeps for the backward pass, and what
passes through the frozen flow network. Not counted: what an operation needs within itself, and in
the sequence stage the features of all videos and the validation, which takes them whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedOperatorException,
)

from pixelethogram.cached_features import find_num_features
from pixelethogram.config import AugmentConfig, Config, FeaturesConfig, SequenceConfig, TrainConfig
from pixelethogram.errors import InputError
from pixelethogram.features.models.external import HEADS, ExternalConfig
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.models.two_stream import Phase
from pixelethogram.features.train import predict_clips
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.task import FlowTask
from pixelethogram.frames.crop import crop_to_motion
from pixelethogram.pose.flow import PoseFlow, PoseLayout
from pixelethogram.pose_training import find_layout
from pixelethogram.runs import Stage
from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.train import choose_smoothness, choose_window, predict_batch
from pixelethogram.stages import Job
from pixelethogram.training.classifier import Classifier, Target
from pixelethogram.training.device import Memory, choose_precision, machine_memory
from pixelethogram.training.live_tensors import LiveTensors

PROBE = 2  # clips in the smaller batch that is run; batch normalisation refuses a single value
PER_LEARNED = 3  # copies of a weight that is learned: its gradient and Adam's two means
PER_STARTED = 2  # and with start weights: where it started, and how far away it is (L2-SP)
STILL = AugmentConfig(
    flip_horizontal=0, flip_vertical=0, rotation_degrees=0, color_probability=0, grayscale=0
)
NO_COLORS = (0.0, 0.0, 0.0)
UNKNOWABLE = (
    *(DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException),
    InputError,  # of a network that is refused; training refuses it too, and is the one to say so
)
"""What is raised where networks cannot do without numbers."""

Batch = dict[str, Tensor]
Size = tuple[int, int]
BuildBatch = Callable[[int], Batch]
"""Makes a batch of so many clips or windows."""


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """What a training needs, in bytes; activations as if all of them were kept in float32."""

    stage: Stage
    batch_size: int
    weights: int
    """Weights, their running mean and start values, gradients, optimizer."""
    constant: int
    """Activations whatever the size of the batch."""
    per_item: int
    """Activations per clip or window of a batch."""
    at_most: bool
    """The network computes in 16 bits, which takes down to half of the activations."""

    @property
    def activations(self) -> int:
        """Most that a step over one batch holds at once."""
        return self.constant + self.batch_size * self.per_item

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.activations

    def largest_batch(self, free: int) -> int:
        """Clips or windows per batch that `free` bytes have room for; 0 when not even one fits."""
        return max(0, (free - self.weights - self.constant) // self.per_item)


@dataclasses.dataclass(frozen=True)
class Training:
    """A training that has not begun."""

    stage: Stage
    config: Config
    behaviors: tuple[str, ...]
    exclusive: bool
    """At most one behavior per frame."""
    num_features: int | None = None
    """D of the sequence stage; None while no features are there."""
    layout: PoseLayout | None = None
    """Of the poses that the flow of the features stage is made of; None where it is learned."""


@dataclasses.dataclass(frozen=True)
class Step:
    """What a phase of training does over and over."""

    task: FlowTask | Classifier
    learned: Sequence[nn.Parameter]
    train_batch: BuildBatch
    val_batch: BuildBatch | None
    """None: validation is not looked at."""


def announce_memory(job: Job, stage: Stage) -> None:
    """Say what the training of a stage needs and what there is; nothing where it is not known."""
    project = job.project
    num_features = find_num_features(job.project) if stage == "sequence" else None
    posed = stage == "features" and job.config.has_pose_flow
    layout = find_layout(project, job.config) if posed else None
    known = project.behaviors, project.exclusive, num_features, layout
    training = Training(stage, job.config, *known)
    plan = plan_memory(training, job.device)
    if plan is not None:
        for line in describe_plan(plan, job.config, machine_memory(job.device), job.device):
            job.progress.message(line)


def plan_memory(training: Training, device: str) -> MemoryPlan | None:
    """What a training needs, in the most demanding one of its phases.

    Args:
        training: What is to be trained.
        device: cpu, cuda or mps.

    Returns:
        None where it cannot be known: for a network in a file, for one that computes by what its
        numbers are, without features, or for keypoints, whose poses are the most of it.
    """
    stage = training.stage
    settings: TrainConfig = getattr(training.config, stage).train
    crop = find_crop(training.config)
    plans = []
    with (
        contextlib.suppress(*UNKNOWABLE),
        FakeTensorMode(),
        torch.device("cuda" if device == "cuda" else "cpu"),
    ):
        for step in build_steps(training, crop):
            constant, per_item = _measure_activations(step, settings.batch_size)
            weights = _count_weights(step, settings.ema_decay > 0, _has_start(training))
            at_most = choose_precision(settings.precision, device, step.task) != "fp32"
            plans.append(
                MemoryPlan(stage, settings.batch_size, weights, constant, per_item, at_most)
            )
        return max(plans, key=lambda plan: plan.total, default=None)
    return None


def find_crop(config: Config) -> Size:
    """Height and width that flow training cuts out of the frames."""
    clips = torch.zeros(1, 3, 2, config.frames.height, config.frames.width)
    height, width = crop_to_motion(clips, config.flow.crop).shape[-2:]
    return height, width


def build_steps(training: Training, crop: Size) -> list[Step]:
    """What the phases of a stage do, without augmentation and regularisation.

    On torch's default device; inside of a `FakeTensorMode` nothing has memory.

    Args:
        training: What is to be trained.
        crop: Height and width of the clips of flow training. Where they are cut out depends on the
            numbers in a frame, so they have to be cut already.
    """
    if training.stage == "flow":
        return [_flow_step(training.config, crop)]
    if training.stage == "features":
        return _features_steps(training)
    if training.num_features is None:
        return []
    return [_sequence_step(training, training.num_features)]


def measure_step(task: FlowTask | Classifier, batch: Batch, *, training: bool) -> int:
    """Bytes of all tensors that are alive at once in a step, without the weights.

    Args:
        task: Its weights are not changed.
        batch: What it is given.
        training: Learn from the batch up to the loss, without going back; else validate on it.
    """
    run = task.training_step if training else task.validation_step
    task.train(training)
    with (
        warnings.catch_warnings(),
        LiveTensors(_tensors(task)) as live,
        torch.set_grad_enabled(training),
    ):
        warnings.filterwarnings("ignore", message=".*self.log")  # nobody listens
        run(batch, 0)
    return live.peak


def describe_plan(
    plan: MemoryPlan, config: Config, memory: Memory | None, device: str
) -> list[str]:
    """One line; where it does not fit, one more that says what would.

    Args:
        plan: What is needed.
        config: All settings, for what to change.
        memory: What is there; None where the system does not say.
        device: cpu, cuda or mps.
    """
    unit = "windows" if plan.stage == "sequence" else "clips"
    line = (
        f"memory: {plan.stage} training needs {'at most' if plan.at_most else 'about'} "
        f"{_gigabytes(plan.total)} (weights, gradients, optimizer {_gigabytes(plan.weights)}; "
        f"activations of {plan.batch_size} {unit} {_gigabytes(plan.activations)})"
    )
    if memory is None:
        return [line]
    place = "the GPU" if device == "cuda" else "this machine"
    line += f"; {place} has {_gigabytes(memory.total)}, {_gigabytes(memory.free)} free"
    if plan.total <= memory.free:
        return [line]
    doubt = "may not" if plan.at_most else "does not"
    return [line, f"warning: that {doubt} fit; {_advise(plan, config, memory.free)}"]


def _advise(plan: MemoryPlan, config: Config, free: int) -> str:
    number = plan.largest_batch(free)
    if number:
        return f"{number} per step would: --set {plan.stage}.train.batch_size={number}"
    if plan.stage == "sequence":
        shorter = max(2, choose_window(config.sequence) // 2)
        return f"nor would 1 per step; shorter windows help: --set sequence.window_frames={shorter}"
    height, width = (max(32, size // 2) for size in (config.frames.height, config.frames.width))
    return (
        "nor would 1 per step; a smaller preset helps, or smaller frames: "
        f"--set frames.height={height} --set frames.width={width}"
    )


def _flow_step(config: Config, crop: Size) -> Step:
    network = FlowGenerator(config.flow.network.build(), NO_COLORS, NO_COLORS)
    settings = config.flow.model_copy(update={"augment": STILL, "crop": 1.0})
    length, whole = config.flow.model.clip_length, (config.frames.height, config.frames.width)
    return Step(
        FlowTask(network, settings),
        list(network.parameters()),
        lambda number: {"clip": _clips(number, length, crop)},
        lambda number: {"clip": _clips(number, length, whole)},
    )


def _features_steps(training: Training) -> list[Step]:
    """One for each phase that has steps."""
    config, settings = training.config, training.config.features
    length, size = config.flow.model.clip_length, (config.frames.height, config.frames.width)
    if isinstance(settings.model, KeypointsConfig):
        return []
    if isinstance(settings.model, ExternalConfig) and settings.model.source not in HEADS:
        return []
    target, layout = _build_target(training), training.layout
    flow: nn.Module = nn.Identity()
    if config.has_learned_flow:
        flow = FlowGenerator(config.flow.network.build(), NO_COLORS, NO_COLORS)
    if layout is not None:
        flow = PoseFlow(layout)
    network = settings.model.build(
        flow, target.num_outputs, NO_COLORS, NO_COLORS, clip_length=length
    )

    def build_step(phase: Phase) -> Step:
        whole = network.needs_clips(phase)
        shared = whole and config.flow.stride > 1 and config.has_learned_flow
        seen = (2 * length - 1 if shared else length) if whole else 1
        predict = partial(predict_clips, phase=phase, augment=nn.Identity())
        task = _build_classifier(network, predict, target, settings)
        learned = [each for part in network.phase_modules(phase) for each in part.parameters()]

        def build_batch(number: int) -> Batch:
            batch = {"clip": _clips(number, seen, size), "labels": _labels(training, number)}
            if layout is not None:
                batch["pose"] = torch.zeros(number, length, layout.num_columns)
            return {**batch, "offset": torch.zeros(number, dtype=torch.int64)} if shared else batch

        return Step(task, learned, build_batch, build_batch)

    return [build_step(phase) for phase in network.phases if getattr(settings.phases, phase)]


def _sequence_step(training: Training, num_features: int) -> Step:
    settings = training.config.sequence
    target = _build_target(training)
    network = NormalizedSequence(
        settings.model.build(num_features, target.num_outputs, None, target.exclusive),
        torch.zeros(num_features),
        torch.ones(num_features),
    )
    window = choose_window(settings)

    def build_batch(number: int) -> Batch:
        return {
            "features": torch.zeros(number, window, num_features),
            "mask": torch.ones(number, window, dtype=torch.bool),
            "labels": _labels(training, number, window),
        }

    smoothness = choose_smoothness(settings)
    task = _build_classifier(network, predict_batch, target, settings, smoothness)
    return Step(task, list(network.parameters()), build_batch, None)


def _build_classifier(
    network: nn.Module,
    predict: Callable[[nn.Module, Batch], list[Tensor]],
    target: Target,
    settings: FeaturesConfig | SequenceConfig,
    smoothness: float = 0.0,
) -> Classifier:
    return Classifier(
        network,
        predict,
        parameters=lambda module: list(module.parameters()),
        targets=[target],
        loss=settings.loss,
        train_config=settings.train,
        penalty=lambda _: torch.zeros(()),
        smoothness=smoothness,
    )


def _build_target(training: Training) -> Target:
    """Behaviors as if all were equally rare."""
    number = len(training.behaviors)
    return Target(
        training.behaviors,
        training.exclusive,
        positive_weights=torch.ones(number + training.exclusive),
        trainable=torch.ones(number, dtype=torch.bool),
        prior=torch.zeros(number + training.exclusive),
        always_one=False,
    )


def _clips(number: int, length: int, size: Size) -> Tensor:
    return torch.zeros(number, length, *size, 3, dtype=torch.uint8)


def _labels(training: Training, *shape: int) -> Tensor:
    return torch.zeros(*shape, len(training.behaviors), dtype=torch.int8)


def _measure_activations(step: Step, batch_size: int) -> tuple[int, int]:
    """Bytes whatever the size of the batch, and bytes per item of it; exact for `batch_size`."""

    def measure(number: int) -> int:
        peak = measure_step(step.task, step.train_batch(number), training=True)
        if step.val_batch is None:
            return peak
        return max(peak, measure_step(step.task, step.val_batch(number), training=False))

    larger = max(PROBE + 1, batch_size)
    small, large = measure(PROBE), measure(larger)
    per_item = (large - small) / (larger - PROBE)
    return round(small - PROBE * per_item), round(per_item)


def _count_weights(step: Step, has_mean: bool, has_start: bool) -> int:
    """Bytes of all weights and of what training keeps beside them."""
    everything = sum(tensor.nbytes for tensor in _tensors(step.task))
    learned = sum(parameter.nbytes for parameter in step.learned)
    copies = PER_LEARNED + (PER_STARTED if has_start else 0)
    return everything * (2 if has_mean else 1) + learned * copies


def _has_start(training: Training) -> bool:
    settings = getattr(training.config, training.stage)
    if isinstance(settings.model, ExternalConfig):
        return settings.model.weights != "none"
    return settings.start_weights != "none"


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _gigabytes(number: int) -> str:
    gigabytes = number / 1e9
    return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{gigabytes:.2g} GB"
