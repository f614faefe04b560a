"""Which device computes, and in which number format."""

from __future__ import annotations

import torch

from pixelethogram.config import Precision
from pixelethogram.errors import ResourceError, UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_precision(wanted: Precision, device: str) -> str:
    """The number format that a device runs well: fp32, bf16 or fp16.

    `auto` takes bf16 on CUDA and on CPUs with instructions for it (AMX, AVX-512 BF16), else fp32.
    """
    if wanted != "auto":
        return wanted
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bf16"
    return "fp32"


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
