"""Engine: the numbers of the plain network, in every number format; short memory; overflow."""

from __future__ import annotations

import copy
import dataclasses
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pixelethogram.features.batches import Batch, Part
from pixelethogram.features.engine import Engine
from pixelethogram.features.models import MODELS
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.flow.models.generator import FlowGenerator
from pixelethogram.frames.augment import to_float
from pixelethogram.progress import SilentProgress

PRESETS = {"fast": ("tiny_motionnet", "resnet18"), "medium": ("motionnet", "resnet50")}
PRESETS["slow"] = ("tiny_motionnet_3d", "resnet3d_34")


class Listen(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def build(preset: str, length: int = 5, **settings: Any) -> TwoStream:
    flow, features = PRESETS[preset]
    network = FLOW_MODELS[flow](width=0.2, clip_length=length).build()
    generator = FlowGenerator(network, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
    model = MODELS[features](**settings).build(
        generator, 3, (0.5,) * 3, (0.3,) * 3, clip_length=length
    )
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return model.eval()  # type: ignore[return-value]


def make_batch(number: int = 3, length: int = 5, size: int = 48) -> Batch:
    images = np.random.default_rng(0).integers(0, 256, (number + length - 1, size, size, 3))
    starts = list(range(number))
    nothing = np.zeros((len(images), 0), np.float32)
    return Batch(images.astype(np.uint8), nothing, starts, [Part(0, 0, number)], [], [], [])


def build_engine(model: Any, precision: str, chunk: int = 2, progress: Any = None) -> Engine:
    return Engine(
        model,
        clip_length=5,
        shared=False,
        precision=precision,
        chunk=chunk,
        progress=progress or SilentProgress(),
    )


def plain(model: TwoStream, batch: Batch) -> dict[str, torch.Tensor]:
    clips = np.stack([batch.images[start : start + 5] for start in batch.starts])
    with torch.no_grad():
        features = model.forward_features(to_float(torch.from_numpy(clips)))
        return {"features": features, **model.named_logits(features)}


VIEWS = [("fast", {}), ("medium", {}), ("slow", {}), ("fast", {"spatial_view": "deepethogram"})]
VIEWS += [("fast", {"skip_features": True}), ("medium", {"skip_features": True})]


@pytest.mark.parametrize(("preset", "settings"), VIEWS)
def test_fp32_gives_the_numbers_of_the_plain_network(preset: str, settings: Any) -> None:
    model, batch = build(preset, **settings), make_batch()
    before = copy.deepcopy(model.state_dict())
    expected, found = plain(model, batch), build_engine(model, "fp32").run(batch)
    for name in ("logits", "spatial_logits", "flow_logits"):
        assert torch.allclose(found[name], expected[name], atol=1e-4, rtol=1e-5)
    assert found["features"].dtype == torch.float16
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("preset", PRESETS)
def test_bf16_stays_within_a_hundredth_of_probability(preset: str) -> None:
    """Also that bf16 convolutions in three dimensions, whose gradients are wrong, answer right."""
    model, batch = build(preset), make_batch()
    expected, found = plain(model, batch), build_engine(model, "bf16").run(batch)
    assert found["logits"].dtype == torch.float32
    difference = found["logits"].sigmoid() - expected["logits"].sigmoid()
    assert difference.abs().max() <= 1e-2
    scale = expected["features"].abs().max()
    assert (found["features"].float() - expected["features"]).abs().max() <= 0.05 * scale


@pytest.mark.parametrize("flow", sorted(FLOW_MODELS))
def test_flow_networks_answer_alike_in_bf16(flow: str) -> None:
    network = FLOW_MODELS[flow](width=0.25, clip_length=5).build().eval()
    clips = torch.randn(1, 3, 5, 64, 64)
    with torch.inference_mode():
        expected = network(clips)[0]
        rough = network.bfloat16()(clips.bfloat16())[0].float()
    assert (rough - expected).abs().max() <= 0.03 * expected.abs().max()


def test_chunks_do_not_matter() -> None:
    model, batch = build("fast"), make_batch(7)
    one, all_at_once = (build_engine(model, "fp32", chunk).run(batch) for chunk in (1, 16))
    assert torch.allclose(one["logits"], all_at_once["logits"], atol=1e-5)


def test_short_memory_halves_the_chunk_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch, progress = build("fast"), make_batch(7), Listen()
    expected = build_engine(model, "fp32").run(batch)["logits"]
    engine = build_engine(model, "fp32", 6, progress)
    flow = engine._networks._flow  # type: ignore[union-attr]
    forward = flow.forward

    def hungry(clips: torch.Tensor) -> Any:
        if len(clips) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(clips)

    monkeypatch.setattr(flow, "forward", hungry)
    assert torch.allclose(engine.run(batch)["logits"], expected, atol=1e-5)
    assert engine.chunk == 1
    assert [line.split("; ")[1] for line in progress.lines] == [
        "3 frames at a time now",
        "1 frame at a time now",
    ]


def test_streams_take_more_at_a_time_where_memory_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = build("fast"), make_batch(7)
    engine = build_engine(model, "fp32", 2)
    expected = engine.run(batch)["logits"]
    spatial = engine.parts["spatial"]
    forward, seen = spatial.forward, []

    def hungry(images: torch.Tensor) -> Any:
        seen.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(images)

    monkeypatch.setattr(spatial, "forward", hungry)
    assert torch.allclose(engine.run(batch)["logits"], expected, atol=1e-5)
    assert torch.allclose(engine.run(batch)["logits"], expected, atol=1e-5)
    assert seen == [7, 2, 2, 2, 1, 2, 2, 2, 1]  # it is remembered
    assert engine.chunk == 2


def test_memory_that_does_not_suffice_for_one_frame_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = build_engine(build("fast"), "fp32", 2)

    def starve(_: torch.Tensor) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")

    monkeypatch.setattr(engine._networks._flow, "forward", starve)  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        engine.run(make_batch())
    assert engine.chunk == 1


def test_a_last_frame_that_runs_short_of_memory_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was kept for reuse is let go of before."""
    model, batch = build("fast"), make_batch(5)
    engine = build_engine(model, "fp32", 2)
    expected = engine.run(batch)["logits"]
    flow = engine._networks._flow  # type: ignore[union-attr]
    forward, failures = flow.forward, []

    def fail_once(clips: torch.Tensor) -> Any:
        if len(clips) == 1 and not failures:
            failures.append("CUDNN_STATUS_ALLOC_FAILED")
            raise RuntimeError(failures[0])
        return forward(clips)

    monkeypatch.setattr(flow, "forward", fail_once)
    assert torch.allclose(engine.run(batch)["logits"], expected, atol=1e-5)
    assert failures and engine.chunk == 1


def test_a_batch_is_read_only_when_the_device_is_done_with_it() -> None:
    waited = []
    done = types.SimpleNamespace(synchronize=lambda: waited.append(True))
    engine, batch = build_engine(build("fast"), "fp16"), make_batch()
    started = dataclasses.replace(engine.start(batch), done=done)  # type: ignore[arg-type]
    assert not waited
    assert engine.is_sound(started) and waited == [True]
    assert set(started.wait()) >= {"features", "logits"} and waited == [True, True]
    assert all(each.device.type == "cpu" for each in started.wait().values())


def test_other_errors_are_not_taken_for_short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = build_engine(build("fast"), "fp32", 2)

    def fail(_: torch.Tensor) -> None:
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr(engine._networks._flow, "forward", fail)  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="sizes do not match"):
        engine.run(make_batch())
    assert engine.chunk == 2


def test_values_beyond_fp16_bring_bf16_with_a_message() -> None:
    model, batch, progress = build("fast"), make_batch(), Listen()
    with torch.no_grad():  # a flow beyond 65504, which the next layer brings back
        model.flow.network.flow2.weight *= 1e7  # type: ignore[operator, union-attr]
        model.motion.backbone.conv1.weight *= 1e-7  # type: ignore[operator, union-attr]
    expected = plain(model, batch)["logits"]
    engine = build_engine(model, "fp16", progress=progress)
    found = engine.run(batch)["logits"]
    assert engine.precision == "bf16"
    (line,) = progress.lines
    assert line.startswith("note: values too large for fp16; going on with bf16")
    assert "--exact" in line
    assert (found.sigmoid() - expected.sigmoid()).abs().max() <= 1e-2


def test_an_overflow_in_a_later_batch_is_seen_and_that_batch_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, bright, progress = build("fast"), make_batch(), Listen()
    dark = dataclasses.replace(bright, images=bright.images // 8)
    engine = build_engine(model, "fp16", progress=progress)
    flow = engine._networks._flow  # type: ignore[union-attr]
    forward = flow.forward

    def overflow(clips: torch.Tensor) -> Any:
        too_bright = clips.max() > 0
        return [each * float("inf") if too_bright else each for each in forward(clips)]

    monkeypatch.setattr(flow, "forward", overflow)
    assert engine.run(dark)["logits"].isfinite().all()
    assert (engine.precision, progress.lines) == ("fp16", [])
    found = engine.run(bright)["logits"]
    assert (engine.precision, len(progress.lines)) == ("bf16", 1)
    expected = plain(model, bright)["logits"]
    assert (found.sigmoid() - expected.sigmoid()).abs().max() <= 1e-2


def test_fp16_that_suffices_is_kept() -> None:
    model, batch, progress = build("fast"), make_batch(), Listen()
    engine = build_engine(model, "fp16", progress=progress)
    found, expected = engine.run(batch), plain(model, batch)
    assert engine.precision == "fp16"
    assert progress.lines == []
    assert (found["logits"].sigmoid() - expected["logits"].sigmoid()).abs().max() <= 2e-3
