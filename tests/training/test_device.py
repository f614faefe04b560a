"""Choosing the device and its number format, and asking for its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pixelethogram.errors import ResourceError, UsageError
from pixelethogram.training import device
from pixelethogram.training.device import (
    Memory,
    choose_device,
    choose_inference_precision,
    choose_precision,
    count_workers,
    full_fp32,
    list_devices,
    machine_memory,
)


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


def test_networks_with_3d_convolutions_learn_in_full_precision_on_a_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    deep = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 3))
    assert choose_precision("auto", "cpu", deep) == "fp32"
    assert choose_precision("auto", "cpu", torch.nn.Conv2d(1, 1, 3)) == "bf16"
    assert choose_precision("bf16", "cpu", deep) == "bf16"
    assert choose_precision("auto", "cuda", deep) == "bf16"


@pytest.mark.parametrize(("supported", "chosen"), [(True, "bf16"), (False, "fp16")])
def test_auto_takes_half_precision_on_a_gpu(
    supported: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert choose_precision("auto", "cuda") == chosen


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (4, 3), (64, 8)])
def test_processes_that_read_clips_leave_a_core_to_the_one_that_learns(
    cores: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores), raising=False)
    assert count_workers("cuda:1") == count_workers("mps") == workers
    assert count_workers("cpu") == 0


@pytest.mark.parametrize("gpu", ["cuda", "cuda:1"])
def test_fp32_is_not_rounded_to_tf32_on_gpus(gpu: str) -> None:
    usual = torch.backends.cudnn.allow_tf32
    with full_fp32(gpu):
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.enabled
    with full_fp32("cpu"):
        assert torch.backends.cudnn.allow_tf32 == usual
    assert torch.backends.cudnn.allow_tf32 == usual


def test_apple_devices_stay_with_fp32() -> None:
    assert choose_precision("auto", "mps") == "fp32"


class TestMemory:
    def test_this_machine_has_some_and_less_is_free(self) -> None:
        memory = machine_memory("cpu")
        assert memory is not None
        assert 1e8 < memory.free <= memory.total

    def test_linux_says_what_is_still_to_be_had(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text(
            "MemTotal:       24714304 kB\nMemFree:         1000000 kB\n"
            "MemAvailable:   22000000 kB\nActive(anon):     123456 kB\nHugePages_Total:       0\n"
        )
        monkeypatch.setattr(device, "MEMINFO", meminfo)
        assert machine_memory("cpu") == Memory(24_714_304 * 1024, 22_000_000 * 1024)
        assert machine_memory("mps") == machine_memory("cpu")

    def test_where_only_the_total_is_known_all_of_it_counts_as_free(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(device, "MEMINFO", tmp_path / "nowhere")
        sizes = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
        monkeypatch.setattr(device.os, "sysconf", sizes.__getitem__, raising=False)
        assert machine_memory("mps") == Memory(4_096_000, 4_096_000)

    def test_a_system_that_says_nothing_is_not_guessed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(device, "MEMINFO", tmp_path / "nowhere")
        monkeypatch.delattr(device.os, "sysconf", raising=False)
        assert machine_memory("cpu") is None

    def test_for_cuda_the_gpu_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (3, 8))
        assert machine_memory("cuda") == Memory(total=8, free=3)


def test_one_of_several_gpus_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == "cuda:1"
    assert list_devices() == ["cuda:0", "cuda:1"]
    with pytest.raises(ResourceError, match="no cuda:2 device"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda:x", "cpu:1", "cuda:-1", "all"])
def test_a_number_that_means_no_gpu_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a device"):
        choose_device(name)


def test_without_a_gpu_there_is_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert list_devices() == ["cpu"]


def test_answers_on_a_gpu_are_in_fp16_unless_told_otherwise() -> None:
    assert choose_inference_precision("auto", "cuda:0") == "fp16"
    assert choose_inference_precision("fp32", "cuda") == "fp32"
    assert choose_inference_precision("auto", "cpu") == choose_precision("auto", "cpu")
