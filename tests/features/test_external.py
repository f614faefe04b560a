"""Networks from elsewhere: what they are shown, what learns, what is refused."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.models.external import HEADS, External, ExternalConfig

SMALL = {"height": 8, "width": 8}
NO_SCALING = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


class ColorMeans(nn.Module):
    """Mean of red, green and blue."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=[2, 3, 4])


class Moments(nn.Module):
    """Mean of every frame; needs time first, and 9 x 10 pixels."""

    def forward(self, clips: Tensor) -> Tensor:
        assert clips.size(3) == 9 and clips.size(4) == 10
        return clips.mean(dim=[2, 3, 4])


class Tokens(nn.Module):
    """Vectors of four places: not what is asked for."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=[2])


class Pair(nn.Module):
    """Two answers."""

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        return clips.mean(dim=[2, 3, 4]), clips


class Numbers(nn.Module):
    """No floating point."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=[2, 3, 4]).long()


class OneSum(nn.Module):
    """One vector for all clips."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=[2, 3, 4]).sum(dim=0, keepdim=True)


def write(module: nn.Module, folder: Path) -> str:
    path = folder / "encoder.pt"
    with warnings.catch_warnings():  # torch would rather have torch.export
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(path))
    return str(path)


def build(num_outputs: int = 2, clip_length: int = 5, **settings: Any) -> External:
    config = ExternalConfig(**{**SMALL, **settings})
    return config.build(nn.Identity(), num_outputs, (0, 0, 0), (1, 1, 1), clip_length=clip_length)


class TestWhatTheNetworkIsShown:
    def test_colors_are_scaled_as_it_knows_them(self, tmp_path: Path) -> None:
        colors = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.25, 0.125)}
        network = build(source=write(ColorMeans(), tmp_path), **colors)
        clips = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1, 1).expand(2, 3, 5, 8, 8)
        expected = torch.tensor([0.1 / 0.5, 0.2 / 0.25, 0.3 / 0.125]).expand(2, 3)
        assert torch.allclose(network.forward_features(clips), expected, atol=1e-5)

    def test_constant_colors_are_not_divided_by_nothing(self, tmp_path: Path) -> None:
        network = build(source=write(ColorMeans(), tmp_path), std=(0.0, 0.0, 0.0))
        assert network.forward_features(torch.rand(1, 3, 5, 8, 8)).isfinite().all()

    def test_size_and_layout_are_those_of_the_settings(self, tmp_path: Path) -> None:
        settings = {"height": 9, "width": 10, "layout": "time_first", **NO_SCALING}
        network = build(source=write(Moments(), tmp_path), **settings)
        time = torch.arange(5.0) / 10
        clips = time.view(1, 1, 5, 1, 1).expand(2, 3, 5, 32, 24)
        assert torch.allclose(network.forward_features(clips), time.expand(2, 5), atol=1e-5)

    def test_small_pictures_are_means_of_large_ones(self, tmp_path: Path) -> None:
        network = build(source=write(ColorMeans(), tmp_path), **NO_SCALING)
        clips = torch.rand(1, 3, 5, 64, 64)
        assert network.prepare(clips).shape == (1, 3, 5, 8, 8)
        assert network.prepare(clips).std() < 0.3 * clips.std()


class TestWhatLearns:
    def test_of_a_file_only_the_head(self, tmp_path: Path) -> None:
        network = build(source=write(ColorMeans(), tmp_path)).train()
        network(torch.rand(2, 3, 5, 8, 8)).sum().backward()
        assert network.phase_modules("spatial") == [network.head]
        assert dict(network.named_parameters()).keys() == {"head.weight", "head.bias"}
        assert network.load_start_weights() == {}

    def test_of_a_frozen_network_only_the_head(self, tmp_path: Path) -> None:
        network = build(source="r3d_18", frozen=True).train()
        assert not any(module.training for module in network.encoder.modules())
        assert network.head.training
        network(torch.rand(2, 3, 5, 8, 8)).sum().backward()
        assert all(parameter.grad is None for parameter in network.encoder.parameters())

    def test_it_can_be_copied_for_a_running_mean(self, tmp_path: Path) -> None:
        network = build(source=write(ColorMeans(), tmp_path))
        clips = torch.rand(2, 3, 5, 8, 8)
        assert torch.equal(copy.deepcopy(network)(clips), network(clips))

    def test_the_state_of_a_trained_head_belongs_to_its_file(self, tmp_path: Path) -> None:
        network = build(source=write(ColorMeans(), tmp_path))
        again = build(source=str(tmp_path / "encoder.pt"))
        again.load_state_dict(network.state_dict())
        assert torch.equal(again.head.weight, network.head.weight)
        (tmp_path / "other").mkdir()
        other = build(source=write(nn.Sequential(ColorMeans()), tmp_path / "other"))
        with pytest.raises(InputError, match="not the file that the network was trained with"):
            other.load_state_dict(network.state_dict())


class TestNamedNetworks:
    SIZES = {"r3d_18": 512, "mc3_18": 512, "r2plus1d_18": 512, "s3d": 1024, "swin3d_t": 768}

    @pytest.mark.parametrize("source", HEADS)
    def test_the_size_of_the_vector_is_found(self, source: str) -> None:
        num_features = self.SIZES[source]
        network = build(source=source, height=32, width=40, clip_length=11).eval()
        assert network.num_features == num_features
        assert network.forward_features(torch.rand(1, 3, 11, 24, 24)).shape == (1, num_features)

    def test_the_vector_is_what_the_last_layer_of_torchvision_sees(self, tmp_path: Path) -> None:
        whole = torchvision.models.video.r3d_18(num_classes=7).eval()
        torch.save(whole.state_dict(), tmp_path / "kinetics.pth")
        weights = str(tmp_path / "kinetics.pth")
        network = build(source="r3d_18", weights=weights, height=16, width=16)
        reference = network.load_start_weights()
        clips = torch.rand(2, 3, 5, 16, 16)
        features = network.eval().forward_features(clips)
        expected = whole(network.prepare(clips))
        assert torch.allclose(whole.fc(features), expected, atol=1e-5)

        own = dict(network.named_parameters())
        assert reference.keys() == {name for name in own if name.startswith("encoder.")}
        assert all(torch.equal(reference[name], own[name]) for name in reference)
        assert reference["encoder.stem.0.weight"] is not own["encoder.stem.0.weight"]

    def test_weights_of_another_network_are_refused(self, tmp_path: Path) -> None:
        torch.save(torchvision.models.video.mc3_18().state_dict(), tmp_path / "other.pth")
        network = build(source="r3d_18", weights=str(tmp_path / "other.pth"))
        with pytest.raises(InputError, match="of another network") as refusal:
            network.load_start_weights()
        assert "torchvision's r3d_18" in str(refusal.value.do)

    def test_random_weights_can_be_trained_but_not_frozen(self) -> None:
        assert build(source="r3d_18").load_start_weights() == {}
        with pytest.raises(UsageError, match="frozen and has random weights"):
            build(source="r3d_18", frozen=True).load_start_weights()

    def test_a_file_takes_no_further_weights(self, tmp_path: Path) -> None:
        torch.save({"a": torch.ones(1)}, tmp_path / "weights.pth")
        source = write(ColorMeans(), tmp_path)
        network = build(source=source, weights=str(tmp_path / "weights.pth"))
        with pytest.raises(InputError, match="brings its own weights"):
            network.load_start_weights()


class TestWhatIsRefused:
    def test_a_name_that_is_neither_a_network_nor_a_file(self) -> None:
        with pytest.raises(InputError, match="there is no file r3d_19") as refusal:
            build(source="r3d_19")
        assert "name of a network" in str(refusal.value.do)

    @pytest.mark.parametrize("module", [Tokens(), Pair(), Numbers(), OneSum()])
    def test_an_answer_that_is_no_vector_per_clip(self, module: nn.Module, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"gives no vectors for clips \(3, 3, 5, 8, 8\)") as no:
            build(source=write(module, tmp_path))
        assert "it gives" in str(no.value.why)

    def test_clips_that_the_network_does_not_take(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"does not take clips \(3, 3, 5, 8, 8\)") as refusal:
            build(source=write(Moments(), tmp_path))
        assert "features.model.height" in str(refusal.value.do)

    def test_a_program_for_one_clip_at_a_time(self, tmp_path: Path) -> None:
        program = torch.export.export(ColorMeans(), (torch.rand(1, 3, 5, 8, 8),))
        torch.export.save(program, tmp_path / "encoder.pt2")
        with pytest.raises(InputError, match="does not take clips") as refusal:
            build(source=str(tmp_path / "encoder.pt2"))
        assert "for any number of clips" in str(refusal.value.do)
