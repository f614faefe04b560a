"""Which device computes, in which number format, and how much memory it has."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import torch
from torch import nn

from pixelethogram.config import Precision
from pixelethogram.errors import ResourceError, UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
MEMINFO = Path("/proc/meminfo")


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memory that a device works in, in bytes."""

    total: int
    free: int
    """What a program can still get; all of it where the system does not say."""


def choose_precision(wanted: Precision, device: str, learning: nn.Module | None = None) -> str:
    """The number format that a device runs well: fp32, bf16 or fp16.

    `auto` takes bf16 on CUDA and on CPUs with instructions for it (AMX, AVX-512 BF16), else fp32.
    On a CPU networks with 3-D convolutions learn in fp32: in bf16 the gradients of some of them
    hold memory that was never written (seen with torch 2.15, two frames deep, 3 x 3 x 3 kernels).

    Args:
        wanted: The setting.
        device: cpu, cuda or mps.
        learning: The network, where it is to be trained.
    """
    if wanted != "auto":
        return wanted
    if device == "cpu" and learning is not None and _has_3d_convolutions(learning):
        return "fp32"
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bf16"
    return "fp32"


def _has_3d_convolutions(network: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv3d) for module in network.modules())


def choose_device(wanted: str = "auto") -> str:
    """cuda, mps or cpu: the fastest that is there, or the one asked for.

    Raises:
        UsageError: There is no such kind of device.
        ResourceError: This machine has none.
    """
    if wanted not in DEVICES:
        raise UsageError(f'"{wanted}" is not a device', do=f"choose one of {', '.join(DEVICES)}")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(wanted, True):
        raise ResourceError(
            f"there is no {wanted} device",
            why="this machine has none, or torch was installed without it",
            do="leave --device away, or see: pixelethogram doctor",
        )
    if wanted != "auto":
        return wanted
    return next((name for name, found in there.items() if found), "cpu")


def machine_memory(device: str) -> Memory | None:
    """Memory of the GPU for cuda, else of the machine; None where the system does not say."""
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        return Memory(total, free)
    if MEMINFO.is_file():  # Linux
        kilobytes = dict(re.findall(r"(\w+): +(\d+) kB", MEMINFO.read_text()))
        return Memory(*(1024 * int(kilobytes[name]) for name in ("MemTotal", "MemAvailable")))
    if not hasattr(os, "sysconf"):  # Windows
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Memory(total, total)
