"""The pictures of `drawing`, many at once on a device; and heat-maps of keypoints.

Each shape is laid over whole panels, without a bounding box: no branch, no loop over frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pixelethogram.pose.coverage import (
    cover_border,
    cover_capsule,
    cover_disc,
    cover_ground,
    cover_polygon,
    square_distance,
)
from pixelethogram.pose.drawing import MIN_RADIUS, TINY, Scene
from pixelethogram.pose.look import BACKGROUND, BODY_OPACITY, BORDER, GROUND
from pixelethogram.pose.views import Panel

FAR = 1e6  # pixels, where what is missing is put
HEATMAP_SIGMA = 1.0


def draw_batch(
    scene: Scene,
    panels: Sequence[Panel],
    frames: Tensor,
    points: Tensor,
    opacity: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Pictures (B, 3, H, W) float32 in 0…1, on the device of the points.

    Args:
        scene: The recording.
        panels: From `view_transforms`.
        frames: (B,) which; other numbers than those of the points only pick the matrices.
        points: (B, N, P, 2) pixels of the recording; NaN is not drawn, nor are its limbs.
        opacity: (B, N, P) in 0…1.
        size: H, W.
    """
    canvas = points.new_full((len(points), 3, *size), BACKGROUND)
    missing = points.isnan().any(dim=-1)
    points = points.masked_fill(missing[..., None], FAR)
    opacity = opacity.masked_fill(missing, 0.0)
    for panel in panels:
        rows = slice(panel.top, panel.top + panel.height)
        columns = slice(panel.left, panel.left + panel.width)
        matrices = _matrices_of(panel, frames, points)
        placed = _place(points, matrices)
        x = torch.arange(columns.start, columns.stop, device=points.device, dtype=points.dtype)
        y = torch.arange(rows.start, rows.stop, device=points.device, dtype=points.dtype)[:, None]
        part = canvas[:, :, rows, columns]
        _draw_ground(part, scene, panel, matrices, x, y)
        _draw_animals(part, scene, placed, opacity, (x, y), scene.radii(panel.scale))
    return canvas


def draw_heatmaps(
    points: Tensor, confidence: Tensor, size: tuple[int, int], sigma: float = HEATMAP_SIGMA
) -> Tensor:
    """One Gaussian spot per keypoint, its peak the confidence (PoseC3D: Duan et al. 2022, 3.2).

    Args:
        points: (B, C, 2) pixels of the picture; NaN gives an empty map.
        confidence: (B, C) in 0…1.
        size: H, W.
        sigma: Pixels.

    Returns:
        (B, C, H, W).
    """
    missing = points.isnan().any(dim=-1)
    points = points.masked_fill(missing[..., None], FAR)
    x = torch.arange(size[1], device=points.device, dtype=points.dtype)
    y = torch.arange(size[0], device=points.device, dtype=points.dtype)[:, None]
    centre = points[..., None, None]  # (B, C, 2, 1, 1)
    square = (x - centre[:, :, 0]) ** 2 + (y - centre[:, :, 1]) ** 2
    peak = confidence.masked_fill(missing, 0.0)[..., None, None]
    return peak * torch.exp(-square / (2 * sigma**2))


def draw_limb_heatmaps(
    points: Tensor,
    confidence: Tensor,
    edges: Sequence[tuple[int, int]],
    size: tuple[int, int],
    sigma: float = HEATMAP_SIGMA,
) -> Tensor:
    """One ridge per limb, (B, E, H, W); see `draw_heatmaps`."""
    missing = points.isnan().any(dim=-1)
    points = points.masked_fill(missing[..., None], FAR)
    confidence = confidence.masked_fill(missing, 0.0)
    x = torch.arange(size[1], device=points.device, dtype=points.dtype)
    y = torch.arange(size[0], device=points.device, dtype=points.dtype)[:, None]
    maps = points.new_zeros(len(points), len(edges), *size)
    for edge, (start, stop) in enumerate(edges):
        square = square_distance(x, y, corner_of(points, start), corner_of(points, stop))
        peak = torch.minimum(confidence[:, start], confidence[:, stop])[:, None, None]
        maps[:, edge] = peak * torch.exp(-square / (2 * sigma**2))
    return maps


def draw_view_heatmaps(
    panels: Sequence[Panel],
    frames: Tensor,
    points: Tensor,
    confidence: Tensor,
    size: tuple[int, int],
    edges: Sequence[tuple[int, int]] | None = None,
) -> Tensor:
    """Heat-maps where `draw_batch` draws, the largest of all animals in each pixel.

    Args:
        panels: From `view_transforms`.
        frames: (B,) which; see `draw_batch`.
        points: (B, N, P, 2) pixels of the recording; NaN is left out.
        confidence: (B, N, P) in 0…1.
        size: H, W.
        edges: Limbs, for a channel each; None: a channel per keypoint.

    Returns:
        (B, C, H, W).
    """
    number, animals = points.shape[:2]
    channels = points.shape[2] if edges is None else len(edges)
    maps = points.new_zeros(number, channels, *size)
    for panel in panels:
        placed = _place(points, _matrices_of(panel, frames, points))
        placed = (placed - placed.new_tensor([panel.left, panel.top])).flatten(0, 1)
        shares, box = confidence.flatten(0, 1), (panel.height, panel.width)
        each = (
            draw_heatmaps(placed, shares, box)
            if edges is None
            else draw_limb_heatmaps(placed, shares, edges, box)
        )
        rows = slice(panel.top, panel.top + panel.height)
        columns = slice(panel.left, panel.left + panel.width)
        maps[:, :, rows, columns] = each.unflatten(0, (number, animals)).amax(dim=1)
    return maps


def _matrices_of(panel: Panel, frames: Tensor, points: Tensor) -> Tensor:
    """(B, 2, 3) of the frames, as the points are."""
    return torch.from_numpy(panel.matrices[frames.cpu().numpy()]).to(points)


def _place(points: Tensor, matrices: Tensor) -> Tensor:
    """(B, N, P, 2) of the recording -> of the picture."""
    turn, shift = matrices[:, None, None, :, :2], matrices[:, None, None, :, 2]
    return (turn @ points[..., None])[..., 0] + shift


def _draw_ground(
    canvas: Tensor, scene: Scene, panel: Panel, matrices: Tensor, x: Tensor, y: Tensor
) -> None:
    (a, b, shift_x), (c, d, shift_y) = matrices.permute(1, 2, 0)[..., None, None]
    x, y, size = x - shift_x, y - shift_y, a * d - b * c
    x, y = (d * x - b * y) / size, (a * y - c * x) / size
    if panel.follows:
        spacing, radius = scene.body, MIN_RADIUS
        dots = cover_ground(x, y, scene.width, scene.height, panel.scale, spacing, radius)
        canvas += (GROUND - BACKGROUND) * dots[:, None]
    border = cover_border(x, y, scene.width, scene.height, panel.scale)
    canvas += border[:, None] * (BORDER - canvas)


def _draw_animals(
    canvas: Tensor,
    scene: Scene,
    points: Tensor,
    opacity: Tensor,
    grid: tuple[Tensor, Tensor],
    radii: tuple[float, float],
) -> None:
    total = canvas.new_zeros(len(canvas), 4, *canvas.shape[-2:])
    through = canvas.new_ones(len(canvas), 1, *canvas.shape[-2:])
    for animal in range(points.shape[1]):
        layer = _draw_animal(scene, animal, points[:, animal], opacity[:, animal], grid, radii)
        total += layer
        through *= 1 - layer[:, 3:]
    mixed = total[:, :3] / total[:, 3:].clamp(min=TINY)
    canvas += (1 - through) * (mixed - canvas)


def _draw_animal(
    scene: Scene,
    animal: int,
    points: Tensor,
    opacity: Tensor,
    grid: tuple[Tensor, Tensor],
    radii: tuple[float, float],
) -> Tensor:
    """Layer (B, 4, H, W) of one animal, colors times opacity."""
    look, skeleton = scene.look, scene.skeleton
    layer = points.new_zeros(len(points), 4, grid[1].shape[0], grid[0].shape[-1])
    if len(skeleton.outline) > 2:
        outline = list(skeleton.outline)
        cover, share = cover_body(points[:, outline], opacity[:, outline], grid)
        _lay(layer, cover * (BODY_OPACITY * share)[:, None, None], look.bodies[animal])
    for edge, (start, stop) in enumerate(skeleton.edges):
        share = torch.minimum(opacity[:, start], opacity[:, stop])[:, None, None]
        cover = cover_capsule(*grid, corner_of(points, start), corner_of(points, stop), radii[1])
        _lay(layer, cover * share, look.limbs[animal, edge])
    for point in look.order:
        cover = cover_disc(*grid, corner_of(points, point), radii[0])
        _lay(layer, cover * opacity[:, point, None, None], look.points[animal, point])
    return layer


def cover_body(
    corners: Tensor, opacity: Tensor, grid: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Coverage (B, H, W) of the polygons whose corners are seen, and their opacity (B,).

    Args:
        corners: (B, C, 2) round the body.
        opacity: (B, C); 0 where a corner is not seen. With fewer than three there is no body.
        grid: x and y of the pixels.
    """
    seen = opacity > 0  # (B, C)
    last = _last_seen(seen)
    squeezed = torch.gather(corners, 1, last[..., None].expand(-1, -1, 2))
    cover = cover_polygon(
        *grid, [corner_of(squeezed, corner) for corner in range(corners.shape[1])]
    )
    enough = seen.sum(dim=1) > 2
    share = opacity.masked_fill(~seen, 1.0).amin(dim=1)
    return cover, torch.where(enough, share, torch.zeros_like(share))


def _last_seen(seen: Tensor) -> Tensor:
    """(B, C) of the corner itself or the seen one before it, round the body: edges of no length."""
    count = seen.shape[1]
    order = torch.arange(count, device=seen.device).repeat(2)
    marked = torch.where(seen.repeat(1, 2), torch.arange(2 * count, device=seen.device), -1)
    return order[marked.cummax(dim=1).values.clamp(min=0)][:, count:]


def corner_of(points: Tensor, point: int) -> tuple[Tensor, Tensor]:
    """x and y, each (B, 1, 1), of one of the points (B, P, 2)."""
    return points[:, point, 0, None, None], points[:, point, 1, None, None]


def _lay(layer: Tensor, cover: Tensor, color: np.ndarray) -> None:
    """Lay a color over (B, 4, H, W), where `cover` (B, H, W) says how much."""
    paint = torch.tensor([*color.tolist(), 1.0], device=layer.device, dtype=layer.dtype)
    layer += cover[:, None] * (paint[:, None, None] - layer)
