"""Which tensors go where, how the others are adapted, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelethogram.errors import InputError
from pixelethogram.start_weights.fill import (
    Filling,
    adapt,
    fill,
    inflate_channels,
    inflate_time,
    plan_filling,
)


class Body(nn.Module):
    """Two layers of convolution and batch normalisation, and one more that others may not have."""

    def __init__(self, in_channels: int = 3, *, in_time: bool = False) -> None:
        super().__init__()
        convolution = nn.Conv3d if in_time else nn.Conv2d
        norm = nn.BatchNorm3d if in_time else nn.BatchNorm2d
        self.first = nn.Sequential(convolution(in_channels, 4, 3, bias=False), norm(4))
        self.second = nn.Sequential(convolution(4, 6, 3), norm(6))
        self.third = nn.Linear(6, 2, bias=False)


class Network(nn.Module):
    def __init__(self, body: Body, num_outputs: int = 2) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(2, num_outputs)


def tensors_of(body: Body, num_outputs: int = 2) -> dict[str, Tensor]:
    """State dict with values that fresh networks do not have."""
    state = Network(body, num_outputs).state_dict()
    return {
        name: torch.randn(value.shape) if value.ndim else value for name, value in state.items()
    }


def plan(network: nn.Module, tensors: Mapping[str, Tensor]) -> Filling:
    return plan_filling(
        network,
        tensors,
        bodies=["body"],
        heads=["head"],
        networks=("theirs", "ours"),
        where="file.pth",
    )


def without_counters(network: nn.Module) -> set[str]:
    return {name for name in network.state_dict() if "num_batches" not in name}


def test_equal_tensors_are_matched() -> None:
    network, tensors = Network(Body()), tensors_of(Body())
    planned = plan(network, tensors)
    assert set(planned.values) == without_counters(network)
    assert (planned.adapted, planned.new, planned.ignored) == ({}, (), ())
    fill(network, planned.values)
    state = network.state_dict()
    assert all(torch.equal(state[name], tensors[name]) for name in planned.values)


def test_a_plan_changes_nothing() -> None:
    network = Network(Body())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plan(network, tensors_of(Body()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_layer_that_the_file_does_not_have_stays_new() -> None:
    tensors = tensors_of(Body())
    del tensors["body.third.weight"]
    assert plan(Network(Body()), tensors).new == ("body.third.weight",)


def test_a_head_of_other_outputs_stays_new() -> None:
    planned = plan(Network(Body(), num_outputs=2), tensors_of(Body(), num_outputs=5))
    assert planned.new == ("head.weight", "head.bias")
    assert planned.ignored == ("head.weight", "head.bias")


def test_a_head_without_its_bias_stays_new_as_a_whole() -> None:
    tensors = tensors_of(Body())
    del tensors["head.bias"]
    assert plan(Network(Body()), tensors).new == ("head.weight", "head.bias")


def test_what_the_network_has_no_use_for_is_ignored() -> None:
    tensors = {**tensors_of(Body()), "body.fc.weight": torch.ones(3), "loss.scale": torch.ones(1)}
    assert plan(Network(Body()), tensors).ignored == ("body.fc.weight", "loss.scale")


def test_counters_may_be_missing_and_half_precision_becomes_single() -> None:
    tensors = {
        name: value.half() for name, value in tensors_of(Body()).items() if "num" not in name
    }
    network = Network(Body())
    reference = fill(network, plan(network, tensors).values)
    assert {value.dtype for value in reference.values()} == {torch.float32}
    assert network.body.first[0].weight.dtype == torch.float32


class TestRefusals:
    def refuse(self, tensors: Mapping[str, Tensor]) -> str:
        network = Network(Body())
        with pytest.raises(InputError, match="of another network") as caught:
            plan(network, tensors)
        return str(caught.value)

    def test_both_networks_and_the_first_differences_are_named(self) -> None:
        tensors = tensors_of(Body())
        tensors["body.second.0.weight"] = torch.ones(6, 4, 5, 5)
        tensors["body.second.1.bias"] = torch.ones(8)
        message = self.refuse(tensors)
        assert "(theirs) than this run's (ours): 10 of 12 tensors of body fit" in message
        assert "second.0.weight is (6, 4, 5, 5) there and (6, 4, 3, 3) here" in message
        assert "second.1.bias is (8,) there and (6,) here" in message
        assert "where: file.pth" in message

    def test_only_a_few_differences_are_named(self) -> None:
        tensors = {
            name: torch.cat([value, value]) if value.ndim else value
            for name, value in tensors_of(Body()).items()
        }
        message = self.refuse(tensors)
        assert message.count(" there and ") == 3
        assert "and 9 more" in message

    def test_a_layer_that_lacks_a_tensor(self) -> None:
        tensors = tensors_of(Body())
        del tensors["body.second.1.running_var"]
        assert "second.1.running_var is missing" in self.refuse(tensors)

    def test_a_layer_with_a_tensor_too_many(self) -> None:
        tensors = {**tensors_of(Body()), "body.second.2.weight": torch.ones(6)}
        assert "second.2.weight is one too many" in self.refuse(tensors)

    def test_less_than_half_of_the_tensors(self) -> None:
        tensors = {name: value for name, value in tensors_of(Body()).items() if ".first." in name}
        message = self.refuse(tensors)
        assert "5 of 12 tensors" in message
        assert "they have no layers second, third" in message

    def test_no_layer_in_common(self) -> None:
        message = self.refuse({"body.other.weight": torch.ones(3)})
        assert "they have no layers first, second, third" in message

    def test_other_channels_than_colors_are_not_made_up(self) -> None:
        assert "(4, 5, 3, 3) there" in self.refuse(tensors_of(Body(in_channels=5)))

    def test_only_the_first_convolution_had_colors(self) -> None:
        tensors = tensors_of(Body())
        tensors["body.second.0.weight"] = torch.ones(6, 3, 3, 3)
        assert "(6, 3, 3, 3) there" in self.refuse(tensors)


class TestAdapting:
    def test_colors_to_flow(self) -> None:
        network, tensors = Network(Body(in_channels=20)), tensors_of(Body())
        planned = plan(network, tensors)
        assert planned.adapted == {"body.first.0.weight": "3 -> 20 channels"}
        expected = tensors["body.first.0.weight"].mean(dim=1) * 3 / 20
        for channel in range(20):
            found = planned.values["body.first.0.weight"][:, channel]
            torch.testing.assert_close(found, expected)

    def test_images_to_volumes(self) -> None:
        planned = plan(Network(Body(in_time=True)), tensors_of(Body()))
        assert planned.adapted == {
            "body.first.0.weight": "3 frames",
            "body.second.0.weight": "3 frames",
        }

    def test_images_to_volumes_of_flow(self) -> None:
        planned = plan(Network(Body(in_channels=2, in_time=True)), tensors_of(Body()))
        assert planned.adapted["body.first.0.weight"] == "3 frames, 3 -> 2 channels"
        assert planned.values["body.first.0.weight"].shape == (4, 2, 3, 3, 3)

    def test_other_shapes_are_not_adapted(self) -> None:
        assert adapt(torch.ones(4, 3, 3, 3), (4, 20, 5, 5), first=True) is None
        assert adapt(torch.ones(4, 3, 3, 3), (4, 20, 3, 3), first=False) is None
        assert adapt(torch.ones(4, 3, 3, 3, 3), (4, 3, 3, 3), first=True) is None
        assert adapt(torch.ones(3), (4,), first=True) is None

    @pytest.mark.parametrize("channels", [1, 2, 20])
    def test_a_grey_input_is_answered_as_before(self, channels: int) -> None:
        weight, grey = torch.randn(4, 3, 3, 3), torch.rand(2, 1, 9, 9)
        expected = F.conv2d(grey.expand(-1, 3, -1, -1), weight)
        found = F.conv2d(grey.expand(-1, channels, -1, -1), inflate_channels(weight, channels))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("length", [1, 2, 7])
    def test_a_still_video_is_answered_as_its_image(self, length: int) -> None:
        weight, image = torch.randn(4, 3, 3, 3), torch.rand(2, 3, 9, 9)
        video = image[:, :, None].expand(-1, -1, length + 2, -1, -1)
        found = F.conv3d(video, inflate_time(weight, length))
        expected = F.conv2d(image, weight)[:, :, None].expand_as(found)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


class TestReference:
    def test_it_holds_the_start_values_of_kernels_only(self) -> None:
        network = Network(Body(in_channels=20))
        planned = plan(network, tensors_of(Body()))
        reference = fill(network, planned.values)
        assert set(reference) == {
            "body.first.0.weight",  # adapted: its inflated values are the start
            "body.second.0.weight",
            "body.third.weight",
            "head.weight",
        }
        parameters = dict(network.named_parameters())
        assert all(torch.equal(start, parameters[name]) for name, start in reference.items())

    def test_new_tensors_have_none(self) -> None:
        network, tensors = Network(Body(), num_outputs=3), tensors_of(Body())
        del tensors["body.third.weight"]
        reference = fill(network, plan(network, tensors).values)
        assert not {"body.third.weight", "head.weight"} & set(reference)

    def test_it_stays_when_the_network_learns(self) -> None:
        network, tensors = Network(Body()), tensors_of(Body())
        reference = fill(network, plan(network, tensors).values)
        with torch.no_grad():
            network.body.third.weight.add_(1)
        assert torch.equal(reference["body.third.weight"], tensors["body.third.weight"])
