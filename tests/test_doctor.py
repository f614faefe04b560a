"""The doctor looks at everything, never fails itself, and says in words what to do."""

from __future__ import annotations

import builtins
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pixelethogram import doctor
from pixelethogram.doctor import EXAMINATIONS, Finding, examine, explain_torchvision


def find(subject: str) -> Finding:
    return next(finding for finding in examine() if finding.subject == subject)


@pytest.fixture
def break_import(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Exception], None]:
    """Make the import of a package fail as a broken installation does."""
    genuine = builtins.__import__

    def break_it(package: str, error: Exception) -> None:
        def fail(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.split(".")[0] == package:
                raise error
            return genuine(name, *args, **kwargs)

        monkeypatch.delitem(sys.modules, package, raising=False)
        monkeypatch.setattr(builtins, "__import__", fail)

    return break_it


def test_everything_is_looked_at_and_this_machine_is_fit() -> None:
    findings = examine()
    subjects = [finding.subject for finding in findings]
    assert subjects == [
        *("python", "torch", "torchvision", "packages", "device", "memory", "free disk here"),
    ]
    assert len(EXAMINATIONS) == len(findings)
    assert [finding for finding in findings if finding.fatal] == []
    assert all(finding.state for finding in findings)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("operator torchvision::nms does not exist"),
        ImportError("undefined symbol: _ZN3c10"),
        OSError("libtorch_cuda.so: cannot open shared object file"),
        AttributeError("partially initialized module 'torchvision' has no attribute 'extension'"),
    ],
)
def test_a_torchvision_made_for_another_torch_is_explained(
    break_import: Callable[[str, Exception], None],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    versions = {"torch": "2.6.0", "torchvision": "0.20.1"}
    monkeypatch.setattr(doctor, "version", lambda name: versions.get(name, "1.0"))
    break_import("torchvision", error)
    finding = find("torchvision")
    assert finding.fatal
    for part in ("0.20.1", "2.6.0", str(error), "another torch", "pip install", "one command"):
        assert part in finding.advice


def test_the_remedy_installs_both_together() -> None:
    assert explain_torchvision("2.6.0", "0.20.1", "x").endswith("torch torchvision")


def test_a_torch_that_cannot_be_imported_is_fatal_and_stops_no_other_examination(
    break_import: Callable[[str, Exception], None],
) -> None:
    break_import("torch", OSError("DLL load failed"))
    finding = find("torch")
    assert finding.fatal
    assert "DLL load failed" in finding.state
    assert "torch torchvision" in finding.advice
    assert len(examine()) == len(EXAMINATIONS)


@pytest.mark.parametrize("subject", ["device", "memory"])
def test_a_device_that_cannot_be_told_points_at_torch(
    break_import: Callable[[str, Exception], None], monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    monkeypatch.delitem(sys.modules, "pixelethogram.training.device", raising=False)
    break_import("torch", RuntimeError("broken"))
    finding = find(subject)
    assert finding.state == "unknown"
    assert "torch" in finding.advice


def test_memory_is_told_in_gigabytes_where_the_system_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pixelethogram.training import device

    monkeypatch.setattr(device, "machine_memory", lambda _: device.Memory(int(24.9e9), int(2e9)))
    assert find("memory").state.startswith("25 GB, ")
    monkeypatch.setattr(device, "machine_memory", lambda _: None)
    assert find("memory").state.startswith("unknown size, ")


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "av":
            raise doctor.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(doctor, "version", version)
    finding = find("packages")
    assert finding.fatal
    assert finding.advice == "pip install av"
    assert "av missing" in finding.state


def test_an_old_python_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 1))
    assert find("python").fatal
    assert "3.10" in find("python").advice


def test_little_room_on_the_disk_is_said_and_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    finding = find("free disk here")
    assert finding.state == "1 GB"
    assert "5 GB" in finding.advice
    assert not finding.fatal


def test_a_gpu_that_torch_does_not_use_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pixelethogram.training import device

    monkeypatch.setattr(device, "choose_device", lambda wanted="auto": "cpu")
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / name))
    assert "CUDA" in find("device").advice
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "--preset fast" in find("device").advice


def test_a_gpu_that_is_used_needs_no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    from pixelethogram.training import device

    monkeypatch.setattr(device, "choose_device", lambda wanted="auto": "mps")
    assert find("device").state.startswith("mps")
    assert find("device").advice == ""
