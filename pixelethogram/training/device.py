"""Which device computes, in which number format, and how much memory it has."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from pathlib import Path

import torch
from torch import nn

from pixelethogram.config import Precision
from pixelethogram.errors import ResourceError, UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_WORKERS = 8
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
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bf16"
    return "fp32"


def choose_inference_precision(wanted: Precision, device: str) -> str:
    """The number format for networks that only answer: as `choose_precision`, but fp16 on CUDA.

    fp16 has eight times the resolution of bf16; its narrower range is what `Engine` looks after.
    """
    if wanted == "auto" and device.startswith("cuda"):
        return "fp16"
    return choose_precision(wanted, device)


def _has_3d_convolutions(network: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv3d) for module in network.modules())


def list_devices() -> list[str]:
    """Every CUDA GPU, or else the one device that there is."""
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or [choose_device()]


def choose_device(wanted: str = "auto") -> str:
    """cuda, mps or cpu: the fastest that is there, or the one asked for; also cuda:1.

    Raises:
        UsageError: There is no such kind of device.
        ResourceError: This machine has none.
    """
    kind, _, number = wanted.partition(":")
    if kind not in DEVICES or (number and not (kind == "cuda" and number.isdecimal())):
        raise UsageError(f'"{wanted}" is not a device', do=f"choose one of {', '.join(DEVICES)}")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    there["cuda"] = there["cuda"] and int(number or 0) < max(1, torch.cuda.device_count())
    if not there.get(kind, True):
        raise ResourceError(
            f"there is no {wanted} device",
            why="this machine has none, or torch was installed without it",
            do="leave --device away, or see: pixelethogram doctor",
        )
    if wanted != "auto":
        return wanted
    return next((name for name, found in there.items() if found), "cpu")


def full_fp32(device: str) -> contextlib.AbstractContextManager[None]:
    """While it lasts, a GPU does not round fp32 to the 10 bits of TF32 within convolutions."""
    if device.startswith("cuda"):
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return contextlib.nullcontext()


def count_workers(device: str) -> int:
    """How many processes read clips while a device learns.

    On a CPU none but the one that learns; beside a GPU one to eight, which leave it a core.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # a job may have fewer cores than the machine
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return 0 if device == "cpu" else max(1, min(MOST_WORKERS, cores - 1))


def machine_memory(device: str) -> Memory | None:
    """Memory of the GPU for cuda, else of the machine; None where the system does not say."""
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(device)
        return Memory(total, free)
    if MEMINFO.is_file():  # Linux
        kilobytes = dict(re.findall(r"(\w+): +(\d+) kB", MEMINFO.read_text()))
        return Memory(*(1024 * int(kilobytes[name]) for name in ("MemTotal", "MemAvailable")))
    if not hasattr(os, "sysconf"):  # Windows
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Memory(total, total)
