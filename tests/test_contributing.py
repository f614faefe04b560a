"""CONTRIBUTING.md shows a network that works as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHECK = """
import torch
import pixelethogram
from pixelethogram import catalogue
from pixelethogram.config_layers import load_config

print(pixelethogram.__file__)
tables = (catalogue.FLOW_MODELS, catalogue.FEATURES_MODELS, catalogue.SEQUENCE_MODELS)
for table in (*tables, catalogue.POSE_MODELS, catalogue.POSE_FLOWS):
    for name in {*table} - {"average"}:  # the others take their time
        del table[name]
(network,) = catalogue.list_networks()
print(*network.to_row())
settings = load_config(overrides=["sequence.model={name: average, radius_frames: 1}"]).sequence
network = settings.model.build(4, 2)
print(settings.model.default_window_frames, settings.model.default_smoothness)
print(*network(torch.zeros(1, 7, 4), torch.ones(1, 7, dtype=torch.bool))[-1].shape)
"""


@pytest.mark.skipif(shutil.which("git") is None, reason="git applies the diff")
def test_the_diff_of_contributing_adds_a_network_that_builds_and_is_listed(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "pixelethogram",
        tmp_path / "pixelethogram",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (diff,) = re.findall(r"```diff\n(.*?)```", text, flags=re.DOTALL)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff.encode(), check=True)
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    origin, row, defaults, shape = done.stdout.splitlines()
    assert Path(origin).is_relative_to(tmp_path)
    assert row == "average 10,245 10.24 k 9 moving average"
    assert (defaults, shape) == ("180 0.0", "1 7 2")
