"""Extraction: a recording in, one feature vector per frame out, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.features.batches import BATCHES_AHEAD
from pixelethogram.features.extract import (
    Order,
    build_engine,
    extract_all,
    extract_to_file,
    plan_cutting,
)
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNetConfig
from pixelethogram.frames.augment import to_float
from pixelethogram.frames.clips import clip_indices
from pixelethogram.frames.resize import resize_frame
from pixelethogram.progress import SilentProgress
from pixelethogram.store import ArrayReader

ARRAYS = ("features", "logits", "spatial_logits", "flow_logits")
pytestmark = pytest.mark.usefixtures("small_streams")


def settings(*overrides: str) -> Config:
    tiny = (
        "frames.height=32",
        "frames.width=32",
        "flow.model.width=0.1",
        "features.precision=fp32",
    )
    return load_config(overrides=(*tiny, *overrides))


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    flow = FlowGenerator(TinyMotionNetConfig(width=0.1).build(), (0.5,) * 3, (0.2,) * 3)
    return settings().features.model.build(flow, 2, (0.5,) * 3, (0.2,) * 3).eval()


def extract(
    model: nn.Module, source: Any, path: Path, *overrides: str, progress: Any = None
) -> dict[str, np.ndarray]:
    """Extract to a file and read everything back."""
    num_frames = extract_to_file(
        model,
        source,
        settings(*overrides),
        path,
        {"run": "r1"},
        device="cpu",
        progress=progress or SilentProgress(),
    )
    with h5py.File(path) as file:
        names = list(file)
    with ArrayReader(path, num_frames) as arrays:
        return {name: arrays.read(name) for name in names}


@pytest.fixture
def source(array_source: Callable[..., Any]) -> Any:
    """40 frames of noise that brightens."""
    generator = np.random.default_rng(1)
    levels = np.linspace(40, 200, 40)[:, None, None, None]
    frames = generator.normal(levels, 30, (40, 32, 32, 3)).clip(0, 255).astype(np.uint8)
    return array_source(frames)


def decoder_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "decoder"]


@pytest.mark.parametrize(
    ("wanted", "size", "at_a_time"),
    [(1, 256, 1), (4, 256, 4), (16, 256, 4), (16, 128, 16), (16, 192, 7), (16, 1024, 1)],
)
def test_a_cpu_takes_few_pixels_at_a_time(
    wanted: int, size: int, at_a_time: int, model: nn.Module
) -> None:
    sizes = (f"frames.height={size}", f"frames.width={size}")
    config = settings(f"features.batch_size={wanted}", *sizes)
    engine = build_engine(model, config, device="cpu", exact=False, progress=SilentProgress())
    assert (engine.chunk, plan_cutting(config, "cpu").size) == (at_a_time, wanted)


class TestResult:
    def test_the_block_size_does_not_matter(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        one = extract(model, source, tmp_path / "1.h5", "features.batch_size=1")
        many = extract(model, source, tmp_path / "32.h5", "features.batch_size=32")
        for name in ARRAYS:
            assert np.abs(one[name].astype(np.float32) - many[name]).max() <= 1e-4

    @pytest.mark.parametrize("spacing", [1, 3])
    def test_every_frame_sees_the_clip_that_training_would_show(
        self, spacing: int, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        settings = ("features.batch_size=7", f"frames.spacing={spacing}")
        found = extract(model, source, tmp_path / "all.h5", *settings)
        for frame in (0, 3, 20, 39):  # edge frames repeat
            clip = torch.from_numpy(source.frames[clip_indices(frame, 40, 11, spacing)])
            with torch.no_grad():
                features = model.forward_features(to_float(clip[None]))
                logits = model.forward_head(features)
            assert found["logits"][frame] == pytest.approx(logits[0].numpy(), abs=1e-4)
            assert found["features"][frame] == pytest.approx(features[0].numpy(), rel=1e-3)

    @pytest.mark.parametrize("num_frames", [1, 2, 5, 10, 11, 12])
    def test_recordings_shorter_than_a_clip_work(
        self, num_frames: int, model: nn.Module, source: Any, array_source: Any, tmp_path: Path
    ) -> None:
        short = array_source(source.frames[:num_frames])
        found = extract(model, short, tmp_path / "short.h5", "features.batch_size=4")
        assert {len(values) for values in found.values()} == {num_frames}

    def test_the_frames_that_the_decoder_gives_are_counted_not_those_it_promised(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        source.num_frames = 1000
        assert len(extract(model, source, tmp_path / "all.h5")["features"]) == 40

    def test_frames_are_resized_to_the_training_size(
        self, model: nn.Module, source: Any, array_source: Any, tmp_path: Path
    ) -> None:
        large = np.stack([resize_frame(frame, 48, 40, "stretch") for frame in source.frames[:12]])
        small = np.stack([resize_frame(frame, 32, 32, "stretch") for frame in large])
        found = extract(model, array_source(large), tmp_path / "large.h5")
        expected = extract(model, array_source(small), tmp_path / "small.h5")
        assert np.array_equal(found["logits"], expected["logits"])

    def test_fused_logits_are_the_mean_of_the_streams(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        found = extract(model, source, tmp_path / "all.h5")
        mean = (found["spatial_logits"] + found["flow_logits"]) / 2
        assert found["logits"] == pytest.approx(mean, abs=1e-5)
        assert found["features"].dtype == np.float16

    @pytest.mark.parametrize("stride", [1, 10])
    @pytest.mark.parametrize("call", [1, 2, 4])
    def test_values_beyond_fp16_in_any_batch_leave_no_trace(
        self, stride: int, call: int, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        """Batches of ten; the flow network overflows in one call, while the next is under way."""
        config = settings(
            "features.precision=fp16", f"flow.stride={stride}", "features.batch_size=10"
        )
        engine = build_engine(model, config, device="cpu", exact=False, progress=SilentProgress())
        flow = engine._networks._flow  # type: ignore[union-attr]
        forward, calls = flow.forward, []

        def overflow(clips: torch.Tensor) -> Any:
            calls.append(len(clips))
            factor = float("inf") if len(calls) == call else 1.0
            return [each * factor for each in forward(clips)]

        flow.forward = overflow
        order = Order("a", lambda: contextlib.nullcontext(source), tmp_path / "a.h5", {})
        (found,) = extract_all(engine, [order], config, SilentProgress())
        found.check()
        exact = extract(model, source, tmp_path / "b.h5", f"flow.stride={stride}")
        with ArrayReader(tmp_path / "a.h5", 40) as arrays:
            logits = torch.from_numpy(arrays.read("logits"))
            assert arrays.attribute("precision") == "bf16"
        expected = torch.from_numpy(exact["logits"])
        assert (logits.sigmoid() - expected.sigmoid()).abs().max() <= 1e-2

    def test_bf16_changes_probabilities_by_less_than_a_hundredth(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        exact = extract(model, source, tmp_path / "exact.h5")["logits"]
        rough = extract(model, source, tmp_path / "rough.h5", "features.precision=bf16")["logits"]
        difference = torch.sigmoid(torch.tensor(exact)) - torch.sigmoid(torch.tensor(rough))
        assert 0 < difference.abs().max() <= 1e-2

    def test_the_file_says_how_it_was_made(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        extract(model, source, tmp_path / "all.h5")
        with ArrayReader(tmp_path / "all.h5") as arrays:
            assert arrays.attribute("run") == "r1"
            assert arrays.attribute("precision") == "fp32"
            assert '"height": 32' in arrays.attribute("frames")


class TestTooLarge:
    @pytest.mark.parametrize("part", ["features", "logits"])
    def test_the_frame_and_the_remedy_are_named_and_nothing_is_left(
        self, part: str, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        source.frames[:] = 0  # frame 17 alone makes the spatial stream answer
        source.frames[17] = 255
        with torch.no_grad():
            model.mean.zero_()
            convolution = model.spatial.backbone[0]
            convolution.weight.fill_(1e5 if part == "features" else 1)
            convolution.bias.zero_()
            if part == "logits":
                model.spatial.head.weight.fill_(3e38)
        with pytest.raises(InputError, match="frame 17") as refusal:
            extract(model, source, tmp_path / "all.h5", "features.batch_size=4")
        assert "all.h5" in str(refusal.value.where)
        assert "features.precision=fp32" in str(refusal.value.do)
        assert list(tmp_path.iterdir()) == []


class ColorMeans(nn.Module):
    """Mean of red, green and blue of the centre frame."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips[:, :, clips.size(2) // 2].mean(dim=[2, 3])


class TestExternal:
    def test_a_network_from_elsewhere_leaves_features_and_logits(
        self, source: Any, tmp_path: Path
    ) -> None:
        with warnings.catch_warnings():  # torch would rather have torch.export
            warnings.simplefilter("ignore")
            torch.jit.script(ColorMeans()).save(str(tmp_path / "encoder.pt"))
        overrides = (
            "features.model.name=external",
            f"features.model.source={tmp_path / 'encoder.pt'}",
            "features.model.height=32",
            "features.model.width=32",
            "features.model.mean=[0, 0, 0]",
            "features.model.std=[1, 1, 1]",
        )
        network = settings(*overrides).features.model.build(nn.Identity(), 2, (0,) * 3, (1,) * 3)
        found = extract(network.eval(), source, tmp_path / "all.h5", *overrides)
        expected = source.frames.mean(axis=(1, 2)) / 255
        assert set(found) == {"features", "logits"}
        assert found["features"] == pytest.approx(expected, abs=1e-3)
        assert found["logits"].shape == (40, 2)


class TestManyRecordings:
    def test_batches_cross_borders_and_a_broken_recording_spoils_no_other(
        self, model: nn.Module, source: Any, array_source: Any, tmp_path: Path
    ) -> None:
        lengths = (40, 1, 3, 17, 5, 8)
        sources = [array_source(source.frames[:length]) for length in lengths]

        def break_off() -> Iterator[np.ndarray]:
            yield from source.frames[:12]
            raise InputError("damaged", where="here")

        sources[3].iterate = break_off
        config = settings("features.batch_size=16")
        orders = [
            Order(str(number), lambda each=each: each, tmp_path / f"{number}.h5", {})
            for number, each in enumerate(sources)
        ]
        engine = build_engine(
            model,  # type: ignore[arg-type]
            config,
            device="cpu",
            exact=False,
            progress=SilentProgress(),
        )
        found = list(extract_all(engine, orders, config, SilentProgress()))
        assert [each.name for each in found] == ["0", "1", "2", "3", "4", "5"]
        assert [str(each.error).split()[0] for each in found] == [
            *["None"] * 3,
            "damaged",
            *["None"] * 2,
        ]
        assert all(each.closed for each in sources)
        assert not (tmp_path / "3.h5").exists()
        for number in (0, 1, 2, 4, 5):
            alone = extract(model, sources[number], tmp_path / "alone.h5")
            with ArrayReader(tmp_path / f"{number}.h5", lengths[number]) as arrays:
                assert arrays.read("logits") == pytest.approx(alone["logits"], abs=1e-5)
        assert decoder_threads() == []

    def test_a_recording_without_frames_is_an_error(
        self, model: nn.Module, source: Any, array_source: Any, tmp_path: Path
    ) -> None:
        empty = array_source(source.frames[:0])
        with pytest.raises(InputError, match="no frame"):
            extract(model, empty, tmp_path / "all.h5")


class TestInterruption:
    def test_an_error_of_the_decoder_reaches_the_caller(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        def iterate() -> Iterator[np.ndarray]:
            yield from source.frames[:30]
            raise ValueError("bad packet")

        source.iterate = iterate
        with pytest.raises(ValueError, match="bad packet"):
            extract(model, source, tmp_path / "all.h5", "features.batch_size=4")
        assert list(tmp_path.iterdir()) == []
        assert decoder_threads() == []

    def test_ctrl_c_leaves_no_file_and_no_thread(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        class Interrupt(SilentProgress):
            def advance(self, units: int = 1, note: str = "") -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            extract(model, source, tmp_path / "a.h5", "features.batch_size=1", progress=Interrupt())
        assert list(tmp_path.iterdir()) == []
        assert decoder_threads() == []

    def test_the_decoder_is_at_rest_when_the_recording_is_closed(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        def iterate() -> Iterator[np.ndarray]:
            for frame in source.frames:
                assert not source.closed
                yield frame

        class Break(SilentProgress):
            def advance(self, units: int = 1, note: str = "") -> None:
                raise ValueError("enough")

        source.iterate = iterate
        with pytest.raises(ValueError, match="enough") as caught, source:
            extract(model, source, tmp_path / "a.h5", "features.batch_size=1", progress=Break())
        assert caught.value is not None  # the traceback keeps every frame of the call alive
        assert decoder_threads() == []

    def test_the_decoder_runs_only_a_few_blocks_ahead(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        decoded, extracted, ahead = 0, 0, []

        def iterate() -> Iterator[np.ndarray]:
            nonlocal decoded
            for frame in np.concatenate([source.frames] * 3):
                decoded += 1
                yield frame

        class Watch(SilentProgress):
            def advance(self, units: int = 1, note: str = "") -> None:
                nonlocal extracted
                extracted += units
                ahead.append(decoded - extracted)

        source.iterate = iterate
        extract(model, source, tmp_path / "a.h5", "features.batch_size=2", progress=Watch())
        assert extracted == 120
        assert max(ahead) <= 2 * (BATCHES_AHEAD + 4) + 10

    @pytest.mark.parametrize("when", ["writing", "finishing"])
    def test_a_full_disk_leaves_nothing_that_looks_finished(
        self,
        when: str,
        model: nn.Module,
        source: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        if when == "writing":
            monkeypatch.setattr("pixelethogram.store.ArrayWriter.append", fail)
        else:
            monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            extract(model, source, tmp_path / "all.h5")
        assert list(tmp_path.iterdir()) == []

    def test_what_a_kill_left_behind_is_replaced(
        self, model: nn.Module, source: Any, tmp_path: Path
    ) -> None:
        (tmp_path / ".all.h5.partial").write_bytes(b"half a file")
        assert len(extract(model, source, tmp_path / "all.h5")["features"]) == 40
        assert [path.name for path in tmp_path.iterdir()] == ["all.h5"]
