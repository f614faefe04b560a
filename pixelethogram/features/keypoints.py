"""The features stage on keypoints: poses and labels in, a run that knows their statistics out.

What is learned from the training frames: mean and deviation of every column, principal components
if wanted, and a head that looks at one frame, to compare the sequence models with. It takes the
place of clips and networks; extraction leaves the same arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pixelethogram.config import Config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.extracted import NOTHING, Extracted, Format
from pixelethogram.features.models.keypoints import Keypoints, KeypointsConfig
from pixelethogram.pose.features.columns import Columns
from pixelethogram.pose.pose import Pose
from pixelethogram.progress import Progress, format_count
from pixelethogram.runs import Run, finish_run
from pixelethogram.start_weights.report import StartReport
from pixelethogram.store import ArrayWriter
from pixelethogram.training.classifier import GOAL, Classifier, Target, build_target
from pixelethogram.training.fit import FitResult, drop_checkpoints, fit
from pixelethogram.training.losses import decayed_parameters, l2_sp

STD_FLOOR = 1e-3
BLOCK_FRAMES = 4096
PRECISION = "fp32"

Stretch = tuple[Pose, np.ndarray]
"""Pose of a whole recording, and its labels (T, K)."""
Span = tuple[int, int, int]
"""Recording number, start, stop."""


@dataclasses.dataclass(frozen=True)
class KeypointsData:
    """Poses, their labels, and which stretches of them are learned from."""

    recordings: Sequence[Stretch]
    train: Sequence[Span]
    val: Sequence[tuple[int, int]]
    """(recording number, frame) of the frames that validate the head."""
    behaviors: tuple[str, ...]
    exclusive: bool


@dataclasses.dataclass(frozen=True)
class PoseOrder:
    """The pose of a recording, and the file that its features go to."""

    name: str
    """What it is called."""
    read: Callable[[], Pose]
    """Called when its turn comes."""
    path: Path
    """The file to write; it appears only when whole."""
    attributes: Mapping[str, Any]
    """Kept in the file."""


class FrameRows(Dataset[dict[str, Tensor]]):
    """Frames one at a time: "features" (D,) float32 and "labels" (K,) int8."""

    def __init__(self, features: Tensor, labels: np.ndarray) -> None:
        self.features, self.labels = features, torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"features": self.features[index], "labels": self.labels[index]}


def train_keypoints(
    run: Run, data: KeypointsData, config: Config, *, device: str, progress: Progress
) -> Run:
    """Statistics of the training frames, then the head.

    Args:
        run: A run of this stage, new or broken off; it is finished afterwards.
        data: Poses and labels.
        config: All settings; `features.phases.spatial` is how long the head learns.
        device: cpu, cuda or mps.
        progress: Told of every recording and step.
    """
    settings = config.features
    assert isinstance(settings.model, KeypointsConfig)
    torch.manual_seed(config.seed)
    columns = describe_all(settings.model, [pose for pose, _ in data.recordings], progress)
    labels = [labels for _, labels in data.recordings]
    stretches = [columns[number].values[start:stop] for number, start, stop in data.train]
    scored = [(labels[n][start:stop] >= 0).any(axis=1) for n, start, stop in data.train]
    train_rows = np.concatenate([cut[kept] for cut, kept in zip(stretches, scored, strict=True)])
    train_labels = np.concatenate(
        [labels[n][a:b][kept] for (n, a, b), kept in zip(data.train, scored, strict=True)]
    )
    exponent, given = settings.loss.weight_exponent, settings.loss.positive_weights
    target = build_target(train_labels, data.behaviors, data.exclusive, exponent, given=given)
    target.report_untrainable(progress)
    mean, std = column_statistics(stretches)
    components = find_components(train_rows, mean, std, settings.model.variance)
    num_features = len(mean) if components is None else len(components)
    model = settings.model.build(len(mean), num_features, target.num_outputs)
    model.mean, model.std, model.components = mean, std, components
    model.columns = columns[0].names
    model.set_head_bias(target.prior)
    val_rows = np.stack([columns[number].values[frame] for number, frame in data.val])
    val_labels = np.stack([labels[number][frame] for number, frame in data.val])
    train = FrameRows(_to_features(model, train_rows), train_labels)
    val = FrameRows(_to_features(model, val_rows), val_labels)
    result = _train_head(run, model, target, train, val, config, device=device, progress=progress)
    about = {
        "fit": result.to_dict(),
        "columns": list(model.columns),
        "start_weights": StartReport().to_dict(),
    }
    finish_run(run, model.cpu().state_dict(), about)
    drop_checkpoints(run.checkpoints)
    return run


def load_keypoints(run: Run) -> Keypoints:
    """The statistics and the head of a finished run, in eval mode on the CPU."""
    settings = run.config.features.model
    assert isinstance(settings, KeypointsConfig)
    weights = run.load_weights()
    num_columns = len(weights["mean"])
    num_features = len(weights["components"]) if "components" in weights else num_columns
    model = settings.build(num_columns, num_features, len(run.behaviors) + run.exclusive)
    model.load_state_dict(weights)
    model.columns = tuple(run.results["columns"])
    return model.eval()


def extract_poses(
    model: Keypoints, orders: Sequence[PoseOrder], progress: Progress
) -> Generator[Extracted, None, None]:
    """Features and logits of every frame of many recordings, one after the other.

    Args:
        model: In eval mode.
        orders: In this order.
        progress: Told of every frame.

    Yields:
        One per order, as soon as its file is there; also those that cannot be read.
    """
    for order in orders:
        try:
            pose = order.read()
            extract_pose_to_file(model, pose, order.path, order.attributes, progress)
        except (InputError, UsageError) as error:
            yield Extracted(order.name, 0, NOTHING, error)
        else:
            yield Extracted(
                order.name, pose.num_frames, Format(pose.height, pose.width, pose.fps), None
            )


@torch.inference_mode()
def extract_pose_to_file(
    model: Keypoints, pose: Pose, path: Path, attributes: Mapping[str, Any], progress: Progress
) -> int:
    """Features and logits of every frame, in a file like that of clips.

    Args:
        model: In eval mode.
        pose: Of one recording, with the animals and keypoints that the model learned from.
        path: The file to write.
        attributes: Kept in the file.
        progress: Told of every frame.

    Returns:
        Number of frames.

    Raises:
        InputError: Other animals or keypoints than the model knows.
    """
    values = put_in_order(model.config.describe(pose), model.columns, pose)
    device = model.mean.device
    progress.start("features", pose.num_frames)
    with ArrayWriter(path, {**attributes, "precision": PRECISION}) as writer:
        for start in range(0, pose.num_frames, BLOCK_FRAMES):
            block = torch.from_numpy(values[start : start + BLOCK_FRAMES]).to(device)
            features = model.forward_features(block)
            arrays = {
                name: each.cpu().numpy() for name, each in model.named_logits(features).items()
            }
            writer.append(features=features.half().cpu().numpy(), **arrays)
            progress.advance(len(block))
        writer.finish()
    progress.finish()
    return pose.num_frames


def put_in_order(columns: Columns, names: Sequence[str], pose: Pose) -> np.ndarray:
    """Values (T, C) in the order of the names.

    Args:
        columns: Of a pose.
        names: Of the columns that a model learned from.
        pose: For the message.

    Raises:
        InputError: The columns are called otherwise.
    """
    if columns.names == tuple(names):
        return columns.values
    place = {name: index for index, name in enumerate(columns.names)}
    if place.keys() != set(names):
        raise InputError(
            f"the pose gives {format_count(len(columns.names), 'column')}, "
            f"the model learned from {len(names)}; "
            f"{compare_names(columns.names, names)}",
            why=f"it has the animals {', '.join(pose.individuals)} and the keypoints "
            f"{', '.join(pose.skeleton.keypoints)}; the model learned from others, or only one of "
            "the two pose files says which keypoints are joined",
            do="give a pose of the same animals and keypoints, under the same names, from the "
            "same program",
        )
    return columns.values[:, [place[name] for name in names]]


def compare_names(found: Sequence[str], known: Sequence[str]) -> str:
    """How two lists of names differ, by the first name that only one of them has.

    Example:
        >>> compare_names(["head to tail", "bend at body"], ["head to tail", "bend at neck"])
        'only here: "bend at body"; only there: "bend at neck"'
    """
    own = [name for name in found if name not in set(known)]
    others = [name for name in known if name not in set(found)]
    sides = (("here", own), ("there", others))
    texts = [f'only {side}: "{names[0]}"' for side, names in sides if names]
    return "; ".join(texts) or "the same names in another order"


def column_statistics(stretches: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Mean and deviation (C,) of what is known, in float64; 0 and 1 for a column never known."""
    count = sum(np.isfinite(values).sum(axis=0) for values in stretches)
    total = sum(np.nansum(values, axis=0, dtype=np.float64) for values in stretches)
    safe = np.maximum(count, 1)
    mean = total / safe
    squares = sum(
        np.nansum((values.astype(np.float64) - mean) ** 2, axis=0) for values in stretches
    )
    std = np.where(count > 0, np.sqrt(squares / safe), 1.0)
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float().clamp_min(STD_FLOOR)


def find_components(
    columns: np.ndarray, mean: Tensor, std: Tensor, variance: float
) -> Tensor | None:
    """Principal directions (D, C) of z-scored columns that keep a share of the variance.

    None where all of it is to be kept.
    """
    if variance == 1:
        return None
    scaled = np.nan_to_num((columns - mean.numpy()) / std.numpy()).clip(-8, 8).astype(np.float64)
    strength, directions = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    strength, directions = strength[::-1].clip(0), directions[:, ::-1]
    share = np.cumsum(strength) / strength.sum()
    number = int(np.searchsorted(share, variance)) + 1
    return torch.from_numpy(directions[:, :number].T.copy()).float()


def describe_all(
    settings: KeypointsConfig, poses: Sequence[Pose], progress: Progress
) -> list[Columns]:
    """Columns of every recording, all of the same names."""
    progress.start("keypoint features", len(poses))
    columns: list[Columns] = []
    for pose in poses:
        columns.append(settings.describe(pose))
        progress.advance(1)
        if columns[-1].names != columns[0].names:
            raise InputError(
                f"recording {len(columns)} has other columns than the first: "
                f"{compare_names(columns[-1].names, columns[0].names)}",
                why="animals or keypoints are called otherwise or stand in another order, or only "
                "one of the two pose files says which keypoints are joined",
                do="take pose files of one program, with animals and keypoints named alike",
            )
    progress.finish()
    return columns


def _train_head(
    run: Run,
    model: Keypoints,
    target: Target,
    train: FrameRows,
    val: FrameRows,
    config: Config,
    *,
    device: str,
    progress: Progress,
) -> FitResult:
    settings = config.features
    task = Classifier(
        model,
        lambda network, batch: [network.forward_head(batch["features"])],  # type: ignore[operator]
        parameters=lambda network: list(network.parameters()),
        targets=[target],
        loss=settings.loss,
        train_config=settings.train,
        penalty=lambda network: l2_sp({}, decayed_parameters(network), beta=settings.l2sp_new),
    )
    return fit(
        task,
        train,
        val,
        settings.train.model_copy(update={"steps": settings.phases.spatial}),
        GOAL,
        folder=run.checkpoints,
        metrics_path=run.folder / "metrics.csv",
        seed=config.seed,
        device=device,
        progress=progress,
        name="train features, head on keypoints",
    )


@torch.no_grad()
def _to_features(model: nn.Module, columns: np.ndarray) -> Tensor:
    blocks = torch.from_numpy(columns).split(BLOCK_FRAMES)
    return torch.cat([model.forward_features(block) for block in blocks])  # type: ignore[operator]
