"""Temporal Gaussian mixture (TGM): features of a window in, logits that know 43 frames out.

Piergiovanni & Ryoo, "Temporal Gaussian Mixture Layer for Videos", 2019, with soft attention. Each
of the layers mixes a few learned kernels into filters along time, the same for all feature
dimensions. Between the first layer and the maximum over channels nothing is non-linear, so the
layers are composed into one filter per channel, and one matrix product per block of frames runs
them all.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor, nn

from pixelethogram.sequence.models.masked_norm import MaskedBatchNorm

SIGMA_FLOOR = 0.3  # frames; narrower than a single tap
BLOCK_FRAMES = 60  # frames per matrix product; measured fastest for 43 taps
PLANES_AT_ONCE = 1 << 22  # elements of all channels that one step on the CPU holds; 16 MiB
PLANES_ON_DEVICE = 1 << 27  # the same on an accelerator, where few large products are fastest


class TGMConfig(BaseModel):
    """Settings of the temporal Gaussian mixture."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    default_smoothness: ClassVar[float] = 0.0
    default_window_frames: ClassVar[int] = 180
    paper: ClassVar[str] = "Piergiovanni & Ryoo 2019; Bohnslav et al. 2021"

    name: Literal["tgm"] = "tgm"
    """Entry of the table of sequence models."""
    kernel: Literal["gaussian", "cauchy"] = "gaussian"
    """Shape of the kernels: the paper's Gaussian, or the heavy-tailed Cauchy of DeepEthogram."""
    compatible: bool = False
    """Exactly DeepEthogram's form: Cauchy kernels, one hidden layer for both heads, zero padding
    between the layers, element-wise dropout."""
    num_filters: int = Field(default=8, ge=1)
    """Kernels per layer and channels between layers."""
    filter_length: int = Field(default=15, ge=1)
    """Frames one layer sees; odd."""
    num_layers: int = Field(default=3, ge=1)
    """Layers; together they see num_layers · (filter_length − 1) + 1 frames."""
    hidden: int = Field(default=128, ge=1)
    """Units of the hidden layer of each head."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Chance that a feature dimension (for a whole window) or a hidden unit is dropped."""

    @model_validator(mode="before")
    @classmethod
    def _compatible_means_cauchy(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("compatible"):
            return {"kernel": "cauchy", **values}
        return values

    @model_validator(mode="after")
    def _refuse_compatible_gaussian(self) -> TGMConfig:
        if self.compatible and self.kernel != "cauchy":
            raise ValueError("compatible: true needs kernel: cauchy; set it, or leave kernel out")
        return self

    @field_validator("filter_length")
    @classmethod
    def _refuse_even_length(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"filter_length must be odd to have a middle frame, not {value}")
        return value

    def build(
        self,
        in_features: int,
        num_outputs: int,
        prior: Tensor | None = None,
        exclusive: bool = False,
    ) -> TGM:
        """Network with fresh weights; the arguments are explained in `sequence.models`."""
        return TGM(self, in_features, num_outputs, prior)


class GaussianKernels(nn.Module):
    """Normal densities sampled at the taps; centre and width are learned within bounds."""

    def __init__(self, num_kernels: int, length: int) -> None:
        super().__init__()
        self.length = length
        even = (torch.arange(num_kernels) + 0.5) / num_kernels
        self.center = nn.Parameter(torch.atanh(2 * even - 1) + 0.05 * torch.randn(num_kernels))
        self.ceiling = max(length / 2, 1.0)
        sigma = 0.5 * 8 ** torch.rand(num_kernels)  # log-uniform in [0.5, 4]
        share = torch.log(sigma / SIGMA_FLOOR) / math.log(self.ceiling / SIGMA_FLOOR)
        self.width = nn.Parameter(torch.logit(share.clamp(0.05, 0.95)))

    def forward(self) -> Tensor:
        """(kernels, length), each ≥ 0 with sum 1."""
        taps = torch.arange(self.length, device=self.center.device)
        center = (self.length - 1) * (torch.tanh(self.center) + 1) / 2
        sigma = SIGMA_FLOOR * (self.ceiling / SIGMA_FLOOR) ** torch.sigmoid(self.width)
        distance = (taps - center[:, None]) / sigma[:, None]
        return torch.softmax(-(distance**2) / 2, dim=1)


class CauchyKernels(nn.Module):
    """Cauchy densities sampled at the taps, width at most e^1.5; as both public codes run them."""

    def __init__(self, num_kernels: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.center = nn.Parameter(0.5 * torch.randn(num_kernels))
        self.width = nn.Parameter(0.01 * torch.randn(num_kernels))

    def forward(self) -> Tensor:
        """(kernels, length), each ≥ 0 with sum 1 (within 1e-5)."""
        taps = torch.arange(self.length, device=self.center.device)
        center = (self.length - 1) * (torch.tanh(self.center) + 1) / 2
        width = torch.exp(1.5 - 2 * torch.tanh(self.width).abs())[:, None]
        density = 1 / (math.pi * width * (((taps - center[:, None]) / width) ** 2 + 1))
        return density / (density.sum(dim=1, keepdim=True) + 1e-6)


KERNELS: dict[str, type[nn.Module]] = {"gaussian": GaussianKernels, "cauchy": CauchyKernels}


class MixtureLayer(nn.Module):
    """Learned mixture of kernels for every pair of channels, and of channels for every output."""

    def __init__(self, in_channels: int, out_channels: int, kernels: nn.Module, num: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernels = kernels
        self.mixing = nn.Parameter(torch.randn(out_channels * in_channels, num))
        self.channels: nn.Parameter | None = None
        if in_channels > 1:
            self.channels = nn.Parameter(torch.randn(out_channels, in_channels))

    def forward(self) -> Tensor:
        """(out, in, length) filters ≥ 0; those of one output channel sum to 1 together."""
        mixed = torch.softmax(self.mixing, dim=1) @ self.kernels()
        mixed = mixed.view(self.out_channels, self.in_channels, -1)
        if self.channels is None:
            return mixed
        return mixed * torch.softmax(self.channels, dim=1)[:, :, None]


class SmoothingStack(nn.Module):
    """Mixture layers and the maximum over their channels, run as one filter bank.

    Frames outside of the window count as zero. With `padded_layers` what the layers produce
    outside of the window is zeroed too, between any two of them (as convolutions with padding do);
    this touches only the first and last radius − length // 2 frames.
    """

    def __init__(self, config: TGMConfig, padded_layers: bool) -> None:
        super().__init__()
        num, length = config.num_filters, config.filter_length
        widths = [1] + [num] * config.num_layers
        self.layers = nn.ModuleList(
            MixtureLayer(before, after, KERNELS[config.kernel](num, length), num)
            for before, after in zip(widths, widths[1:], strict=False)
        )
        self.radius = config.num_layers * (length // 2)
        self.border = self.radius - length // 2 if padded_layers else 0

    def taps(self) -> Tensor:
        """(channels, 2 · radius + 1) filters that do what all layers together do."""
        composed, *others = [layer() for layer in self.layers]
        composed = composed.transpose(0, 1)  # (1, channels, length)
        for filters in others:
            composed = F.conv1d(composed, filters.flip(2), padding=filters.shape[2] - 1)
        return composed[0]

    def matrix(self, num_frames: int) -> Tensor:
        """(channels, T out, T in): the layers on a window of T frames, with padding in between."""
        filters = [layer() for layer in self.layers]
        frames = torch.eye(num_frames, device=filters[0].device, dtype=filters[0].dtype)[:, None]
        for layer_filters in filters:
            frames = F.conv1d(frames, layer_filters, padding=layer_filters.shape[2] // 2)
        return frames.permute(1, 2, 0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), the largest of the smoothed channels."""
        if torch.compiler.is_compiling():
            return self._convolve(features)
        if not self.border:
            return filter_max(features, self.taps())
        num_frames, reach = features.shape[1], self.border + self.radius
        if num_frames <= reach:
            return _multiply_max(features, self.matrix(num_frames))
        edge, middle = self.matrix(reach), filter_max(features, self.taps())
        first = _multiply_max(features[:, :reach], edge[:, : self.border])
        last = _multiply_max(features[:, -reach:], edge[:, -self.border :])
        return torch.cat([first, middle[:, self.border : -self.border], last], dim=1)

    def _convolve(self, features: Tensor) -> Tensor:
        """The same for exported programs, which a loop over blocks would tie to one length."""
        filters = [layer() for layer in self.layers] if self.border else [self.taps()[:, None]]
        planes = features[:, None]
        for each in filters:
            planes = F.conv2d(planes, each[..., None], padding=(each.shape[2] // 2, 0))
        return planes.amax(dim=1)


def filter_max(features: Tensor, taps: Tensor) -> Tensor:
    """Correlate every feature dimension with each filter and keep the largest result.

    Args:
        features: (B, T, D); frames outside count as zero.
        taps: (C, L) with L odd.

    Returns:
        (B, T, D).
    """
    batch, num_frames, size = features.shape
    radius = taps.shape[1] // 2
    num_blocks = (num_frames + BLOCK_FRAMES - 1) // BLOCK_FRAMES
    fill = num_blocks * BLOCK_FRAMES - num_frames
    padded = F.pad(features, (0, 0, radius, radius + fill))
    blocks = padded.unfold(1, BLOCK_FRAMES + 2 * radius, BLOCK_FRAMES)  # (B, blocks, D, block)
    blocks = blocks.transpose(2, 3).reshape(batch * num_blocks, -1, size)
    smoothed = _multiply_max(blocks, _banded(taps))
    return smoothed.reshape(batch, num_blocks * BLOCK_FRAMES, size)[:, :num_frames]


def _banded(taps: Tensor) -> Tensor:
    """(C, BLOCK_FRAMES, BLOCK_FRAMES + L − 1) with the taps in row r starting at column r."""
    width = BLOCK_FRAMES + taps.shape[1] - 1
    rows = F.pad(taps, (0, BLOCK_FRAMES)).repeat(1, BLOCK_FRAMES)  # one period is width + 1
    return rows[:, : BLOCK_FRAMES * width].reshape(-1, BLOCK_FRAMES, width)


def _multiply_max(blocks: Tensor, matrix: Tensor) -> Tensor:
    """Largest over C of matrix (C, S, R) times each block (N, R, D) -> (N, S, D)."""
    return _MultiplyMax.apply(blocks, matrix.to(blocks.dtype))


class _MultiplyMax(torch.autograd.Function):
    """Product and maximum for a few blocks at a time, always in the same memory.

    The channels of a whole batch are eight times the features. Of a few blocks they stay in the
    processor's cache, and all that the backward pass needs is one byte per output.
    """

    @staticmethod
    def forward(ctx: Any, blocks: Tensor, matrix: Tensor) -> Tensor:
        planes = _empty_planes(blocks, matrix)
        results = blocks.new_empty(len(blocks), matrix.shape[1], blocks.shape[2])
        needs_winners = any(ctx.needs_input_grad)
        if needs_winners:
            winner = results.new_empty((len(planes), *results.shape[1:]), dtype=torch.int64)
            winners = results.new_empty(results.shape, dtype=torch.uint8)
            ctx.save_for_backward(blocks, matrix, winners)
        for part in _parts(len(blocks), len(planes)):
            few = planes[: part.stop - part.start]
            left = matrix.flatten(0, 1).expand(len(few), -1, -1)
            torch.bmm(left, blocks[part], out=few.flatten(1, 2))
            if needs_winners:
                torch.max(few, dim=1, out=(results[part], winner[: len(few)]))
                winners[part] = winner[: len(few)]
            else:
                torch.amax(few, dim=1, out=results[part])
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor]:
        blocks, matrix, winners = ctx.saved_tensors
        planes = _empty_planes(blocks, matrix)
        to_matrix = torch.zeros_like(matrix).flatten(0, 1)
        to_blocks = torch.empty_like(blocks) if ctx.needs_input_grad[0] else None
        for part in _parts(len(blocks), len(planes)):
            few = planes[: part.stop - part.start].zero_()
            few.scatter_(1, winners[part].long()[:, None], gradients[0][part][:, None])
            rows = few.flatten(1, 2)
            to_matrix += torch.bmm(rows, blocks[part].transpose(1, 2)).sum(dim=0)
            if to_blocks is not None:
                to_blocks[part] = torch.matmul(matrix.flatten(0, 1).T, rows)
        return to_blocks, to_matrix.view_as(matrix)


def _empty_planes(blocks: Tensor, matrix: Tensor) -> Tensor:
    """(few, C, S, D) memory for the channels of as many blocks as are done at once."""
    limit = PLANES_AT_ONCE if blocks.device.type == "cpu" else PLANES_ON_DEVICE
    shape = (*matrix.shape[:2], blocks.shape[2])
    return blocks.new_empty(min(len(blocks), max(1, limit // math.prod(shape))), *shape)


def _parts(num_blocks: int, at_once: int) -> list[slice]:
    starts = range(0, num_blocks, at_once)
    return [slice(start, min(start + at_once, num_blocks)) for start in starts]


class Head(nn.Module):
    """Dropout, hidden layer, dropout, output layer, batch normalisation."""

    def __init__(self, hidden: nn.Linear, num_outputs: int, prior: Tensor | None) -> None:
        super().__init__()
        self.hidden = hidden
        self.output = nn.Linear(hidden.out_features, num_outputs, bias=False)
        self.norm = MaskedBatchNorm(num_outputs, prior)

    def forward(self, features: Tensor, mask: Tensor, dropout: nn.Module) -> Tensor:
        """(B, T, D) -> (B, T, O); `dropout` acts on the features and on the hidden units."""
        hidden = torch.relu(self.hidden(features))
        return self.norm(self.output(dropout(hidden)), mask)


class TGM(nn.Module):
    """Mean of the logits of two heads: one reads the features, one the smoothed features.

    Parameters in compatible form: 264,983 for 1024 features and 5 outputs, of which 131,224 are
    declared by DeepEthogram but never used (`unused`).
    """

    def __init__(
        self, config: TGMConfig, in_features: int, num_outputs: int, prior: Tensor | None
    ) -> None:
        super().__init__()
        self.smoothing = SmoothingStack(config, padded_layers=config.compatible)
        self.receptive_radius: int | None = self.smoothing.radius
        self.dropout = nn.Dropout(config.dropout)
        self.whole_dimensions = not config.compatible
        hidden = nn.Linear(in_features, config.hidden)
        spare = nn.Linear(in_features, config.hidden)
        self.direct = Head(hidden, num_outputs, prior)
        self.smoothed = Head(hidden if config.compatible else spare, num_outputs, prior)
        if config.compatible:
            self.smoothed.norm.bias = self.direct.norm.bias
            deltas = [torch.zeros(config.num_filters) for _ in range(config.num_layers)]
            self.unused = nn.ParameterList([*deltas, *spare.parameters()])

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) features and (B, T) mask, True for real frames -> [(B, T, O) logits]."""
        features = features.masked_fill(~mask[..., None], 0.0)
        smoothed = self.smoothing(features)
        direct = self.direct(self._drop(features), mask, self.dropout)
        return [(direct + self.smoothed(self._drop(smoothed), mask, self.dropout)) / 2]

    def _drop(self, features: Tensor) -> Tensor:
        """Drop feature dimensions for a whole window: neighbouring frames are nearly the same."""
        if not self.whole_dimensions:
            return self.dropout(features)
        return features * self.dropout(torch.ones_like(features[:, :1]))
