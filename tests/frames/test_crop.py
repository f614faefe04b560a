"""Crops follow what moves, and are true parts of their clips."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelethogram.frames.crop import crop_to_motion


def numbered_clips(batch: int, height: int, width: int) -> torch.Tensor:
    """Clips whose pixels tell their own row and column; nothing moves."""
    rows = torch.arange(height)[:, None].expand(height, width) / 1000
    columns = torch.arange(width)[None].expand(height, width) / 1000
    frame = torch.stack([rows, columns, torch.zeros(height, width)])
    return frame[None, :, None].repeat(batch, 1, 4, 1, 1)


def corner_of(crops: torch.Tensor) -> list[tuple[int, int]]:
    return [(round(float(c[0, 0, 0, 0]) * 1000), round(float(c[1, 0, 0, 0]) * 1000)) for c in crops]


@given(height=st.integers(32, 130), width=st.integers(32, 130), share=st.floats(0.1, 1))
def test_a_crop_is_a_rectangle_of_its_clip(height: int, width: int, share: float) -> None:
    clips = numbered_clips(2, height, width)
    crops = crop_to_motion(clips, share)
    h, w = crops.shape[-2:]
    assert crops.shape[:3] == clips.shape[:3]
    assert 32 <= h <= height
    assert 32 <= w <= width
    for clip, crop, (y, x) in zip(clips, crops, corner_of(crops), strict=True):
        assert torch.equal(crop, clip[..., y : y + h, x : x + w])


def test_everything_is_kept_with_a_share_of_one() -> None:
    clips = numbered_clips(2, 50, 70)
    assert crop_to_motion(clips, 1.0) is clips


def test_half_of_256_is_128() -> None:
    assert crop_to_motion(torch.rand(1, 3, 3, 256, 192), 0.5).shape == (1, 3, 3, 128, 96)


def test_crops_show_the_one_thing_that_moves_far_more_often_than_by_chance() -> None:
    torch.manual_seed(0)
    clips = numbered_clips(200, 128, 128)
    clips[:, 2, 1::2, 100:106, 20:26] = 1.0  # it flickers
    crops = crop_to_motion(clips, 0.5)
    shown = (crops[:, 2].amax(dim=(1, 2, 3)) == 1).float().mean()
    assert shown >= 0.75
    still = crop_to_motion(numbered_clips(200, 128, 128), 0.5)
    by_chance = [y <= 100 < y + 64 and x <= 20 < x + 64 for y, x in corner_of(still)]
    assert sum(by_chance) / 200 < 0.5


def test_every_place_can_be_drawn() -> None:
    torch.manual_seed(0)
    corners = corner_of(crop_to_motion(numbered_clips(4000, 40, 44), 0.8))
    assert {y for y, _ in corners} == set(range(9))
    assert {x for _, x in corners} == set(range(13))


def test_camera_noise_does_not_attract_crops() -> None:
    torch.manual_seed(0)
    clips = numbered_clips(400, 96, 96)
    clips[:, :, 1::2, :32] += 3 / 255
    corners = corner_of(crop_to_motion(clips, 0.34))
    assert sum(y < 16 for y, _ in corners) / 400 == pytest.approx(16 / 72, abs=0.08)
