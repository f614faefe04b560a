"""Where start weights come from: a download, a file, a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from pixelethogram.config import Config
from pixelethogram.errors import InputError, ResourceError, UsageError
from pixelethogram.features.models import MODELS
from pixelethogram.progress import SilentProgress
from pixelethogram.runs import Run, finish_run, start_run
from pixelethogram.start_weights.sources import (
    DEEPETHOGRAM,
    IMAGENET,
    RUN,
    STATE_DICT,
    Source,
    open_source,
)

SETTING = "features.start_weights"


def open_(given: str | Path, network: str = "resnet18") -> Source:
    return open_source(str(given), SETTING, network, SilentProgress())


def write_run(folder: Path, *, finished: bool = True) -> Run:
    run = start_run(
        folder,
        "features",
        Config(),
        behaviors=("lick",),
        exclusive=False,
        parents={},
        videos={},
        fingerprint="",
    )
    if finished:
        finish_run(run, {"spatial.head.bias": torch.ones(1)}, {})
    return run


class Published:
    """Stands for torchvision's list of weights; the file lies in a folder of the test."""

    def __init__(self, url: str) -> None:
        self.IMAGENET1K_V1 = type("Entry", (), {"url": url})


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """``publish(path, digits)``: let that be torchvision's ResNet18; gives the cache's folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def publish_file(path: Path, digits: str | None = None) -> Path:
        digits = digits or hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        published = path.with_name(f"resnet18-{digits}.pth")
        if path.exists():
            path.rename(published)
        monkeypatch.setattr(torchvision.models, IMAGENET["resnet18"], Published(published.as_uri()))
        return tmp_path / "cache" / "hub" / "checkpoints"

    return publish_file


class TestDownload:
    def test_it_lies_in_the_cache_of_torch_afterwards(
        self, publish: Callable[..., Path], tmp_path: Path
    ) -> None:
        torch.save({"conv1.weight": torch.ones(2)}, tmp_path / "weights")
        cache = publish(tmp_path / "weights")
        source = open_("torchvision")
        (kept,) = cache.iterdir()
        assert source.path == kept
        assert source.kind == "ImageNet weights"
        assert torch.equal(source.tensors["conv1.weight"], torch.ones(2))
        assert kept.name == f"resnet18-{source.sha256[:8]}.pth"

    def test_the_second_time_needs_no_connection(
        self, publish: Callable[..., Path], tmp_path: Path
    ) -> None:
        torch.save({"conv1.weight": torch.ones(2)}, tmp_path / "weights")
        publish(tmp_path / "weights")
        open_("torchvision")
        next(tmp_path.glob("resnet18-*.pth")).unlink()
        assert "conv1.weight" in open_("torchvision").tensors

    def test_without_a_connection_it_says_what_to_do(
        self, publish: Callable[..., Path], tmp_path: Path
    ) -> None:
        publish(tmp_path / "nowhere", "12345678")
        with pytest.raises(ResourceError, match="could not be downloaded") as caught:
            open_("torchvision")
        assert f"set {SETTING} to the path of a file of weights, or to none" in str(caught.value)

    def test_a_wrong_hash_is_refused_and_not_kept(
        self, publish: Callable[..., Path], tmp_path: Path
    ) -> None:
        torch.save({"conv1.weight": torch.ones(2)}, tmp_path / "weights")
        cache = publish(tmp_path / "weights", "12345678")
        with pytest.raises(InputError, match="not what was published"):
            open_("torchvision")
        assert not cache.exists()

    def test_networks_that_torchvision_has_nothing_for(self) -> None:
        with pytest.raises(UsageError, match="no start weights for tiny_motionnet") as caught:
            open_("torchvision", "tiny_motionnet")
        assert "resnet18" in str(caught.value)

    @pytest.mark.parametrize("network", IMAGENET)
    def test_every_entry_is_a_network_of_ours_with_a_hash_in_its_address(
        self, network: str
    ) -> None:
        assert network in MODELS
        weights = getattr(torchvision.models, IMAGENET[network]).IMAGENET1K_V1
        digits = weights.url.rpartition("-")[2].removesuffix(".pth")
        assert len(digits) == 8
        assert int(digits, 16) > 0


class TestFile:
    def test_a_state_dict(self, write_resnet: Callable[..., Path]) -> None:
        path = write_resnet()
        source = open_(path)
        assert (source.path, source.kind) == (path, STATE_DICT)
        assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_checkpoints_of_deepethogram_are_recognised(
        self, write_extractor: Callable[..., Path], write_flow_generator: Callable[..., Path]
    ) -> None:
        assert open_(write_extractor(3)).kind == DEEPETHOGRAM
        assert open_(write_flow_generator()).kind == DEEPETHOGRAM

    def test_a_missing_one(self) -> None:
        with pytest.raises(InputError, match="no file nowhere.pth"):
            open_("nowhere.pth")


class TestRun:
    def test_its_weights(self, tmp_path: Path) -> None:
        run = write_run(tmp_path)
        source = open_(run.folder)
        assert source.kind == RUN
        assert source.run == run
        assert list(source.tensors) == ["spatial.head.bias"]
        assert source.sha256 == run.results["weights_sha256"]

    @pytest.mark.parametrize("kind", ["no run", "not finished"])
    def test_another_folder_is_refused(self, tmp_path: Path, kind: str) -> None:
        folder: Any = tmp_path
        if kind == "not finished":
            folder = write_run(tmp_path, finished=False).folder
        with pytest.raises(InputError, match="not the folder of a finished run") as caught:
            open_(folder)
        assert "PROJECT/runs/STAGE/ID" in str(caught.value)
