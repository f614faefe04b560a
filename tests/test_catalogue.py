"""The list of networks is complete, and its numbers are those that were computed for the papers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelethogram.catalogue import COLUMNS, UNKNOWN, Network, list_networks, shorten
from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.features.models import POSE_MODELS
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.flow.models import POSE_MODELS as POSE_FLOWS
from pixelethogram.sequence.models import MODELS as SEQUENCE_MODELS

TABLES = {
    "flow": {**FLOW_MODELS, **POSE_FLOWS},
    "features": {**FEATURES_MODELS, **POSE_MODELS},
    "sequence": SEQUENCE_MODELS,
}


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    return {network.name: network for network in list_networks()}


def test_every_network_of_every_table_is_there(networks: dict[str, Network]) -> None:
    listed = [(network.stage, network.name) for network in networks.values()]
    assert listed == [(stage, name) for stage, table in TABLES.items() for name in table]


@pytest.mark.parametrize(
    ("name", "parameters", "gigas"),
    [
        ("tiny_motionnet", 1_951_784, 16.70),
        ("pairwise_motionnet", 1_771_460, 10 * 10.59),  # ten pairs
        ("motionnet", 45_882_896, 29.02),
        ("motionnet_lite", 42_331_664, 26.19),
        ("tiny_motionnet_3d", 437_738, 40.49),
        ("resnet18", 22_411_466, 2.37 + 0.81),
        ("resnet50", 49_172_682, 5.34 + 1.55),
        ("resnet3d_34", 127_010_250, 51.33 + 10.98),
    ],
)
def test_numbers_of_networks_that_see_pictures(
    networks: dict[str, Network], name: str, parameters: int, gigas: float
) -> None:
    """Frames of 256 x 256 pixels, five behaviors."""
    assert networks[name].parameters == parameters
    assert (networks[name].multiply_adds or 0) / 1e9 == pytest.approx(gigas, rel=0.02)
    assert networks[name].frames == 11


@pytest.mark.parametrize(
    ("name", "parameters", "frames"),
    [
        ("linear", 5_125, 1),
        ("mlp_window", (31 * 1024 + 1) * 256 + 257 * 128 + 129 * 5, 31),
        ("lstm", 558_725, None),
        ("tgm", 264_964, 43),
        ("mstcn", 728_532, 4 * 2046 + 1),
        ("mstcn2", 925_972, 14139),
    ],
)
def test_numbers_of_sequence_models(
    networks: dict[str, Network], name: str, parameters: int, frames: int | None
) -> None:
    """1024 features, five behaviors; each weight of a layer is used once per frame."""
    assert (networks[name].parameters, networks[name].frames) == (parameters, frames)
    if name != "tgm":  # which shares its filters among the features
        assert networks[name].multiply_adds == pytest.approx(parameters, rel=0.02)


def test_a_network_from_a_file_has_no_numbers_of_its_own(networks: dict[str, Network]) -> None:
    external = networks["external"]
    assert (external.parameters, external.multiply_adds) == (None, None)
    assert external.to_row().count(UNKNOWN) == 2
    assert networks["keypoints"].frames == 121  # ± 60


def test_every_network_says_where_it_is_from(networks: dict[str, Network]) -> None:
    assert [network.name for network in networks.values() if not network.paper] == []


def test_rows_have_the_columns_and_are_read_by_people(networks: dict[str, Network]) -> None:
    assert {len(network.to_row()) for network in networks.values()} == {len(COLUMNS)}
    row = networks["tiny_motionnet"].to_row()
    assert row[:4] == ["tiny_motionnet", "1,951,784", "16.70 G", "11"]
    assert networks["asformer"].to_row()[3] == "all"


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7"), (999, "999"), (1000, "1.00 k"), (2.5e6, "2.50 M"), (105.87e9, "105.87 G")],
)
def test_large_numbers_get_a_unit(number: float, text: str) -> None:
    assert shorten(number) == text


def test_listing_leaves_torch_as_it_was(networks: dict[str, Network]) -> None:
    assert torch.empty(1).device.type == "cpu"
    assert not nn.Linear(2, 2).weight.is_meta
