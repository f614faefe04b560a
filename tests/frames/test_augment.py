"""Random changes of clips: one draw per clip, exact where a closed form exists."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from torch import Tensor

from pixelethogram.frames.augment import build_augmentation, color_matrix, to_float

OFF = {
    "flip_horizontal": 0.0,
    "flip_vertical": 0.0,
    "rotation_degrees": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "hue": 0.0,
    "color_probability": 0.0,
    "grayscale": 0.0,
}


def augmentation(**changes: float) -> torch.nn.Module:
    return build_augmentation(**{**OFF, **changes})


def still_clips(batch: int = 4, length: int = 3, size: int = 16) -> Tensor:
    """Clips whose frames, and whose starts, are all the same picture."""
    return torch.rand(1, 3, 1, size, size).expand(batch, 3, length, size, size).contiguous()


EACH = {
    "flip": {"flip_horizontal": 0.5},
    "rotation": {"rotation_degrees": 10.0},
    "brightness": {"brightness": 0.25, "color_probability": 1.0},
    "contrast": {"contrast": 0.1, "color_probability": 1.0},
    "saturation": {"saturation": 0.1, "color_probability": 1.0},
    "hue": {"hue": 0.1, "color_probability": 1.0},
    "grayscale": {"grayscale": 0.5},
}


def test_bytes_become_numbers_between_zero_and_one() -> None:
    clips = torch.arange(2 * 3 * 4 * 5 * 3).remainder(256).to(torch.uint8).view(2, 3, 4, 5, 3)
    result = to_float(clips)
    assert result.shape == (2, 3, 3, 4, 5)
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    for clip, frame, row, column, color in ((0, 0, 0, 0, 0), (1, 2, 3, 4, 2), (0, 1, 2, 3, 1)):
        expected = clips[clip, frame, row, column, color].item() / 255
        assert result[clip, color, frame, row, column].item() == pytest.approx(expected)


@pytest.mark.parametrize("changes", [*EACH.values(), {}], ids=[*EACH, "none"])
def test_all_frames_of_a_clip_share_one_draw(changes: dict[str, float]) -> None:
    result = augmentation(**changes)(still_clips())
    assert torch.allclose(result, result[:, :, :1].expand_as(result), atol=1e-6)


@pytest.mark.parametrize("changes", EACH.values(), ids=EACH)
def test_clips_of_a_batch_have_their_own_draw(changes: dict[str, float]) -> None:
    result = augmentation(**changes)(still_clips(batch=16))
    assert (result - result[:1]).abs().amax(dim=(1, 2, 3, 4)).max() > 1e-3


def test_everything_off_changes_nothing() -> None:
    clips = torch.rand(2, 3, 3, 8, 9)
    assert torch.equal(augmentation()(clips), clips)


def test_a_certain_horizontal_flip_is_exact() -> None:
    clips = torch.rand(2, 3, 3, 8, 9)
    assert torch.equal(augmentation(flip_horizontal=1.0)(clips), clips.flip(-1))


def test_a_certain_vertical_flip_is_exact() -> None:
    clips = torch.rand(2, 3, 3, 8, 9)
    assert torch.equal(augmentation(flip_vertical=1.0)(clips), clips.flip(-2))


def test_about_half_of_the_clips_are_flipped() -> None:
    clips = still_clips(batch=400, length=1, size=4)
    result = augmentation(flip_horizontal=0.5)(clips)
    flipped = (result == clips.flip(-1)).all(dim=-1).all(dim=-1).all(dim=-1).all(dim=-1)
    assert 150 < flipped.sum() < 250


def test_rotation_leaves_no_blank_corners() -> None:
    result = augmentation(rotation_degrees=45.0)(torch.full((8, 3, 2, 32, 32), 0.5))
    assert torch.allclose(result, torch.tensor(0.5), atol=1e-5)


def test_rotation_turns_about_the_centre_by_at_most_the_given_angle() -> None:
    clips = torch.zeros(64, 3, 1, 65, 65)
    clips[:, :, :, 31:34, 51:54] = 1.0  # 20 pixels to the right of the centre
    result = augmentation(rotation_degrees=10.0)(clips)[:, 0, 0]
    positions = torch.arange(65.0) - 32
    mass = result.sum(dim=(1, 2))
    x = (result * positions).sum(dim=(1, 2)) / mass
    y = (result * positions[:, None]).sum(dim=(1, 2)) / mass
    assert torch.allclose(x.square() + y.square(), torch.tensor(400.0), rtol=0.02)
    degrees = torch.rad2deg(torch.atan2(y, x))
    assert degrees.abs().max() <= 10.5
    assert degrees.min() < -5
    assert degrees.max() > 5


def test_full_loss_of_color_gives_equal_channels_of_the_same_luma() -> None:
    clips = torch.rand(2, 3, 3, 8, 8)
    result = augmentation(grayscale=1.0)(clips)
    luma = 0.299 * clips[:, 0] + 0.587 * clips[:, 1] + 0.114 * clips[:, 2]
    for channel in range(3):
        assert torch.allclose(result[:, channel], luma, atol=1e-6)


def test_hue_saturation_and_loss_of_color_leave_grey_videos_alone() -> None:
    clips = torch.rand(4, 1, 3, 8, 8).expand(-1, 3, -1, -1, -1)
    changes = {"hue": 0.5, "saturation": 1.0, "color_probability": 1.0, "grayscale": 0.5}
    assert torch.allclose(augmentation(**changes)(clips), clips, atol=1e-6)


def test_color_changes_are_off_without_their_chance() -> None:
    clips = torch.rand(4, 3, 2, 8, 8)
    result = augmentation(brightness=0.5, hue=0.5, color_probability=0.0, grayscale=1e-9)(clips)
    assert torch.allclose(result, clips, atol=1e-6)


def test_values_stay_between_zero_and_one() -> None:
    changes = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "color_probability": 1.0}
    result = augmentation(hue=0.5, rotation_degrees=30.0, **changes)(torch.rand(16, 3, 2, 16, 16))
    assert result.min() >= 0
    assert result.max() <= 1
    assert (result == 1).any()  # otherwise the bound was not tested


def test_default_changes_work_under_autocast_and_need_no_gradient() -> None:
    clips = torch.rand(2, 3, 5, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        result = build_augmentation()(clips)
    assert result.dtype == torch.float32
    assert not result.requires_grad


def test_the_same_seed_draws_the_same_changes() -> None:
    clips, module = torch.rand(4, 3, 3, 16, 16), build_augmentation()
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(module(clips))
    assert torch.equal(*results)


def apply(color: tuple[float, float, float], **changes: float) -> np.ndarray:
    factors = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0, **changes}
    matrix, offset = color_matrix(**{key: torch.tensor([value]) for key, value in factors.items()})
    return (matrix[0] @ torch.tensor(color) + offset[0, 0]).numpy()


def test_brightness_scales_and_contrast_scales_around_middle_grey() -> None:
    np.testing.assert_allclose(apply((0.2, 0.4, 0.6), brightness=1.5), (0.3, 0.6, 0.9), atol=1e-6)
    np.testing.assert_allclose(apply((0.2, 0.5, 0.6), contrast=0.5), (0.35, 0.5, 0.55), atol=1e-6)
    both = apply((0.2, 0.2, 0.2), brightness=2.0, contrast=0.5)
    np.testing.assert_allclose(both, 0.45, atol=1e-6)


def test_saturation_keeps_the_luma() -> None:
    color = (0.9, 0.3, 0.1)
    luma = np.dot((0.299, 0.587, 0.114), color)
    half = apply(color, saturation=0.5)
    np.testing.assert_allclose(half, (np.array(color) + luma) / 2, atol=1e-6)


@pytest.mark.parametrize("thirds", [0, 1, 2])
def test_a_third_of_the_color_circle_is_the_next_primary(thirds: int) -> None:
    color = (0.9, 0.3, 0.1)
    h, s, v = colorsys.rgb_to_hsv(*color)
    expected = colorsys.hsv_to_rgb(h + thirds / 3, s, v)
    np.testing.assert_allclose(apply(color, hue=thirds / 3), expected, atol=1e-6)


def test_a_small_turn_of_hue_goes_the_same_way_as_in_hsv() -> None:
    color = (0.8, 0.4, 0.4)
    before = colorsys.rgb_to_hsv(*color)[0]
    after = colorsys.rgb_to_hsv(*apply(color, hue=0.1).tolist())[0]
    assert after - before == pytest.approx(0.1, abs=0.02)
