"""The features stage: clips and labels in, a run with a network that sees behaviors out.

Phases (paper, Methods: Feature extractors, Training): the spatial stream alone, the flow stream
alone, then both on the fused logit; `external` has only the first. The flow network is frozen
throughout.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pixelethogram.atomic import write_bytes
from pixelethogram.config import Config, FeaturesConfig, TrainConfig
from pixelethogram.features.keypoints import load_keypoints
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.features.models.external import External, ExternalConfig
from pixelethogram.features.models.keypoints import Keypoints, KeypointsConfig
from pixelethogram.features.models.two_stream import Phase
from pixelethogram.frames.augment import build_augmentation, to_float
from pixelethogram.frames.clips import ClipDataset
from pixelethogram.frames.pose_clips import PoseClips
from pixelethogram.frames.statistics import Statistics
from pixelethogram.pose.flow import PoseFlow
from pixelethogram.progress import Progress
from pixelethogram.runs import Run, finish_run
from pixelethogram.start_weights.fill import COUNTER
from pixelethogram.start_weights.load import load_features_weights, record_start
from pixelethogram.start_weights.naming import name_run_outputs
from pixelethogram.start_weights.penalty import start_penalty
from pixelethogram.start_weights.report import StartReport
from pixelethogram.start_weights.sources import open_source
from pixelethogram.training.classifier import GOAL, Classifier, Target, build_target
from pixelethogram.training.fit import drop_checkpoints, fit
from pixelethogram.training.layout import to_channels_last
from pixelethogram.training.losses import decayed_parameters

JOINT_LEARNING_RATE = 0.1  # share of the learning rate in the joint phase
LAYOUT = "pose_layout"  # in results.yaml of a run whose flow is made of keypoints
OPTIONAL = {"offsets": "offset", "poses": "pose"}  # what else a network may see, and its key
ENCODER = "encoder."  # what the names of `external` begin with, but for its head


@dataclasses.dataclass(frozen=True)
class FeaturesData:
    """Clips with labels, fixed validation clips, and the colors of the videos learned from."""

    train: ClipDataset | PoseClips
    val: ClipDataset | PoseClips
    train_labels: np.ndarray
    """(N, K) labels of all training frames, for weights and biases."""
    statistics: Statistics
    behaviors: tuple[str, ...]
    exclusive: bool
    inputs: str
    """What the frames are: drawn, pixels or both."""


def train_features(
    run: Run,
    data: FeaturesData,
    flow: nn.Module,
    config: Config,
    *,
    device: str,
    progress: Progress,
) -> Run:
    """Learn to see behaviors in clips.

    Args:
        run: A run of this stage, new or broken off; it is finished afterwards.
        data: Clips and labels.
        flow: Any module that maps clips in [0, 1] to flows, finest first; it stays frozen. Or
            `PoseFlow`, with clips that bring the rows it needs.
        config: All settings.
        device: cpu, cuda or mps.
        progress: Told of every step.
    """
    settings = config.features
    assert not isinstance(settings.model, KeypointsConfig)  # see features.keypoints
    torch.manual_seed(config.seed)
    exponent, given = settings.loss.weight_exponent, settings.loss.positive_weights
    target = build_target(data.train_labels, data.behaviors, data.exclusive, exponent, given=given)
    target.report_untrainable(progress)
    model = settings.model.build(
        flow,
        target.num_outputs,
        data.statistics.mean,
        data.statistics.std,
        clip_length=config.flow.model.clip_length,
    )
    model.set_head_bias(target.prior)
    report = _load_start(model, settings, run, progress)
    model.to(device)
    to_channels_last(model)
    start = record_start(run, report, model, progress)
    results: dict[str, Any] = {}
    for phase in model.phases:
        if steps := getattr(settings.phases, phase):
            results[phase] = _train_phase(
                run,
                data,
                model,
                phase,
                steps,
                target,
                start,
                config,
                device=device,
                progress=progress,
            )
    layout = {LAYOUT: flow.layout.to_dict()} if isinstance(flow, PoseFlow) else {}
    about = {"phases": results, "start_weights": report.to_dict(), "inputs": data.inputs, **layout}
    finish_run(run, model.cpu().state_dict(), about)
    for name in results:
        (run.checkpoints / f"{name}.pt").unlink()
    return run


def load_features(run: Run, flow: nn.Module) -> FeaturesNetwork | Keypoints:
    """The network of a finished run, in eval mode on the CPU."""
    zeros = (0.0, 0.0, 0.0)
    config = run.config
    if isinstance(config.features.model, KeypointsConfig):
        return load_keypoints(run)
    num_outputs = len(run.behaviors) + run.exclusive
    model = config.features.model.build(
        flow, num_outputs, zeros, zeros, clip_length=config.flow.model.clip_length
    )
    model.load_state_dict(run.load_weights())
    return model.eval()


def predict_clips(
    model: nn.Module, batch: dict[str, Tensor], *, phase: Phase, augment: nn.Module
) -> list[Tensor]:
    """Logits (B, O) of a batch of uint8 clips; changed at random while the model trains."""
    clips = to_float(batch["clip"])
    if model.training:
        with torch.no_grad():
            clips = augment(clips)
    given = {name: batch[key] for name, key in OPTIONAL.items() if key in batch}
    return [model.phase_logits(clips, phase, **given)]  # type: ignore[operator]


def stratified_frames(
    labels: Sequence[np.ndarray], spans: Sequence[tuple[int, int, int]], number: int, seed: int
) -> list[tuple[int, int]]:
    """Fixed frames to validate on, in which every behavior is as frequent as can be.

    Half of them are shared evenly between the behaviors' present frames, the rest is drawn at
    random from all scored frames.

    Args:
        labels: (T, K) per video, 1 / 0 / -1.
        spans: (video number, start, stop) of the validation part.
        number: How many frames; all scored ones when fewer exist.
        seed: Of the draw.

    Returns:
        (video number, frame), sorted, without repetition.
    """
    generator = np.random.default_rng(seed)
    frames = scored_frames(labels, spans)
    rows = np.stack([labels[video][frame] for video, frame in frames])
    num_behaviors = rows.shape[1]
    chosen: set[int] = set()
    for column in range(num_behaviors):
        present = generator.permutation(np.flatnonzero(rows[:, column] == 1))
        chosen.update(present[: number // (2 * num_behaviors)].tolist())
    for index in generator.permutation(len(frames)).tolist():
        if len(chosen) >= number:
            break
        chosen.add(index)
    return [frames[index] for index in sorted(chosen)]


def scored_frames(
    labels: Sequence[np.ndarray], spans: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int]]:
    """(video number, frame) of every frame in the spans with at least one scored behavior."""
    return [
        (video, start + int(offset))
        for video, start, stop in spans
        for offset in np.flatnonzero((labels[video][start:stop] >= 0).any(axis=1))
    ]


def _load_start(
    model: FeaturesNetwork, settings: FeaturesConfig, run: Run, progress: Progress
) -> StartReport:
    """Fill the network; `external` has a setting of its own for that."""
    if isinstance(model, External):
        assert isinstance(settings.model, ExternalConfig)
        return _load_external(model, settings.model, progress)
    return load_features_weights(model, settings, name_run_outputs(run), progress)


def _load_external(model: External, settings: ExternalConfig, progress: Progress) -> StartReport:
    """Fill the encoder from the file of its own setting, if that names one."""
    reference = model.load_start_weights()
    own = model.state_dict()
    names = [name for name in own if COUNTER not in name]
    if not reference:
        return StartReport(new=tuple(names))
    given, network = settings.weights, settings.source
    source = open_source(given, "features.model.weights", network, progress)
    return StartReport(
        source=given,
        kind=source.kind,
        network=network,
        sha256=source.sha256,
        matched=tuple(name for name in names if name.startswith(ENCODER)),
        new=tuple(name for name in names if not name.startswith(ENCODER)),
        ignored=tuple(name for name in source.tensors if f"{ENCODER}{name}" not in own),
        reference=reference,
    )


def _train_phase(
    run: Run,
    data: FeaturesData,
    model: FeaturesNetwork,
    phase: Phase,
    steps: int,
    target: Target,
    start: dict[nn.Parameter, Tensor],
    config: Config,
    *,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """One phase; after a kill, a phase that is over is loaded instead of trained again."""
    settings = config.features
    done = run.checkpoints / f"{phase}.pt"
    if done.is_file():
        record = torch.load(done, map_location=device, weights_only=True)
        model.load_state_dict(record["weights"])
        return record["result"]
    task = Classifier(
        model,
        partial(predict_clips, phase=phase, augment=_build_augmentation(settings, data)),
        parameters=partial(_phase_parameters, phase=phase),
        targets=[target],
        loss=settings.loss,
        train_config=_phase_config(settings.train, phase, steps),
        penalty=_l2_sp_penalty(model, phase, start, settings),
    )
    folder = run.checkpoints / phase
    whole = model.needs_clips(phase)
    result = fit(
        task,
        data.train if whole else data.train.with_length(1),
        data.val if whole else data.val.with_length(1),
        _phase_config(settings.train, phase, steps),
        GOAL,
        folder=folder,
        metrics_path=run.folder / f"metrics_{phase}.csv",
        seed=config.seed,
        device=device,
        progress=progress,
        name=f"train features, {phase}",
    ).to_dict()
    _keep_phase(done, model, result)
    drop_checkpoints(folder)
    return result


def _build_augmentation(settings: FeaturesConfig, data: FeaturesData) -> nn.Module:
    """Changes of pictures; of drawn poses only colors, as keypoints were moved before."""
    wanted = settings.augment.model_dump()
    if isinstance(data.train, PoseClips):
        wanted |= {"flip_horizontal": 0.0, "flip_vertical": 0.0, "rotation_degrees": 0.0}
    return build_augmentation(**wanted)


def _keep_phase(path: Path, model: nn.Module, result: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save({"weights": model.state_dict(), "result": result}, buffer)
    write_bytes(path, buffer.getvalue())


def _phase_config(train: TrainConfig, phase: Phase, steps: int) -> TrainConfig:
    rate = train.learning_rate * (JOINT_LEARNING_RATE if phase == "joint" else 1)
    return train.model_copy(update={"steps": steps, "learning_rate": rate})


def _phase_parameters(model: nn.Module, phase: Phase) -> list[nn.Parameter]:
    modules = model.phase_modules(phase)  # type: ignore[operator]
    return [parameter for module in modules for parameter in module.parameters()]


def _l2_sp_penalty(
    model: FeaturesNetwork,
    phase: Phase,
    start: dict[nn.Parameter, Tensor],
    settings: FeaturesConfig,
) -> Callable[[nn.Module], Tensor]:
    """L2-SP of what learns in this phase, on the parameters of `model` itself."""
    learning = [
        parameter
        for module in model.phase_modules(phase)
        for parameter in decayed_parameters(module)
    ]

    def penalty(_: nn.Module) -> Tensor:
        return start_penalty(learning, start, alpha=settings.l2sp_start, beta=settings.l2sp_new)

    return penalty
