"""What is installed and what will work on this machine, in words."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

MIN_FREE_GB = 5.0
BROKEN_IMPORT = (ImportError, OSError, RuntimeError, AttributeError, ValueError)
"""What the import of a package of compiled code may raise when it does not fit the others."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: str
    advice: str = ""
    fatal: bool = False
    """Nothing works before this is mended."""


def examine() -> list[Finding]:
    """Look at everything the pipeline stands on; never raises."""
    return [examine_one() for examine_one in EXAMINATIONS]


def explain_torchvision(torch_version: str, torchvision_version: str, problem: str) -> str:
    """Why torchvision cannot be imported, and the command that mends it."""
    return (
        f"torchvision {torchvision_version} was made for another torch than {torch_version} "
        f"({problem}); install both in one command: "
        "pip install --upgrade --force-reinstall torch torchvision"
    )


def _python() -> Finding:
    good = sys.version_info >= (3, 10)
    advice = "" if good else "install Python 3.10 or newer"
    return Finding("python", platform.python_version(), advice, fatal=not good)


def _torch() -> Finding:
    try:
        import torch
    except BROKEN_IMPORT as error:
        return Finding(
            "torch",
            f"cannot be imported: {error}",
            "install both in one command: pip install torch torchvision",
            fatal=True,
        )
    return Finding("torch", torch.__version__)


def _torchvision() -> Finding:
    found = [_version("torch"), _version("torchvision")]
    try:
        import torchvision
    except BROKEN_IMPORT as error:
        return Finding(
            "torchvision",
            found[1],
            explain_torchvision(found[0], found[1], str(error)),
            fatal=True,
        )
    return Finding("torchvision", torchvision.__version__)


def _device() -> Finding:
    try:
        from pixelethogram.training.device import choose_device, choose_precision
    except BROKEN_IMPORT as error:
        return Finding("device", "unknown", f"mend torch first ({error})")
    device = choose_device()
    return Finding(
        "device", f"{device}, {choose_precision('auto', device)}", _advise_on_device(device)
    )


def _advise_on_device(device: str) -> str:
    if device != "cpu":
        return ""
    if shutil.which("nvidia-smi"):
        return (
            "there is an NVIDIA driver, but this torch does not use it: install torch and "
            "torchvision together from an index with CUDA wheels (README, Install)"
        )
    return "training is slow without a GPU: use --preset fast and small frames"


def _packages() -> Finding:
    names = ("kornia", "pytorch-lightning", "av", "opencv-python-headless", "h5py", "scikit-learn")
    missing = [name for name in names if _version(name) == "missing"]
    state = ", ".join(f"{name} {_version(name)}" for name in names)
    advice = f"pip install {' '.join(missing)}" if missing else ""
    return Finding("packages", state, advice, fatal=bool(missing))


def _memory() -> Finding:
    try:
        from pixelethogram.training.device import machine_memory
    except BROKEN_IMPORT as error:
        return Finding("memory", "unknown", f"mend torch first ({error})")
    memory = machine_memory("cpu")
    size = f"{memory.total / 1e9:.0f} GB" if memory else "unknown size"
    return Finding("memory", f"{size}, {os.cpu_count()} cores")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    advice = (
        "" if free >= MIN_FREE_GB else f"features and proxies need room; keep {MIN_FREE_GB:.0f} GB"
    )
    return Finding("free disk here", f"{free:.0f} GB", advice)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


EXAMINATIONS: tuple[Callable[[], Finding], ...] = (
    _python,
    _torch,
    _torchvision,
    _packages,
    _device,
    _memory,
    _disk,
)
