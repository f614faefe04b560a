"""Presets: what they hold, how large they are, and that each goes all the way from end to end."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer.main

from pixelethogram import cli
from pixelethogram.config import Config
from pixelethogram.config_layers import load_config, preset_names
from pixelethogram.ethogram.ethogram import read_csv
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.project import Project
from pixelethogram.runs import STAGES, find_runs

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
NUM_OUTPUTS = 5
PARAMETERS = {"fast": 24_363_250, "medium": 95_055_578, "slow": 127_447_988}  # flow and features
PUBLISHED = {"fast": 24.5e6, "medium": 95.2e6, "slow": 127.6e6}  # with the sequence model
NETWORKS = {
    "fast": ("tiny_motionnet", "resnet18", "tgm"),
    "medium": ("motionnet", "resnet50", "tgm"),
    "slow": ("tiny_motionnet_3d", "resnet3d_34", "tgm"),
}
TINY = (
    *("frames.height=32", "frames.width=32", "flow.crop=1", "flow.model.width=0.1"),
    *("flow.train.steps=2", "flow.train.validate_every=2", "flow.validation_clips=2"),
    *("features.start_weights=none", "features.validation_frames=4", "features.precision=fp32"),
    *("features.phases.spatial=2", "features.phases.flow=2", "features.phases.joint=2"),
    *("sequence.train.steps=3", "sequence.train.validate_every=3", "sequence.window_frames=30"),
    *(f"{stage}.train.batch_size=2" for stage in STAGES),
    *(f"{stage}.train.ema_decay=0" for stage in STAGES),
    *(f"{stage}.train.precision=fp32" for stage in STAGES),
    "ethogram.chance_repetitions=2",
)


def count_parameters(config: Config) -> tuple[int, int]:
    """Of the flow network and both streams, and of the sequence model on their features."""
    zeros = (0.0, 0.0, 0.0)
    with torch.device("meta"):
        flow = config.flow.model.build()
        features = config.features.model.build(flow, NUM_OUTPUTS, zeros, zeros)
        assert isinstance(features, TwoStream)
        size = features.spatial.num_features + features.motion.num_features
        networks = features, config.sequence.model.build(size, NUM_OUTPUTS)
    seeing, sequence = (sum(p.numel() for p in network.parameters()) for network in networks)
    return seeing, sequence


def test_there_are_three() -> None:
    assert preset_names() == sorted(PARAMETERS)


@pytest.mark.parametrize("preset", PARAMETERS)
class TestPreset:
    def test_it_names_its_networks(self, preset: str) -> None:
        config = load_config(preset)
        names = (config.flow.model.name, config.features.model.name, config.sequence.model.name)
        assert names == NETWORKS[preset]

    def test_it_has_as_many_parameters_as_published(self, preset: str) -> None:
        seeing, sequence = count_parameters(load_config(preset))
        assert seeing == PARAMETERS[preset]
        assert seeing + sequence == pytest.approx(PUBLISHED[preset], rel=0.006)

    def test_its_header_says_the_networks_the_size_and_the_command(self, preset: str) -> None:
        lines = (CONFIGS / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()
        header = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
        assert header[0].startswith(f"{preset}: ")
        assert header[0].endswith(f"; {PARAMETERS[preset] // 10**6} M parameters.")
        assert header[-1] == f"pixelethogram train all PROJECT --preset {preset}"

    def test_it_holds_no_setting_that_is_the_default_anyway(self, preset: str) -> None:
        import yaml

        content = yaml.safe_load((CONFIGS / f"{preset}.yaml").read_text(encoding="utf-8"))
        default = Config().model_dump()
        given = [key for key in leaves(content) if not key.endswith("model.name")]
        assert [key for key in given if at(content, key) == at(default, key)] == []


def leaves(content: dict[str, Any], prefix: str = "") -> list[str]:
    """Keys of all values that are no sections."""
    found = []
    for name, value in content.items():
        key = f"{prefix}{name}"
        found += leaves(value, f"{key}.") if isinstance(value, dict) else [key]
    return found


def at(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return content


def test_the_help_of_train_names_every_preset() -> None:
    command = typer.main.get_command(cli.app).commands["train"]  # type: ignore[attr-defined]
    (option,) = [each for each in command.params if each.name == "preset"]
    words = option.help.replace(",", " ").replace(".", " ").split()
    assert set(preset_names()) <= set(words)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["medium", "slow"])
def test_a_killed_preset_goes_on_and_ends_with_ethograms(
    preset: str,
    make_toy_project: Callable[[Path], Project],
    run_child: Callable[[str], int],
    tmp_path: Path,
) -> None:
    project = make_toy_project(tmp_path / "my project")
    status = run_child(
        "from pathlib import Path\n"
        "from pixelethogram.config_layers import load_config\n"
        "from pixelethogram.pipeline import train_all\n"
        "from pixelethogram.project import Project\n"
        "from pixelethogram.stages import Job\n"
        f"config = load_config({preset!r}, {{}}, {TINY})\n"
        f"project = Project(Path({str(project.folder)!r}))\n"
        "train_all(Job(project, config, 'cpu', Killer('train features, flow', 2)))\n"
    )
    assert status == -signal.SIGKILL
    (flow,) = find_runs(project.runs, "flow")
    (broken,) = find_runs(project.runs, "features", finished=False)

    options = ["--preset", preset, *(word for each in TINY for word in ("--set", each))]
    command = ["-m", "pixelethogram", "train", "all", str(project.folder), *options]
    done = subprocess.run(
        [sys.executable, *command, "--device", "cpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    assert f"flow: run {flow.id} is up to date" in done.stdout
    assert f"going on with features run {broken.id}" in done.stdout
    assert "memory: features training needs" in done.stdout
    (sequence,) = find_runs(project.runs, "sequence")
    assert sequence.parent("features").id == broken.id
    names = [getattr(sequence.config, stage).model.name for stage in STAGES]
    assert tuple(names) == NETWORKS[preset]
    for video in project.videos():
        found = read_csv(video.ethogram_path, project.behaviors, 60, 30.0)
        assert np.isin(found.values, (0, 1)).all()
