"""Tensors of files, runs and other programs under our names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError, UsageError
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Run, finish_run, start_run
from pixelethogram.start_weights.naming import (
    describe_network,
    name_features,
    name_flow,
    name_sequence,
)
from pixelethogram.start_weights.sources import open_source

SETTING = "features.start_weights"


def features(path: Path, *outputs: str) -> tuple[str, dict[str, Tensor]]:
    source = open_source(str(path), SETTING, "resnet18", SilentProgress())
    named = name_features(source, outputs, SETTING)
    return named.network, named.tensors


def flow(path: Path) -> tuple[str, dict[str, Tensor]]:
    source = open_source(str(path), "flow.start_weights", "tiny_motionnet", SilentProgress())
    named = name_flow(source, "flow.start_weights")
    return named.network, named.tensors


def head(tensors: dict[str, Tensor]) -> list[float]:
    return tensors["motion.head.bias"].tolist()


def write_run(
    folder: Path, stage: str, *, exclusive: bool = False, overrides: tuple[str, ...] = ()
) -> Run:
    """A run with heads of three rows, behaviors a, b, c (or a, b, none of them)."""
    run = start_run(
        folder,
        stage,  # type: ignore[arg-type]
        load_config(
            overrides=["features.model.name=resnet50", "flow.model.name=motionnet", *overrides]
        ),
        behaviors=("a", "b") if exclusive else ("a", "b", "c"),
        exclusive=exclusive,
        parents={},
        videos={},
        fingerprint="",
    )
    rows = torch.arange(3.0)
    tensors = {
        "features": {
            "spatial.backbone.conv1.weight": torch.ones(64, 3, 7, 7),
            "spatial.head.weight": rows[:, None].expand(-1, 512),
            "spatial.head.bias": rows,
            "motion.head.bias": rows,
            "flow.network.flow6.weight": torch.ones(2),
            "flow.mean": torch.ones(3),
        },
        "flow": {"network.flow6.weight": torch.ones(2), "mean": torch.ones(3)},
        "sequence": {"network.weight": torch.ones(2)},
    }
    finish_run(run, tensors[stage], {})
    return run


class TestFeatures:
    def test_a_lone_backbone_is_for_both_streams(self, write_resnet: Callable[..., Path]) -> None:
        network, tensors = features(write_resnet("resnet34"), "a")
        assert network == "resnet34"
        for stream in ("spatial", "motion"):
            assert tensors[f"{stream}.backbone.conv1.weight"].shape == (64, 3, 7, 7)
            assert f"{stream}.backbone.fc.bias" in tensors

    def test_a_whole_network_of_ours_keeps_its_names(self, tmp_path: Path) -> None:
        torch.save(
            {"spatial.backbone.conv1.weight": torch.ones(1), "motion.head.bias": torch.ones(2)},
            tmp_path / "weights.pt",
        )
        _, tensors = features(tmp_path / "weights.pt", "a")
        assert "spatial.backbone.conv1.weight" in tensors

    def test_heads_of_a_file_of_ours_may_be_of_any_behaviors(self, tmp_path: Path) -> None:
        torch.save(
            {"spatial.backbone.conv1.weight": torch.ones(1), "motion.head.bias": torch.ones(2)},
            tmp_path / "weights.pt",
        )
        _, tensors = features(tmp_path / "weights.pt", "a", "b")
        assert "motion.head.bias" not in tensors
        assert "motion.head.bias (of other behaviors)" in tensors

    def test_heads_of_a_run_are_put_in_the_order_of_our_behaviors(self, tmp_path: Path) -> None:
        run = write_run(tmp_path, "features")
        network, tensors = features(run.folder, "c", "a")
        assert network == "resnet50"
        assert head(tensors) == [2, 0]
        assert tensors["spatial.head.weight"][:, 0].tolist() == [2, 0]

    def test_heads_of_other_behaviors_get_a_name_that_fits_nothing(self, tmp_path: Path) -> None:
        _, tensors = features(write_run(tmp_path, "features").folder, "a", "new")
        assert "motion.head.bias" not in tensors
        assert "motion.head.bias (of other behaviors)" in tensors
        assert "spatial.backbone.conv1.weight" in tensors

    def test_none_of_them_is_the_background(self, tmp_path: Path) -> None:
        run = write_run(tmp_path, "features", exclusive=True)
        assert head(features(run.folder, "b", "a", "background")[1]) == [1, 0, 2]

    @pytest.mark.parametrize("stage", ["flow", "sequence"])
    def test_runs_of_other_stages_are_refused(self, tmp_path: Path, stage: str) -> None:
        run = write_run(tmp_path, stage)
        with pytest.raises(UsageError, match=f"is a {stage} run") as caught:
            features(run.folder, "a")
        assert "give the folder of a features run" in str(caught.value)


class TestExtractors:
    """Of DeepEthogram; their first output is the background."""

    def test_streams_and_heads(self, write_extractor: Callable[..., Path]) -> None:
        network, tensors = features(write_extractor(4, names=("background", "a", "b", "c")), "a")
        assert network == "resnet18"
        assert tensors["spatial.backbone.layer4.1.bn2.weight"].shape == (512,)
        assert tensors["motion.backbone.conv1.weight"].shape == (64, 20, 7, 7)
        assert head(tensors) == [1]

    def test_resnet50_has_a_layer_more(self, write_extractor: Callable[..., Path]) -> None:
        network, tensors = features(write_extractor(3, "resnet50"), "a", "b")
        assert network == "resnet50"
        assert tensors["spatial.compression.0.weight"].shape == (512, 2048)

    def test_behaviors_are_found_by_the_names_in_its_settings(
        self, write_extractor: Callable[..., Path]
    ) -> None:
        path = write_extractor(4, names=("background", "a", "b", "c"))
        assert head(features(path, "c", "b")[1]) == [3, 2]
        assert "motion.head.bias" not in features(path, "c", "new")[1]

    def test_without_its_settings_as_many_behaviors_are_the_same_ones(
        self, write_extractor: Callable[..., Path]
    ) -> None:
        path = write_extractor(4)
        assert head(features(path, "x", "y", "z")[1]) == [1, 2, 3]
        assert "motion.head.bias" not in features(path, "x", "y")[1]

    def test_what_was_only_assumed_is_noted(self, write_extractor: Callable[..., Path]) -> None:
        def notes(path: Path, *outputs: str) -> tuple[str, ...]:
            source = open_source(str(path), SETTING, "resnet18", SilentProgress())
            return name_features(source, outputs, SETTING).notes

        (note,) = notes(write_extractor(3), "x", "y")
        assert "taken for background, x, y, in this order" in note
        assert notes(write_extractor(3), "x") == ()
        assert notes(write_extractor(3, names=("background", "x", "y")), "x", "y") == ()

    def test_exclusive_projects_have_the_background_last(
        self, write_extractor: Callable[..., Path]
    ) -> None:
        assert head(features(write_extractor(3), "x", "y", "background")[1]) == [1, 2, 0]

    def test_a_flow_generator_is_refused(self, write_flow_generator: Callable[..., Path]) -> None:
        with pytest.raises(UsageError, match="is a flow generator") as caught:
            features(write_flow_generator(), "a")
        assert "give it as flow.start_weights" in str(caught.value)


class TestFlow:
    def test_a_run_of_ours(self, tmp_path: Path) -> None:
        network, tensors = flow(write_run(tmp_path, "flow").folder)
        assert network == "motionnet"
        assert set(tensors) == {"network.flow6.weight", "mean"}

    def test_the_flow_network_inside_a_features_run(self, tmp_path: Path) -> None:
        network, tensors = flow(write_run(tmp_path, "features").folder)
        assert network == "motionnet"
        assert set(tensors) == {"network.flow6.weight", "mean"}

    @pytest.mark.parametrize("prefix", ["", "network."])
    def test_a_file_of_ours_or_of_the_bare_network(self, tmp_path: Path, prefix: str) -> None:
        torch.save({f"{prefix}flow4.weight": torch.ones(1)}, tmp_path / "weights.pt")
        network, tensors = flow(tmp_path / "weights.pt")
        assert set(tensors) == {"network.flow4.weight"}
        assert network == "a network of flow4"

    def test_a_flow_generator_of_deepethogram(
        self, write_flow_generator: Callable[..., Path]
    ) -> None:
        network, tensors = flow(write_flow_generator())
        assert network == "tiny_motionnet"
        assert "network.up_flow3.bias" in tensors

    def test_the_flow_generator_inside_an_extractor(
        self, write_extractor: Callable[..., Path], write_flow_generator: Callable[..., Path]
    ) -> None:
        network, inside = flow(write_extractor(3))
        assert network == "tiny_motionnet"
        assert inside.keys() == flow(write_flow_generator())[1].keys()


class TestSequence:
    def open(self, path: Path, *outputs: str) -> dict[str, Tensor]:
        source = open_source(str(path), "sequence.start_weights", "tgm", SilentProgress())
        setting, mean = "sequence.start_weights", torch.zeros(6)
        return name_sequence(source, outputs, setting, mean, mean + 1).tensors

    @pytest.mark.parametrize("prefix", ["", "network."])
    def test_a_file_of_ours_or_of_the_bare_network(self, tmp_path: Path, prefix: str) -> None:
        torch.save({f"{prefix}direct.hidden.weight": torch.ones(1)}, tmp_path / "weights.pt")
        tensors = self.open(tmp_path / "weights.pt", "a", "b", "c")
        assert set(tensors) == {"network.direct.hidden.weight"}

    def test_a_run_of_the_same_behaviors(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path, "sequence").folder
        assert set(self.open(folder, "a", "b", "c")) == {"network.weight"}
        with pytest.raises(InputError, match="was trained for a, b, c, this project has b, a"):
            self.open(folder, "b", "a")

    def test_a_run_of_another_stage_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="is a flow run"):
            self.open(write_run(tmp_path, "flow").folder, "a", "b", "c")

    def test_an_ensemble_is_refused(self, tmp_path: Path) -> None:
        run = write_run(tmp_path, "sequence", overrides=("sequence.ensemble_folds=3",))
        with pytest.raises(UsageError, match="is an ensemble"):
            self.open(run.folder, "a", "b", "c")


class TestDescription:
    @pytest.mark.parametrize("architecture", ["resnet18", "resnet34", "resnet50"])
    def test_resnets_are_known(self, write_resnet: Callable[..., Path], architecture: str) -> None:
        tensors = torch.load(write_resnet(architecture), weights_only=True)
        assert describe_network(tensors) == architecture

    def test_the_ones_for_volumes_too(self, write_resnet: Callable[..., Path]) -> None:
        tensors = torch.load(write_resnet("resnet34"), weights_only=True)
        tensors["conv1.weight"] = torch.ones(64, 3, 7, 7, 7)
        assert describe_network(tensors) == "resnet3d_34"

    def test_others_are_told_by_their_first_layers(self) -> None:
        tensors = {f"part{number}.weight": torch.ones(1) for number in range(7)}
        assert describe_network(tensors) == "a network of part0, part1, part2, part3, part4, ..."
