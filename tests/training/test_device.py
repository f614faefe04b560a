"""Choosing the device and its number format."""

from __future__ import annotations

import pytest
import torch

from pixelethogram.errors import ResourceError, UsageError
from pixelethogram.training.device import choose_device, choose_precision


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(False, False, "cpu"), (False, True, "mps"), (True, True, "cuda")],
)
def test_auto_takes_the_fastest_that_is_there(
    cuda: bool, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device() == chosen
    assert choose_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch)
    with pytest.raises(ResourceError, match="no cuda device"):
        choose_device("cuda")


def test_an_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="cpu, cuda, mps"):
        choose_device("gpu")


@pytest.mark.parametrize("wanted", ["fp32", "bf16", "fp16"])
def test_a_number_format_that_was_asked_for_is_taken(wanted: str) -> None:
    assert choose_precision(wanted, "cpu") == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(("supported", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_on_processors_built_for_it(
    supported: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    assert choose_precision("auto", "cpu") == chosen


@pytest.mark.parametrize(("supported", "chosen"), [(True, "bf16"), (False, "fp16")])
def test_auto_takes_half_precision_on_a_gpu(
    supported: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert choose_precision("auto", "cuda") == chosen


def test_apple_devices_stay_with_fp32() -> None:
    assert choose_precision("auto", "mps") == "fp32"
