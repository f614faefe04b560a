"""Pictures to numbers, and random changes of training clips, on whatever device the clips are on.

Flips and rotation are kornia's; all color changes are one matrix per clip, which takes a tenth of
the time of kornia's way over hue, saturation and value.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from kornia.augmentation import (
    IntensityAugmentationBase2D,
    RandomAffine,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    VideoSequential,
)
from kornia.augmentation.random_generator import PlainUniformGenerator
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)
MIDDLE_GREY = 0.5


def to_float(clips: Tensor) -> Tensor:
    """Clips (B, 3, L, H, W) float32 in [0, 1] of uint8 clips (B, L, H, W, 3)."""
    return clips.permute(0, 4, 1, 2, 3).contiguous().float().div_(255)


def build_augmentation(
    *,
    flip_horizontal: float = 0.5,
    flip_vertical: float = 0.0,
    rotation_degrees: float = 10.0,
    brightness: float = 0.25,
    contrast: float = 0.1,
    saturation: float = 0.1,
    hue: float = 0.1,
    color_probability: float = 0.5,
    grayscale: float = 0.5,
) -> nn.Module:
    """A module that changes clips (B, 3, L, H, W) in [0, 1] at random and keeps them in [0, 1].

    Every clip has its own draw, all frames of a clip share it. Changes of color leave grey grey.

    Args:
        flip_horizontal: Chance of a left-right mirror.
        flip_vertical: Chance of an up-down mirror.
        rotation_degrees: Largest rotation either way; the picture is reflected into the corners.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of the distance from middle grey.
        saturation: Largest relative change of the distance from grey.
        hue: Largest turn of the color circle, as a share of the full circle.
        color_probability: Chance that these four change at all.
        grayscale: Chance that a clip loses its color.
    """
    steps: list[nn.Module] = []
    if flip_horizontal > 0:
        steps.append(RandomHorizontalFlip(p=flip_horizontal))
    if flip_vertical > 0:
        steps.append(RandomVerticalFlip(p=flip_vertical))
    if rotation_degrees > 0:
        steps.append(RandomAffine(rotation_degrees, padding_mode="reflection", p=1.0))
    changes_color = color_probability > 0 and max(brightness, contrast, saturation, hue) > 0
    if changes_color or grayscale > 0:
        strengths = (brightness, contrast, saturation, hue)
        steps.append(RandomColorMatrix(*strengths, chance=color_probability, grayscale=grayscale))
    return Augmentation(steps)


class Augmentation(nn.Module):
    """kornia steps on clips, without gradient and in full precision.

    Args:
        steps: kornia augmentations for images; none leaves clips as they are.
    """

    def __init__(self, steps: list[nn.Module]) -> None:
        super().__init__()
        self.steps = VideoSequential(*steps, data_format="BCTHW") if steps else nn.Identity()

    @torch.no_grad()
    def forward(self, clips: Tensor) -> Tensor:
        """Changed clips (B, 3, L, H, W) in [0, 1] of clips in [0, 1]."""
        with torch.autocast(clips.device.type, enabled=False):
            return self.steps(clips).clamp(0, 1)


class RandomColorMatrix(IntensityAugmentationBase2D):
    """Brightness, contrast, saturation, hue and loss of color in one matrix product.

    Args:
        brightness: Largest relative change.
        contrast: Largest relative change.
        saturation: Largest relative change.
        hue: Largest turn, as a share of the full circle.
        chance: Chance that the four above change.
        grayscale: Chance that saturation becomes 0, independent of `chance`.
    """

    def __init__(
        self,
        brightness: float,
        contrast: float,
        saturation: float,
        hue: float,
        *,
        chance: float,
        grayscale: float,
    ) -> None:
        super().__init__(p=1.0)
        self.chance, self.grayscale = chance, grayscale
        self._bounds = {
            "brightness": (1 - brightness, 1 + brightness),
            "contrast": (1 - contrast, 1 + contrast),
            "saturation": (1 - saturation, 1 + saturation),
            "hue": (-hue, hue),
            "color_draw": (0.0, 1.0),
            "grayscale_draw": (0.0, 1.0),
        }
        self._param_generator = PlainUniformGenerator(
            *((torch.tensor(bound), name, None, None) for name, bound in self._bounds.items())
        )

    def apply_transform(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        """Images (N, 3, H, W) with the drawn changes, not clamped; kornia calls this."""
        drawn = {name: params[name].to(input) for name in self._bounds}
        same = drawn["color_draw"] >= self.chance
        fades = drawn["grayscale_draw"] < self.grayscale
        matrix, offset = color_matrix(
            brightness=drawn["brightness"].masked_fill(same, 1),
            contrast=drawn["contrast"].masked_fill(same, 1),
            saturation=drawn["saturation"].masked_fill(same, 1).masked_fill(fades, 0),
            hue=drawn["hue"].masked_fill(same, 0),
        )
        return torch.baddbmm(offset, matrix, input.flatten(2)).view_as(input)


def color_matrix(
    *, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor
) -> tuple[Tensor, Tensor]:
    """One linear map of red, green, blue per entry of the four factors, each (N,).

    Args:
        brightness: Factor on the values.
        contrast: Factor on the distance from middle grey, after that.
        saturation: Factor on the distance from grey of the same luma, after that.
        hue: Turn about the grey axis as a share of the full circle, last; a third is red to green.

    Returns:
        Matrices (N, 3, 3) and offsets (N, 1, 1): new = matrix @ color + offset.
    """
    identity = torch.eye(3).to(hue)
    luma = torch.tensor(LUMA).to(hue).expand(3, 3)
    factor = saturation.view(-1, 1, 1)
    scale = (brightness * contrast).view(-1, 1, 1)
    matrix = scale * (_turn(hue) @ (factor * identity + (1 - factor) * luma))
    return matrix, ((1 - contrast) * MIDDLE_GREY).view(-1, 1, 1)


def _turn(hue: Tensor) -> Tensor:
    """Rotations (N, 3, 3) about the grey axis (Rodrigues' formula); they leave grey grey."""
    angle = (2 * math.pi * hue).view(-1, 1, 1)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]).to(hue) / math.sqrt(3)
    mean = torch.full((3, 3), 1 / 3).to(hue)
    return angle.cos() * torch.eye(3).to(hue) + (1 - angle.cos()) * mean + angle.sin() * cross
