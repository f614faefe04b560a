"""Shared flow: slices hold the right pairs; the streams get them; one stride changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.features.shared_flow import cut_clips, cut_flow, take


class PairNumbers(nn.Module):
    """Flow (x, y) of a pair: the numbers of its two frames, which are their brightness."""

    def forward(self, clips: Tensor) -> list[Tensor]:
        numbers = clips[:, 0, :, ::2, ::2]
        return [torch.stack([numbers[:, :-1], numbers[:, 1:]], dim=1)]


class Probe(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.num_features, self.backbone = channels, nn.Identity()
        self.head = nn.Linear(channels, channels)
        nn.init.eye_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward_features(self, images: Tensor) -> Tensor:
        return images.flatten(2).mean(dim=2)

    def forward_head(self, features: Tensor) -> Tensor:
        return self.head(features)


def stretch(frame: int, offset: int, length: int) -> Tensor:
    """(1, 3, 2 L - 1, 4, 4) whose frames have their number as brightness."""
    first = frame - length // 2 - offset
    numbers = torch.arange(first, first + 2 * length - 1, dtype=torch.float32)
    return numbers.view(1, 1, -1, 1, 1).expand(1, 3, -1, 4, 4)


def network(length: int) -> TwoStream:
    motion = Probe(2 * (length - 1))
    return TwoStream(
        PairNumbers(), spatial=Probe(3), motion=motion, mean=(0.0,) * 3, std=(1.0,) * 3
    ).eval()


@pytest.mark.parametrize("length", [11, 6, 2])
def test_every_offset_gives_the_ten_pairs_around_the_frame(length: int) -> None:
    for offset in range(length - 1):
        clips, offsets = stretch(100, offset, length), torch.tensor([offset])
        flow = cut_flow(PairNumbers(), clips, offsets)
        assert flow.shape == (1, 2, length - 1, 2, 2)
        first = 100 - length // 2
        assert flow[0, 0, :, 0, 0].tolist() == list(range(first, first + length - 1))
        assert flow[0, 1, :, 0, 0].tolist() == list(range(first + 1, first + length))
        own = cut_clips(clips, offsets)
        assert own[0, 0, :, 0, 0].tolist() == list(range(first, first + length))


def test_the_flow_network_sees_two_clips_that_share_a_frame() -> None:
    seen: list[list[float]] = []

    def watch(clips: Tensor) -> list[Tensor]:
        seen.extend(clips[:, 0, :, 0, 0].tolist())
        return PairNumbers()(clips)

    cut_flow(watch, stretch(100, 3, 11), torch.tensor([3]))
    assert seen == [list(range(92, 103)), list(range(102, 113))]


def test_samples_have_offsets_of_their_own() -> None:
    values = torch.arange(10.0).view(1, 1, 10, 1, 1).expand(3, 2, 10, 1, 1)
    taken = take(values, torch.tensor([0, 3, 7]), 3)
    assert taken[:, 0, :, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [7, 8, 9]]


@pytest.mark.parametrize("offset", [0, 4, 9])
def test_each_phase_sees_what_it_would_see_of_the_clip(offset: int) -> None:
    """This flow network gives a pair the same flow at any place, so sharing changes nothing."""
    model, offsets = network(11), torch.tensor([offset])
    clips = stretch(100, offset, 11)
    own = cut_clips(clips, offsets)
    for phase in ("flow", "spatial"):
        shared = model.phase_logits(clips, phase, offsets)  # type: ignore[arg-type]
        assert torch.equal(shared, model.phase_logits(own, phase))  # type: ignore[arg-type]
    features = torch.cat([model.spatial_features(own), model.motion_features(own)], dim=1)
    assert model.motion_features(own)[0, :2].tolist() == [95, 96]
    model.motion.head = nn.Linear(20, 3)
    joint = model.phase_logits(clips, "joint", offsets)
    assert torch.equal(joint, model.forward_head(features))
    assert torch.equal(joint, model.phase_logits(own, "joint"))


def test_without_offsets_nothing_changed_bit_for_bit() -> None:
    model, clips = network(11), torch.rand(2, 3, 11, 8, 8)
    model.motion.head = nn.Linear(20, 3)
    assert torch.equal(model.phase_logits(clips, "joint"), model(clips))
    motion = model.motion.forward_head(model.motion_features(clips))
    assert torch.equal(model.phase_logits(clips, "flow"), motion)


def test_no_gradient_reaches_the_flow_network() -> None:
    model = network(11)
    model.flow = nn.Sequential(nn.Conv3d(3, 3, 1), PairNumbers()).requires_grad_(False)
    model.phase_logits(stretch(9, 2, 11), "flow", torch.tensor([2])).sum().backward()
    assert all(parameter.grad is None for parameter in model.flow.parameters())
