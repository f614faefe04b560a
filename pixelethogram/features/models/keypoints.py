"""Keypoints: vectors computed from a pose, without pixels, z-scored; and a small head on them.

The head takes the columns of one frame (with `stack_radius`, of the frames around it). Widths of
256 and 128 with dropout 0.35 are the perceptron of Sturman et al. 2020.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from pixelethogram.pose.features import FEATURE_SETS
from pixelethogram.pose.features.columns import Columns
from pixelethogram.pose.features.describe import describe_pose
from pixelethogram.pose.pose import Pose

LIMIT = 8.0  # standard deviations; a single wild point must not drown the others


class KeypointsConfig(BaseModel):
    """Feature vectors from keypoints; neither pixels nor flow."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    paper: ClassVar[str] = "EPFL; Sturman et al. 2020; MABe 2021"
    needs_flow: ClassVar[bool] = False

    name: Literal["keypoints"] = "keypoints"
    """Computed from the pose of each recording; its head has one phase, `phases.spatial`."""
    sets: tuple[str, ...] = ("symmetric",)
    """epfl, sturman, egocentric, symmetric; several are put side by side, all takes every set that
    fits any skeleton. symmetric does not care which animal is which."""
    min_confidence: float = Field(0.0, ge=0, le=1)
    """Points that the tracker is less sure of count as missing."""
    max_gap_frames: int = Field(5, ge=0)
    """Gaps of up to so many frames are bridged by straight lines; longer ones stay gaps."""
    context_radii: tuple[int, ...] = (15, 60)
    """For each, mean and spread of every column over ± so many frames are added."""
    stack_radius: int = Field(0, ge=0)
    """The columns of ± so many frames side by side; 15 for the 1,364 of Sturman et al. (then
    with context_radii=[])."""
    variance: float = Field(1.0, gt=0, le=1)
    """Share of the variance that principal components keep; 1 keeps the columns as they are."""
    hidden: tuple[int, ...] = ()
    """Units of the head's hidden layers, e.g. [256, 128]; none is a linear head."""
    dropout: float = Field(0.35, ge=0, lt=1)
    """Chance that a hidden unit of the head is dropped."""

    @field_validator("sets", mode="before")
    @classmethod
    def _read_sets(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else list(value)
        if names == ["all"]:
            return tuple(name for name in FEATURE_SETS if name != "sturman")
        if not names or set(names) - set(FEATURE_SETS) or len(set(names)) != len(names):
            known = ", ".join(FEATURE_SETS)
            raise ValueError(f"choose from {known}, each once, or all; not {names}")
        return tuple(names)

    @field_validator("context_radii")
    @classmethod
    def _refuse_empty_context(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(radius < 1 for radius in value) or len(set(value)) != len(value):
            raise ValueError(f"radii are different numbers of frames from 1, not {value}")
        return value

    def describe(self, pose: Pose) -> Columns:
        """What the network is told about every frame of a pose."""
        return describe_pose(
            pose,
            self.sets,
            min_confidence=self.min_confidence,
            max_gap_frames=self.max_gap_frames,
            context_radii=self.context_radii,
            stack_radius=self.stack_radius,
        )

    def build(self, num_columns: int, num_features: int, num_outputs: int) -> Keypoints:
        """A network without statistics yet; `num_features` is smaller with components."""
        return Keypoints(self, num_columns, num_features, num_outputs)


class Keypoints(nn.Module):
    """z-scores, principal components if wanted, and a head.

    Args:
        config: Which columns, which head.
        num_columns: C, columns that the pose is described by.
        num_features: D, what is kept of a frame; fewer than C are principal components.
        num_outputs: O.
    """

    mean: Tensor
    std: Tensor
    columns: tuple[str, ...] = ()
    """Names of the C columns."""

    def __init__(
        self, config: KeypointsConfig, num_columns: int, num_features: int, num_outputs: int
    ) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(num_columns))
        self.register_buffer("std", torch.ones(num_columns))
        self.components: Tensor | None
        fewer = num_features < num_columns
        self.register_buffer(
            "components", torch.zeros(num_features, num_columns) if fewer else None
        )
        sizes = (num_features, *config.hidden)
        layers: list[nn.Module] = []
        for size, following in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(size, following), nn.ReLU(), nn.Dropout(config.dropout)]
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], num_outputs)
        nn.init.normal_(self.head.weight, std=0.01)

    def set_head_bias(self, bias: Tensor) -> None:
        """Let training start from these logits (O,), e.g. how common each behavior is."""
        with torch.no_grad():
            self.head.bias.copy_(bias)

    def forward_features(self, columns: Tensor) -> Tensor:
        """(B, C) raw columns, NaN where unknown -> (B, D) features; the mean stands for unknown."""
        scaled = ((columns - self.mean) / self.std).clamp(-LIMIT, LIMIT).nan_to_num(0.0)
        return scaled if self.components is None else scaled @ self.components.T

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (B, O) of features (B, D)."""
        return self.head(self.hidden(features))

    def named_logits(self, features: Tensor) -> dict[str, Tensor]:
        """Logits (B, O) as "logits"."""
        return {"logits": self.forward_head(features)}

    def forward(self, columns: Tensor) -> Tensor:
        """Logits (B, O) of raw columns (B, C)."""
        return self.forward_head(self.forward_features(columns))
