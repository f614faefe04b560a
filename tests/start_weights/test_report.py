"""The report on start weights: long, short, and as a table."""

from __future__ import annotations

import torch

from pixelethogram.start_weights.report import StartReport, shorten, table_rows

REPORT = StartReport(
    source="weights.pth",
    kind="state dict",
    network="resnet18",
    sha256="ab12",
    matched=("a", "b"),
    adapted={"c": "3 -> 20 channels"},
    new=("d",),
    ignored=("e", "f", "g"),
    shares=("features.model.spatial_view = deepethogram",),
    differs=("features.model.flow_weight = 1.5; this run has 1.0",),
    notes=("its outputs are taken for a, b",),
    reference={"a": torch.ones(2, 2)},
)


def test_results_hold_counts_and_the_names_of_adapted_tensors() -> None:
    assert REPORT.to_dict() == {
        "source": "weights.pth",
        "kind": "state dict",
        "network": "resnet18",
        "sha256": "ab12",
        "matched": 2,
        "adapted": {"c": "3 -> 20 channels"},
        "new": 1,
        "ignored": 3,
        "shares": ["features.model.spatial_view = deepethogram"],
        "differs": ["features.model.flow_weight = 1.5; this run has 1.0"],
        "notes": ["its outputs are taken for a, b"],
    }


def test_the_lists_hold_every_name() -> None:
    lists = REPORT.to_lists()
    assert [lists["matched"], lists["new"]] == [["a", "b"], ["d"]]
    assert lists["ignored"] == ["e", "f", "g"]
    assert lists["adapted"] == {"c": "3 -> 20 channels"}


def test_the_short_form_says_what_was_adapted_and_what_differs() -> None:
    assert REPORT.to_lines() == [
        "start weights: weights.pth (state dict, resnet18): 2 tensors matched, 1 adapted, 1 new, "
        "3 ignored",
        "  adapted: c (3 -> 20 channels)",
        "  used as they were trained: features.model.spatial_view = deepethogram",
        "  note: the start weights were trained with features.model.flow_weight = 1.5; this run "
        "has 1.0",
        "  note: its outputs are taken for a, b",
    ]


def test_without_start_weights_nothing_is_said() -> None:
    assert StartReport(new=("a", "b")).to_lines() == []


def test_many_adapted_tensors_are_counted() -> None:
    assert shorten({f"conv{number}": "3 frames" for number in range(36)}) == (
        "conv0 (3 frames), conv1 (3 frames), conv2 (3 frames) and 33 more"
    )


def test_a_table_is_made_of_what_the_results_hold() -> None:
    assert table_rows(REPORT.to_dict()) == [
        ["matched", 2, ""],
        ["adapted", 1, "c (3 -> 20 channels)"],
        ["new", 1, ""],
        ["ignored", 3, ""],
    ]
