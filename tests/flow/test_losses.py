"""The flow loss against closed forms, finite differences, reference vectors and moving textures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pixelethogram.flow.losses import (
    charbonnier,
    flow_loss,
    inside_picture,
    masked_mean,
    smoothness_penalty,
    structural_similarity,
    warp,
)
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNet


def constant_flow(x: float, y: float, height: int, width: int, dtype=torch.float32) -> Tensor:
    return torch.tensor([x, y], dtype=dtype)[None, :, None, None].expand(1, 2, height, width)


def waves(shift_x: float, shift_y: float, *, size: int, seed: int = 0) -> Tensor:
    """A smooth periodic picture (3, size, size) in [0, 1] whose content lies at +shift pixels."""
    return moving_clip(shift_x, shift_y, length=2, size=size, seed=seed)[:, 1]


def moving_clip(
    velocity_x: float, velocity_y: float, *, length: int, size: int, seed: int
) -> Tensor:
    """Clip (3, length, size, size) of a smooth periodic texture that drifts, pixels per frame."""
    random = torch.Generator().manual_seed(seed)
    frequency = torch.fft.fftfreq(size) * size
    radius = (frequency[:, None].square() + frequency.square()).sqrt()
    spectrum = torch.fft.fft2(torch.randn(3, 1, size, size, generator=random))
    spectrum = spectrum * ((radius > 0) & (radius <= size / 8))
    turn = -2 * math.pi / size * (frequency[:, None] * velocity_y + frequency * velocity_x)
    phase = turn * torch.arange(float(length))[:, None, None]
    frames = torch.fft.ifft2(spectrum * torch.polar(torch.ones_like(phase), phase)).real
    return (0.5 + 0.17 * frames / frames[:, :1].std()).clamp(0, 1)


def island_clip(velocity: int, *, length: int, size: int) -> Tensor:
    """A textured patch in an even field, moving right without ever meeting the edge."""
    rise = torch.linspace(-2, 2, size // 2).pow(8).neg().exp()
    patch = (waves(0, 0, size=size, seed=1) - 0.5)[:, : size // 2, : size // 2]
    picture = torch.full((3, size, size), 0.5)
    rows = slice(size // 4, size // 4 + size // 2)
    columns = slice(size // 4 - velocity, size // 4 - velocity + size // 2)
    picture[:, rows, columns] += patch * torch.outer(rise, rise)
    return torch.stack([picture.roll(velocity * t, dims=-1) for t in range(length)], dim=1)


class TestWarp:
    def test_no_flow_changes_nothing(self) -> None:
        images = torch.rand(2, 3, 24, 32)
        assert (warp(images, torch.zeros(2, 2, 24, 32)) - images).abs().max() <= 1e-6

    @pytest.mark.parametrize("shift", [-8, -3, -1, 1, 3, 8])
    @pytest.mark.parametrize("axis", ["x", "y"])
    def test_whole_pixel_shifts_are_exact(self, shift: int, axis: str) -> None:
        content = torch.rand(1, 3, 64, 64)
        current = content[..., 16:48, 16:48]
        moved = content.roll(shift, dims=-1 if axis == "x" else -2)[..., 16:48, 16:48]
        x, y = (shift, 0) if axis == "x" else (0, shift)
        for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-13)):
            back = warp(moved.to(dtype), constant_flow(x, y, 32, 32, dtype))
            error = (back - current.to(dtype))[..., 8:-8, 8:-8].abs().max()
            assert error <= tolerance

    def test_content_that_moves_right_has_positive_x(self) -> None:
        current, following = waves(0, 0, size=32)[None], waves(2, 0, size=32)[None]
        right, left, down = (
            (warp(following, constant_flow(x, y, 32, 32)) - current)[..., 4:-4, 4:-4].abs().mean()
            for x, y in ((2, 0), (-2, 0), (0, 2))
        )
        assert right < 1e-5
        assert left > 0.05
        assert down > 0.05

    def test_content_that_moves_down_has_positive_y(self) -> None:
        current, following = waves(0, 0, size=32)[None], waves(0, 2, size=32)[None]
        down = warp(following, constant_flow(0, 2, 32, 32))
        assert (down - current)[..., 4:-4, 4:-4].abs().max() < 1e-5

    def test_a_shift_of_eight_pixels_is_eight_pixels_of_flow(self) -> None:
        columns = torch.arange(32.0)
        ramp = (columns / 32)[None, None, None].expand(1, 1, 8, 32)
        moved = warp(ramp, constant_flow(8, 0, 8, 32))[0, 0, 4, :20] * 32
        scale = (moved - columns[:20]).mean() / 8
        assert scale.item() == pytest.approx(1.0, abs=1e-4)

    def test_half_a_pixel_is_the_mean_of_neighbors(self) -> None:
        images = torch.rand(1, 1, 6, 8)
        back = warp(images, constant_flow(0.5, 0, 6, 8))
        mean = (images[..., :-1] + images[..., 1:]) / 2
        assert torch.allclose(back[..., :-1], mean, atol=1e-6)

    def test_the_mask_is_off_exactly_where_the_source_lies_outside(self) -> None:
        inside = inside_picture(constant_flow(3, -2, 8, 10))[0, 0]
        expected = torch.zeros(8, 10, dtype=torch.bool)
        expected[2:, :7] = True
        assert torch.equal(inside, expected)

    def test_gradients_equal_finite_differences(self) -> None:
        images = torch.rand(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
        flow = (torch.rand(2, 2, 5, 6, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
        assert torch.autograd.gradcheck(warp, (images, flow))

    def test_it_equals_the_reference_after_undoing_its_scale(self, golden) -> None:
        with np.load(golden / "warp_resample2d.npz") as arrays:
            images, flow = torch.from_numpy(arrays["image_t1"]), torch.from_numpy(arrays["flow_px"])
            back = warp(images, reference_scale(flow))
            np.testing.assert_allclose(back, arrays["warped"], atol=1e-5)
            still = warp(images, torch.zeros_like(flow))
            np.testing.assert_allclose(still, arrays["warped_zero_flow"], atol=1e-5)


def reference_scale(flow: Tensor) -> Tensor:
    """The reference moves W/(W-1) pixels per pixel of flow; ours moves one."""
    height, width = flow.shape[-2:]
    factors = flow.new_tensor([width / (width - 1), height / (height - 1)])
    return flow * factors[:, None, None]


class TestCharbonnier:
    @pytest.mark.parametrize(
        ("power", "epsilon", "value", "expected"),
        [
            (0.4, 1e-4, 0.0, 6.30957e-4),
            (0.4, 1e-4, 0.001, 3.99695e-3),
            (0.4, 1e-4, 0.1, 0.158489),
            (0.4, 1e-4, 1.0, 1.0),
            (0.3, 1e-7, 0.0, 6.30957e-5),
            (0.3, 1e-7, 0.001, 0.0158489),
            (0.3, 1e-7, 0.1, 0.251189),
        ],
    )
    def test_values(self, power: float, epsilon: float, value: float, expected: float) -> None:
        result = charbonnier(torch.tensor(value), power, epsilon)
        assert result.item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize(("power", "epsilon", "bound"), [(0.4, 1e-4, 3.85), (0.3, 1e-7, 249)])
    def test_the_gradient_is_bounded(self, power: float, epsilon: float, bound: float) -> None:
        values = torch.logspace(-9, 1, 4000, dtype=torch.float64).requires_grad_()
        charbonnier(values, power, epsilon).sum().backward()
        assert values.grad.max().item() == pytest.approx(bound, rel=2e-3)

    def test_it_equals_the_reference(self, golden) -> None:
        with np.load(golden / "loss_charbonnier.npz") as arrays:
            x = torch.from_numpy(arrays["x"])
            for key, power, epsilon in (
                ("rho_alpha04_eps1e4", 0.4, 1e-4),
                ("rho_alpha03_eps1e7", 0.3, 1e-7),
            ):
                np.testing.assert_allclose(charbonnier(x, power, epsilon), arrays[key], rtol=1e-5)


class TestSmoothness:
    def test_a_flow_that_grows_along_x(self) -> None:
        slope = 0.25
        flow = torch.stack([slope * torch.arange(6.0).expand(4, 6), torch.zeros(4, 6)])[None]
        penalty = smoothness_penalty(flow)[0]
        flat, steep = 6.30957e-5, slope**0.6
        assert torch.allclose(penalty[0, :, :-1], torch.tensor(steep + flat), rtol=1e-4)
        assert torch.allclose(penalty[0, :, -1], torch.tensor(2 * flat), rtol=1e-4)
        assert torch.allclose(penalty[1], torch.tensor(2 * flat), rtol=1e-4)

    def test_it_equals_the_reference(self, golden) -> None:
        with np.load(golden / "loss_smoothness.npz") as arrays:
            penalty = smoothness_penalty(torch.from_numpy(arrays["flow"]))
            np.testing.assert_allclose(penalty, arrays["penalty"], rtol=1e-5)


class TestStructuralSimilarity:
    def test_the_same_picture_is_one(self) -> None:
        images = torch.rand(2, 3, 16, 20)
        assert torch.allclose(structural_similarity(images, images), torch.ones(1), atol=1e-6)

    @pytest.mark.parametrize(
        ("first", "second", "expected"), [(0.5, 0.6, 0.983609), (0.0, 1.0, 9.999e-5)]
    )
    def test_constant_pictures(self, first: float, second: float, expected: float) -> None:
        like = torch.ones(1, 1, 12, 12, dtype=torch.float64)
        result = structural_similarity(first * like, second * like)
        assert torch.allclose(result, expected * like, rtol=1e-4)

    def test_it_is_symmetric(self) -> None:
        first, second = torch.rand(2, 1, 3, 16, 16)
        assert torch.allclose(
            structural_similarity(first, second), structural_similarity(second, first), atol=1e-6
        )

    def test_it_equals_a_plain_convolution_with_reflection(self) -> None:
        first, second = torch.rand(2, 1, 1, 14, 17, dtype=torch.float64)
        line = torch.exp(-0.5 * (torch.arange(-5.0, 6.0, dtype=torch.float64) / 1.5) ** 2)
        window = torch.outer(line, line)[None, None] / line.sum() ** 2

        def blur(image: Tensor) -> Tensor:
            padded = torch.nn.functional.pad(image, (5, 5, 5, 5), mode="reflect")
            return torch.nn.functional.conv2d(padded, window)

        m1, m2 = blur(first), blur(second)
        v1, v2 = blur(first**2) - m1**2, blur(second**2) - m2**2
        covariance = blur(first * second) - m1 * m2
        expected = (2 * m1 * m2 + 1e-4) * (2 * covariance + 9e-4)
        expected = expected / ((m1**2 + m2**2 + 1e-4) * (v1 + v2 + 9e-4))
        assert torch.allclose(structural_similarity(first, second), expected, atol=1e-10)

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    def test_pictures_smaller_than_the_window_work(self, size: int) -> None:
        images = torch.rand(1, 3, size, size)
        assert torch.allclose(structural_similarity(images, images), torch.ones(1), atol=1e-6)

    def test_gradients_equal_finite_differences(self) -> None:
        first, second = torch.rand(2, 1, 1, 6, 7, dtype=torch.float64)
        assert torch.autograd.gradcheck(
            structural_similarity, (first.requires_grad_(), second.requires_grad_())
        )

    def test_it_equals_the_reference_with_zero_padding(self, golden) -> None:
        with np.load(golden / "loss_ssim.npz") as arrays:
            first, second = (torch.from_numpy(arrays[key]) for key in ("img1", "img2"))
            similarity = structural_similarity(first, second, padding="zero")
            np.testing.assert_allclose(1 - similarity, arrays["loss_map_used"], atol=1e-5)
            reflected = 1 - structural_similarity(first, second)
            interior = (..., slice(5, -5), slice(5, -5))
            np.testing.assert_allclose(
                reflected[interior], arrays["loss_map_used"][interior], atol=1e-5
            )


class TestMaskedMean:
    def test_only_marked_pixels_count(self) -> None:
        values = torch.tensor([[[[1.0, 100.0]]]])
        assert masked_mean(values, torch.tensor([[[[1.0, 0.0]]]])).item() == 1.0

    def test_nothing_marked_is_zero(self) -> None:
        assert masked_mean(torch.ones(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)).item() == 0.0


class TestFlowLoss:
    def perfect_flows(self) -> list[Tensor]:
        """Eight pixels to the right, on the three levels of clips of 3 x 64 x 64."""
        return [
            constant_flow(8 / divisor, 0, 64 // divisor, 64 // divisor)[:, :, None]
            .expand(-1, -1, 2, -1, -1)
            .clone()
            for divisor in (2, 4, 8)
        ]

    def test_a_perfect_flow_leaves_nothing_to_explain(self) -> None:
        clip = island_clip(8, length=3, size=64)[None]
        loss = flow_loss(clip, self.perfect_flows(), smoothness=(0, 0, 0))
        floor = 3 * 6.30957e-4
        assert loss.psnr_warp > 60
        assert loss.gain_db > 40
        assert loss.pixel.item() == pytest.approx(floor, rel=0.02)
        assert loss.ssim.item() == pytest.approx(0, abs=1e-3)
        assert loss.mean_flow.item() == pytest.approx(4)
        assert loss.inside.item() == pytest.approx(28 / 32)

    def test_the_mask_keeps_the_edge_out(self) -> None:
        clip, flows = moving_clip(8, 0, length=3, size=64, seed=1)[None], self.perfect_flows()
        masked, unmasked = (flow_loss(clip, flows, mask=mask) for mask in (True, False))
        assert unmasked.pixel > 3 * masked.pixel
        assert unmasked.psnr_warp < masked.psnr_warp - 20

    def test_no_flow_gains_nothing(self) -> None:
        clip = island_clip(8, length=3, size=64)[None]
        loss = flow_loss(clip, [torch.zeros_like(flow) for flow in self.perfect_flows()])
        assert loss.gain_db.item() == pytest.approx(0, abs=1e-4)
        assert loss.psnr_identity < 30

    def test_a_still_clip_has_a_finite_loss(self) -> None:
        flows = [torch.zeros(1, 2, 2, size, size, requires_grad=True) for size in (16, 8, 4)]
        loss = flow_loss(torch.full((1, 3, 3, 32, 32), 0.5), flows)
        loss.total.backward()
        assert torch.isfinite(loss.total)
        assert loss.gain_db.item() == pytest.approx(0, abs=1e-4)
        assert all(torch.isfinite(flow.grad).all() for flow in flows)

    def test_the_parts_sum_to_the_total_with_their_weights(self) -> None:
        clips = torch.rand(2, 3, 3, 32, 32)
        flows = [torch.randn(2, 2, 2, size, size) for size in (16, 8, 4)]
        plain = flow_loss(clips, flows, smoothness=(1, 1, 1))
        weighted = flow_loss(clips, flows, smoothness=(0.5, 0.5, 0.5), sparsity=0.1, ssim=3.0)
        assert weighted.ssim.item() == pytest.approx(3 * plain.ssim.item(), rel=1e-5)
        assert weighted.smoothness.item() == pytest.approx(plain.smoothness.item() / 2, rel=1e-5)
        parts = weighted.pixel + weighted.ssim + weighted.smoothness + weighted.sparsity
        assert weighted.total.item() == pytest.approx(parts.item(), rel=1e-6)

    def test_sparsity_is_the_mean_absolute_flow_of_every_level(self) -> None:
        flows = [
            constant_flow(x, y, size, size)[:, :, None].expand(-1, -1, 2, -1, -1).requires_grad_()
            for x, y, size in ((4, -2, 16), (2, -1, 8), (1, -0.5, 4))
        ]
        clips = torch.full((1, 3, 3, 32, 32), 0.5)
        loss = flow_loss(clips, flows, sparsity=0.05)
        assert loss.sparsity.item() == pytest.approx(0.05 * (3 + 1.5 + 0.75), rel=1e-6)
        more = loss.total - flow_loss(clips, flows).total
        (gradient,) = torch.autograd.grad(more, flows[:1])
        expected = 0.05 / flows[0].numel() * torch.tensor([1.0, -1.0])[:, None, None, None]
        torch.testing.assert_close(gradient, expected.expand_as(gradient), atol=1e-7, rtol=1e-4)

    def test_flow_costs_nothing_where_it_need_not_be_sparse(self) -> None:
        flows = [torch.randn(1, 2, 2, size, size) for size in (16, 8, 4)]
        assert flow_loss(torch.rand(1, 3, 3, 32, 32), flows).sparsity.item() == 0

    def test_every_pair_meets_its_own_frames(self) -> None:
        """Against a loop over clips and pairs, with a different flow for each."""
        clips = torch.rand(2, 3, 4, 16, 16)
        flows = [torch.randn(2, 2, 3, 16, 16)]
        expected = []
        for clip, flow in zip(clips, flows[0], strict=True):
            for pair in range(3):
                current, following = clip[None, :, pair], clip[None, :, pair + 1]
                back = warp(following, flow[None, :, pair])
                difference = charbonnier(current - back, 0.4, 1e-4).mean()
                dissimilarity = (1 - structural_similarity(current, back)).mean()
                smooth = 0.1 * smoothness_penalty(flow[None, :, pair]).mean()
                expected.append(difference + dissimilarity + smooth)
        loss = flow_loss(clips, flows, smoothness=(0.1,), mask=False)
        assert loss.total.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)

    def test_half_precision_flows_lose_nothing_under_autocast(self) -> None:
        clips = torch.rand(1, 3, 3, 32, 32)
        flows = [torch.randn(1, 2, 2, size, size).half() for size in (16, 8, 4)]
        expected = flow_loss(clips, [flow.float() for flow in flows]).total
        with torch.autocast("cpu", torch.bfloat16):
            total = flow_loss(clips, flows).total
        assert total.dtype == torch.float32
        assert total.item() == pytest.approx(expected.item(), rel=1e-3)

    def test_wrong_shapes_are_refused(self) -> None:
        clips, flow = torch.rand(1, 3, 3, 16, 16), torch.zeros(1, 2, 2, 8, 8)
        with pytest.raises(ValueError, match="1 flows, but 3"):
            flow_loss(clips, [flow])
        with pytest.raises(ValueError, match=r"\(1, 2, 3, 8, 8\)"):
            flow_loss(clips, [torch.zeros(1, 2, 3, 8, 8)], smoothness=(0.1,))

    @pytest.mark.parametrize("name", ["loss_motionnet_2d", "loss_motionnet_3d_sparse"])
    def test_the_parts_equal_the_reference_and_so_do_their_gradients(self, golden, name) -> None:
        arrays, clips, flows = read_reference(golden / f"{name}.npz")
        sums = dict.fromkeys(("L1_per_pair", "SSIM_per_pair", "smoothness_per_pair"), 0.0)
        if "sparsity_per_pair" in arrays:
            sums["sparsity_per_pair"] = 0.0
        images = clips.transpose(1, 2).flatten(0, 1)
        for flow, weight in zip(flows, arrays["smooth_weights"], strict=False):
            small = torch.nn.functional.interpolate(
                images, size=flow.shape[-2:], mode="bilinear", align_corners=False
            ).unflatten(0, (2, 11))
            current, following = small[:, :-1].flatten(0, 1), small[:, 1:].flatten(0, 1)
            pairs = flow.transpose(1, 2).flatten(0, 1)
            back = warp(following, reference_scale(pairs))
            similarity = structural_similarity(current, back, padding="zero")
            each_pair = (1, 2, 3)
            sums["L1_per_pair"] += charbonnier(current - back, 0.4, 1e-4).mean(each_pair)
            sums["SSIM_per_pair"] += (1 - similarity).mean(each_pair)
            sums["smoothness_per_pair"] += weight * smoothness_penalty(pairs).mean(each_pair)
            if "sparsity_per_pair" in sums:
                sums["sparsity_per_pair"] += 0.05 * pairs.abs().mean(each_pair)
        for key, values in sums.items():
            np.testing.assert_allclose(values.detach(), arrays[key], rtol=1e-4, atol=1e-5)
        total = torch.stack([values.mean() for values in sums.values()]).sum()
        np.testing.assert_allclose(total.detach(), arrays["loss"], rtol=1e-5)
        gradients = torch.autograd.grad(total, flows)
        for gradient, level in zip(gradients, (2, 3, 4), strict=True):
            expected = to_flow(arrays[f"grad_flow{level}"])
            np.testing.assert_allclose(gradient, expected, atol=1e-3 * expected.abs().max())

    @pytest.mark.parametrize(
        ("name", "factor", "sparsity"),
        [("loss_motionnet_2d", 1, 0), ("loss_motionnet_3d_sparse", 0.25, 0.05)],
    )
    def test_what_does_not_depend_on_the_warp_equals_the_reference(
        self, golden, name: str, factor: float, sparsity: float
    ) -> None:
        arrays, clips, flows = read_reference(golden / f"{name}.npz")
        weights = [factor * weight for weight in (0.01, 0.02, 0.04)]
        loss = flow_loss(clips, flows, smoothness=weights, sparsity=sparsity)
        smoothness = arrays["smoothness_per_pair"].mean().item()
        assert loss.smoothness.item() == pytest.approx(smoothness, rel=1e-5)
        if sparsity:
            expected = arrays["sparsity_per_pair"].mean().item()
            assert loss.sparsity.item() == pytest.approx(expected, rel=1e-5)


def read_reference(path: Path) -> tuple[dict[str, Tensor], Tensor, list[Tensor]]:
    """Stored values by name, clips (B, 3, L, H, W) in [0, 1], flows (B, 2, L-1, h, w)."""
    with np.load(path) as stored:
        arrays = {key: torch.from_numpy(stored[key]) for key in stored}
    clips = arrays["images"]
    if clips.ndim == 4:  # colors of all frames as channels
        clips = clips.unflatten(1, (11, 3)).transpose(1, 2)
    color = (slice(None), None, None, None)
    clips = (clips * arrays["std"][color] + arrays["mean"][color]).clamp(0, 1)
    return arrays, clips, [to_flow(arrays[f"flow{n}"]).requires_grad_() for n in (2, 3, 4)]


def to_flow(flow: Tensor) -> Tensor:
    """(B, 2, L-1, h, w), also of a flow whose pairs are channels (B, 2(L-1), h, w)."""
    return flow if flow.ndim == 5 else flow.unflatten(1, (10, 2)).transpose(1, 2)


def learn_translations(steps: int) -> tuple[float, float]:
    """Train a quarter-width network on drifting textures: (centre error in pixels, gain in dB)."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    network = TinyMotionNet(clip_length=5, width=0.25).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def batch(size: int, seed: int) -> tuple[Tensor, Tensor]:
        velocity = torch.rand(size, 2, generator=random) * 6 - 3
        clips = [
            moving_clip(x, y, length=5, size=48, seed=seed + n)
            for n, (x, y) in enumerate(velocity.tolist())
        ]
        return torch.stack(clips), velocity

    for step in range(steps):
        clips, _ = batch(4, seed=4 * step)
        optimizer.zero_grad()
        flow_loss(clips, network((clips - 0.5) / 0.17)).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    clips, velocity = batch(24, seed=1_000_000)
    with torch.no_grad():
        flows = network.eval()((clips - 0.5) / 0.17)
    centre = 2 * flows[0][..., 6:-6, 6:-6]  # pixels of the finest level are two pixels wide
    error = (centre - velocity[:, :, None, None, None]).norm(dim=1).mean()
    return error.item(), flow_loss(clips, flows).gain_db.item()


def test_a_small_network_learns_to_follow_textures() -> None:
    error, gain = learn_translations(200)
    assert error <= 1.4  # no flow at all has 2.3
    assert gain >= 4


@pytest.mark.slow
def test_a_small_network_follows_textures_closely() -> None:
    error, gain = learn_translations(1500)
    assert error <= 0.6
    assert gain >= 10
