"""The label-free loss of the flow stage: warp the next frame back onto the current one and compare.

Frames and flows in, scalars out; everything is computed in at least float32, also under autocast.
Sources: Zhu et al. 2017 (hidden two-stream networks); Bohnslav et al. 2021 (DeepEthogram), Methods:
Flow generators; Wang et al. 2004 for SSIM.

Convention:
    flow[:, 0] is x (columns, to the right), flow[:, 1] is y (rows, downwards), in pixels of its own
    level: what is at (x, y) in the current frame is at (x + flow_x, y + flow_y) in the next one.
    Pixel centres have whole-number coordinates, the origin is the centre of the top left pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

PIXEL_POWER, PIXEL_EPSILON = 0.4, 1e-4
SMOOTHNESS_POWER, SMOOTHNESS_EPSILON = 0.3, 1e-7
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
MIN_INSIDE = 0.1
MIN_SQUARED_ERROR = 1e-10


@dataclass(frozen=True)
class FlowLoss:
    """The loss of one batch and what it is made of; all scalars, only `total` carries a gradient.

    Args:
        total: Sum of the four parts over all levels.
        pixel: Charbonnier difference of the current and the warped next frame.
        ssim: Structural dissimilarity of the same two, weighted.
        smoothness: Charbonnier norm of the flow's gradient, weighted.
        sparsity: Mean absolute flow, weighted.
        psnr_warp: Finest level: likeness of the current and the warped next frame in dB.
        psnr_identity: Finest level: likeness of the current and the unchanged next frame in dB.
        gain_db: psnr_warp - psnr_identity, what the flow is worth.
        mean_flow: Finest level: mean length of the flow in pixels of that level.
        inside: Finest level: share of pixels whose flow stays inside the picture.
    """

    total: Tensor
    pixel: Tensor
    ssim: Tensor
    smoothness: Tensor
    sparsity: Tensor
    psnr_warp: Tensor
    psnr_identity: Tensor
    gain_db: Tensor
    mean_flow: Tensor
    inside: Tensor


@dataclass(frozen=True)
class _Level:
    """Neighbouring frames at the size of one flow, its parts of the loss and the warped frames."""

    current: Tensor
    following: Tensor
    warped: Tensor
    weights: Tensor
    pixel: Tensor
    ssim: Tensor
    smoothness: Tensor
    sparsity: Tensor


def flow_loss(
    clips: Tensor,
    flows: Sequence[Tensor],
    *,
    smoothness: Sequence[float] = (0.01, 0.02, 0.04),
    sparsity: float = 0.0,
    ssim: float = 1.0,
    mask: bool = True,
) -> FlowLoss:
    """How badly the flows explain the clips they were computed from.

    Args:
        clips: (B, 3, L, H, W) in [0, 1].
        flows: Finest first, each (B, 2, L-1, h, w) in pixels of its level, any float.
        smoothness: Weight of flow smoothness per level, finest first.
        sparsity: Weight of the mean absolute flow, the same on all levels.
        ssim: Weight of structural dissimilarity.
        mask: Leave out pixels whose flow points outside the picture.

    Returns:
        The total and its parts.

    Raises:
        ValueError: Another number of levels than of weights, or of flows than of frame pairs.
    """
    _check_flows(clips, flows, smoothness)
    with torch.autocast(clips.device.type, enabled=False):
        frames = _at_least_float32(clips).transpose(1, 2).flatten(0, 1)  # (B·L, 3, H, W)
        levels = [
            _level(
                frames,
                _at_least_float32(flow),
                smoothness=weight,
                sparsity=sparsity,
                ssim=ssim,
                mask=mask,
            )
            for flow, weight in zip(flows, smoothness, strict=True)
        ]
        return _summarise(levels, _at_least_float32(flows[0]))


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Fetch every pixel from where the flow says its content has gone to (backward warping).

    Args:
        images: (N, C, H, W) next frames.
        flow: (N, 2, H, W) from the current to the next frame, in pixels.

    Returns:
        (N, C, H, W) reconstruction of the current frames; bilinear, edge pixels repeat outside.
    """
    x, y = _targets(flow)
    height, width = flow.shape[-2:]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def inside_picture(flow: Tensor) -> Tensor:
    """Where the flow (N, 2, H, W) leads to a point inside the picture: (N, 1, H, W) bool."""
    x, y = _targets(flow)
    height, width = flow.shape[-2:]
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).unsqueeze(1)


def charbonnier(values: Tensor, power: float, epsilon: float) -> Tensor:
    """Smooth relative of the absolute value, (values² + epsilon²)^power, elementwise."""
    return (values.square() + epsilon**2).pow(power)


def smoothness_penalty(flow: Tensor) -> Tensor:
    """Charbonnier norm of the forward differences of a flow.

    Args:
        flow: (N, 2, H, W).

    Returns:
        (N, 2, H, W), along x plus along y; the last column and row have a difference of 0.
    """
    along_x = functional.pad(flow.diff(dim=-1), (0, 1))
    along_y = functional.pad(flow.diff(dim=-2), (0, 0, 0, 1))
    return charbonnier(along_x, SMOOTHNESS_POWER, SMOOTHNESS_EPSILON) + charbonnier(
        along_y, SMOOTHNESS_POWER, SMOOTHNESS_EPSILON
    )


def structural_similarity(
    first: Tensor, second: Tensor, padding: Literal["reflect", "zero"] = "reflect"
) -> Tensor:
    """SSIM of two stacks of images, per pixel and color.

    Gaussian window of 11 x 11 pixels, sigma 1.5, population covariance, values in [0, 1].

    Args:
        first: (N, C, H, W).
        second: (N, C, H, W).
        padding: What lies outside the picture; zeros make edges depend on the brightness.

    Returns:
        (N, C, H, W), 1 where the images are the same.
    """
    mean1, square1 = _blur(torch.stack([first, first.square()]), padding)
    mean2, square2, product = _blur(torch.stack([second, second.square(), first * second]), padding)
    means = mean1 * mean2
    mean_squares = mean1.square() + mean2.square()
    likeness = (2 * means + SSIM_C1) * (2 * (product - means) + SSIM_C2)
    return likeness / ((mean_squares + SSIM_C1) * (square1 + square2 - mean_squares + SSIM_C2))


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over the pixels that count.

    Args:
        values: (N, C, H, W).
        weights: (N, 1, H, W), 1 where a pixel counts, else 0.

    Returns:
        Scalar; when fewer than a tenth of the pixels count, it shrinks instead of growing noisy.
    """
    return (values * weights).mean() / weights.mean().clamp(min=MIN_INSIDE)


def _check_flows(clips: Tensor, flows: Sequence[Tensor], smoothness: Sequence[float]) -> None:
    if len(flows) != len(smoothness):
        raise ValueError(f"{len(flows)} flows, but {len(smoothness)} smoothness weights")
    batch, _, length = clips.shape[:3]
    for flow in flows:
        if flow.ndim != 5 or flow.shape[:3] != (batch, 2, length - 1):
            raise ValueError(
                f"expected flows ({batch}, 2, {length - 1}, h, w) for clips {tuple(clips.shape)}, "
                f"got {tuple(flow.shape)}"
            )


def _level(
    frames: Tensor, flow: Tensor, *, smoothness: float, sparsity: float, ssim: float, mask: bool
) -> _Level:
    batch = len(flow)
    small = functional.interpolate(
        frames, size=flow.shape[-2:], mode="bilinear", align_corners=False, antialias=True
    ).unflatten(0, (batch, -1))
    current, following = small[:, :-1].flatten(0, 1), small[:, 1:].flatten(0, 1)
    pair_flow = flow.transpose(1, 2).flatten(0, 1)  # (B·(L-1), 2, h, w)
    warped = warp(following, pair_flow)
    inside = inside_picture(pair_flow).to(warped.dtype)
    weights = inside if mask else torch.ones_like(inside)
    difference = charbonnier(current - warped, PIXEL_POWER, PIXEL_EPSILON)
    return _Level(
        current=current,
        following=following,
        warped=warped.detach(),
        weights=weights,
        pixel=masked_mean(difference, weights),
        ssim=ssim * masked_mean(1 - structural_similarity(current, warped), weights),
        smoothness=smoothness * smoothness_penalty(pair_flow).mean(),
        sparsity=sparsity * pair_flow.abs().mean(),
    )


def _summarise(levels: Sequence[_Level], finest_flow: Tensor) -> FlowLoss:
    finest = levels[0]
    pixel = torch.stack([level.pixel for level in levels]).sum()
    ssim = torch.stack([level.ssim for level in levels]).sum()
    smoothness = torch.stack([level.smoothness for level in levels]).sum()
    sparsity = torch.stack([level.sparsity for level in levels]).sum()
    psnr_warp = _psnr(finest.current, finest.warped, finest.weights)
    psnr_identity = _psnr(finest.current, finest.following, finest.weights)
    pair_flow = finest_flow.detach().transpose(1, 2).flatten(0, 1)
    return FlowLoss(
        total=pixel + ssim + smoothness + sparsity,
        pixel=pixel.detach(),
        ssim=ssim.detach(),
        smoothness=smoothness.detach(),
        sparsity=sparsity.detach(),
        psnr_warp=psnr_warp,
        psnr_identity=psnr_identity,
        gain_db=psnr_warp - psnr_identity,
        mean_flow=pair_flow.square().sum(dim=1).sqrt().mean(),
        inside=inside_picture(pair_flow).float().mean(),
    )


def _psnr(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB for values in [0, 1]; at most 100."""
    squared_error = masked_mean((first - second).square(), weights)
    return -10 * squared_error.clamp(min=MIN_SQUARED_ERROR).log10()


def _targets(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (N, H, W) that the flow leads to: x and y."""
    height, width = flow.shape[-2:]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)
    return columns + flow[:, 0], rows[:, None] + flow[:, 1]


def _blur(images: Tensor, padding: str) -> Tensor:
    """Gaussian filter of the last two axes, as two matrix products.

    Several times faster on a CPU than depthwise convolutions, forwards and backwards.
    """
    height, width = images.shape[-2:]
    across = _gaussian_matrix(width, padding, images)
    down = _gaussian_matrix(height, padding, images)
    return down @ (images @ across.T)


def _gaussian_matrix(size: int, padding: str, like: Tensor) -> Tensor:
    """(size, size) matrix that filters a column of `size` pixels; padding is folded in."""
    offsets = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1, device=like.device)
    kernel = torch.exp(-0.5 * (offsets.to(like.dtype) / SSIM_SIGMA).square())
    sources = torch.arange(size, device=like.device)[:, None] + offsets  # (size, 11)
    weights = (kernel / kernel.sum()).expand(size, -1)
    if padding == "zero":
        weights = weights * ((sources >= 0) & (sources < size))
    period = max(2 * (size - 1), 1)
    folded = sources.remainder(period)
    matrix = torch.zeros(size, size, device=like.device, dtype=like.dtype)
    return matrix.scatter_add(1, torch.minimum(folded, period - folded), weights)


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
