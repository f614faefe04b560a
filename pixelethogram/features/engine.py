"""Engine: batches of images in, features and logits out, as fast as the device allows.

What makes it fast: every frame is sent once, as uint8; clips are cut on the device, straight into
the layout that convolutions read; batch normalisation is folded away; weights and maps have half
the bytes where the device computes that well. In fp32 nothing but rounding differs from
`model.forward_features`.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from pixelethogram.features.batches import Batch
from pixelethogram.features.clip_cutter import build_cutter, send_numbers
from pixelethogram.features.folding import fold_batch_norms
from pixelethogram.features.models import FeaturesNetwork
from pixelethogram.features.models.two_stream import TwoStream
from pixelethogram.frames.augment import to_float
from pixelethogram.pose.flow import PoseFlow, PoseLayout
from pixelethogram.progress import Progress, format_count
from pixelethogram.training.device import full_fp32
from pixelethogram.training.layout import to_channels_last

STREAM = 4  # chunks at a time of a stream of single images: its maps are small
CACHED = 2  # images that a processor's cache holds as float32
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NO_MEMORY = (  # how torch words it where there is no class for it
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@runtime_checkable
class ScalingFlow(Protocol):
    """A flow network that z-scores clips itself before the network proper sees them."""

    network: nn.Module
    mean: Tensor
    std: Tensor


@dataclasses.dataclass(frozen=True)
class Started:
    """A batch that the device was given; it may still be computing.

    Attributes:
        on_host: What comes back from the device; `wait` before it is read.
        sound: () bool on the host, no value went beyond what fp16 holds; None in formats that hold
            all.
        before: The flow that the batch goes on with, on the device.
        done: Comes to pass on a GPU when everything is on the host; None: it is there already.
    """

    on_host: dict[str, Tensor]
    sound: Tensor | None
    before: Tensor | None
    done: torch.cuda.Event | None

    def wait(self) -> dict[str, Tensor]:
        """features (n, D) float16; logits (n, O) float32; maybe spatial_logits and flow_logits."""
        if self.done is not None:
            self.done.synchronize()
        return self.on_host


class Engine:
    """The networks of the features stage, prepared for one device and one number format.

    Args:
        model: In eval mode on the device; it is not changed.
        clip_length: Frames per clip, L.
        shared: The flow network sees one clip per L - 1 frames; see `features.shared_flow`.
        precision: fp32, bf16 or fp16. With fp16 every batch is looked at, and bf16 takes over from
            the first one on that has values beyond what fp16 holds.
        chunk: Frames that pass through the networks at a time; halved when memory is short.
        progress: Told what was changed.
    """

    def __init__(
        self,
        model: FeaturesNetwork,
        *,
        clip_length: int,
        shared: bool,
        precision: str,
        chunk: int,
        progress: Progress,
    ) -> None:
        self.precision = precision
        self.chunk = chunk
        self._stream = STREAM
        self._model, self._length, self._shared = model, clip_length, shared
        self._device = next(model.parameters()).device
        self._progress = progress
        self._networks = self._prepare()

    @property
    def device(self) -> str:
        """cpu, cuda or mps."""
        return self._device.type

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The networks that do the work, by name, for who wants to time them."""
        return self._networks.parts

    @property
    def layout(self) -> PoseLayout | None:
        """What the flow is made of, where that is keypoints."""
        flow = self._model.flow if isinstance(self._model, TwoStream) else None
        return flow.layout if isinstance(flow, PoseFlow) else None

    def forget(self) -> None:
        """Be ready for the first batch of a stream."""
        self._networks.forget()

    def run(self, batch: Batch) -> dict[str, Tensor]:
        """Arrays of the frames of a batch, as of `Started.wait`."""
        started = self.start(batch)
        if not self.is_sound(started):
            self.retreat(started)
            started = self.start(batch)
        return started.wait()

    def start(self, batch: Batch) -> Started:
        """Give a batch to the device; a GPU is not waited for but by `Started.wait`."""
        before = self._networks.bank
        features = self._compute(batch)
        with torch.inference_mode():
            sound = self._find_sound(features) if self.precision == "fp16" else None
            arrays = {"features": features.half(), **self._model.named_logits(features)}
            on_host = {name: _download(each) for name, each in arrays.items()}
            sound = None if sound is None else _download(sound)
        done = None
        if self.device == "cuda":
            done = torch.cuda.Event()
            done.record(torch.cuda.current_stream(self._device))
        return Started(on_host, sound, before, done)

    def is_sound(self, started: Started) -> bool:
        """Whether the number format was enough for a batch."""
        started.wait()
        return started.sound is None or bool(started.sound)

    def retreat(self, started: Started) -> None:
        """Go back to before a batch, in bf16 from now on; it and later ones are to do again."""
        self._progress.message(
            "note: values too large for fp16; going on with bf16, which rounds more (--exact: fp32)"
        )
        self.precision = "bf16"
        self._networks = self._prepare()
        self._networks.bank = None if started.before is None else started.before.bfloat16()

    def _find_sound(self, features: Tensor) -> Tensor:
        bank = self._networks.bank
        sound = features.isfinite().all()
        return sound if bank is None else sound & bank.isfinite().all()

    @torch.inference_mode()
    def _compute(self, batch: Batch) -> Tensor:
        """Features (n, D) float32; those of fp32 are not rounded to TF32 on the way."""
        with full_fp32(self.device):
            return self._networks.compute(_upload(batch.images, self._device), batch, self).float()

    def in_chunks(
        self, work: Callable[[int, int], Tensor], number: int, *, stream: bool = False
    ) -> Tensor:
        """Results of `work(start, stop)` over 0 to number, one after the other.

        Args:
            work: Computes frames start to stop.
            number: Of frames.
            stream: A network of single images, which takes several chunks at a time.

        Raises:
            RuntimeError: Memory does not even suffice for one.
        """
        parts: list[Tensor] = []
        start = 0
        while start < number:
            stop = min(start + self.chunk * (self._stream if stream else 1), number)
            try:
                part = work(start, stop)
            except RuntimeError as error:
                least = self.chunk == 1 and not (stream and self._stream > 1)
                if least or not is_shortage(error):
                    raise
                part = None
            if part is None:
                self._take_less(stream)  # here, where the error no longer holds the maps
            else:
                parts.append(part)
                start = stop
        return torch.cat(parts)

    def _take_less(self, stream: bool) -> None:
        if stream and self._stream > 1:
            self._stream = 1
        else:
            self.chunk //= 2
            self._progress.message(
                f"note: memory is short; {format_count(self.chunk, 'frame')} at a time now"
            )
        _free(self._device)

    def _prepare(self) -> _TwoStream | _AnyNetwork:
        if isinstance(self._model, TwoStream):
            return _TwoStream(self._model, self._length, self._shared, TYPES[self.precision])
        return _AnyNetwork(self._model, self._length, TYPES[self.precision])


class _AnyNetwork:
    """A network that is only known by its contract: whole clips, and the precision of autocast."""

    def __init__(self, model: FeaturesNetwork, length: int, kind: torch.dtype) -> None:
        self._model, self._length, self._kind = model, length, kind
        self.parts: dict[str, nn.Module] = {}
        self.bank: Tensor | None = None

    def forget(self) -> None:
        """Nothing is carried from batch to batch."""

    def compute(self, images: Tensor, batch: Batch, engine: Engine) -> Tensor:
        def work(start: int, stop: int) -> Tensor:
            rows = send_numbers(batch.starts[start:stop], images.device)
            places = rows[:, None] + torch.arange(self._length, device=images.device)
            context: Any = contextlib.nullcontext()
            if self._kind != torch.float32:
                context = torch.autocast(images.device.type, dtype=self._kind)
            with context:
                return self._model.forward_features(to_float(images[places])).float()

        return engine.in_chunks(work, len(batch.starts))


class _TwoStream:
    """Both streams and the flow network, folded, in one number format."""

    def __init__(self, model: TwoStream, length: int, shared: bool, kind: torch.dtype) -> None:
        device = next(model.parameters()).device
        self._length, self._shared, self._kind = length, shared, kind
        self._network = copy.deepcopy(model).cpu().eval()
        fold_batch_norms(self._network)
        self._network.to(device, kind)
        to_channels_last(self._network)
        self._colors = (model.mean, model.std)
        flow, generator = self._network.flow, model.flow
        self._flow: nn.Module = flow
        self._flow_colors = (torch.zeros(3, device=device), torch.ones(3, device=device))
        if isinstance(flow, ScalingFlow) and isinstance(generator, ScalingFlow):
            self._flow, self._flow_colors = flow.network, (generator.mean, generator.std)
        self._flat = not any(isinstance(module, nn.Conv3d) for module in flow.modules())
        self.bank: Tensor | None = None
        """Flow that the next batch goes on with."""
        spatial, motion = self._network.spatial.backbone, self._network.motion.backbone
        self.parts = {"flow": self._flow, "spatial": spatial, "flow stream": motion}

    def forget(self) -> None:
        """Let go of the flow that the next batch would go on with."""
        self.bank = None

    def compute(self, images: Tensor, batch: Batch, engine: Engine) -> Tensor:
        if isinstance(self._flow, PoseFlow):
            motion = self._pose_motion(_upload(batch.poses, images.device), batch, engine)
        else:
            find_motion = self._shared_motion if self._shared else self._own_motion
            motion = find_motion(_scale(images, *self._flow_colors, self._kind), batch, engine)
        frames = _scale(images, *self._colors, self._kind)
        first, number = self._network.seen_frames(self._length)

        cut = build_cutter(frames, number, flat=number < self._length)

        def find_spatial(start: int, stop: int) -> Tensor:
            starts = [begin + first for begin in batch.starts[start:stop]]
            return self._network.features_of_frames(cut(starts))

        spatial = engine.in_chunks(find_spatial, len(batch.starts), stream=number == 1)
        return torch.cat([spatial, motion], dim=1)

    def _pose_motion(self, poses: Tensor, batch: Batch, engine: Engine) -> Tensor:
        def find_motion(start: int, stop: int) -> Tensor:
            places = send_numbers(batch.starts[start:stop], poses.device)[:, None]
            rows = poses[places + torch.arange(self._length, device=poses.device)]
            return self._network.features_of_flow(self._flow(rows)[0].to(self._kind))

        return engine.in_chunks(find_motion, len(batch.starts))

    def _own_motion(self, frames: Tensor, batch: Batch, engine: Engine) -> Tensor:
        cut = build_cutter(frames, self._length, flat=self._flat)

        def find_motion(start: int, stop: int) -> Tensor:
            return self._network.features_of_flow(self._flow(cut(batch.starts[start:stop]))[0])

        return engine.in_chunks(find_motion, len(batch.starts))

    def _shared_motion(self, frames: Tensor, batch: Batch, engine: Engine) -> Tensor:
        cut = build_cutter(frames, self._length, flat=self._flat)

        def find_flow(start: int, stop: int) -> Tensor:
            return self._flow(cut(batch.clips[start:stop]))[0]

        known = [] if self.bank is None else [self.bank]
        new = [engine.in_chunks(find_flow, len(batch.clips))] if batch.clips else []
        bank = torch.cat([*known, *new])[send_numbers(batch.bank, frames.device)]
        pairs = bank.permute(0, 2, 3, 4, 1).flatten(0, 1)  # (M (L - 1), h, w, 2)
        flat = self._network.flow_as == "channels"
        cut_flow = build_cutter(pairs, self._length - 1, flat=flat)

        def find_motion(start: int, stop: int) -> Tensor:
            return self._network.features_of_flow(cut_flow(batch.slices[start:stop]))

        motion = engine.in_chunks(find_motion, len(batch.slices), stream=flat)
        self.bank = bank
        return motion


def _scale(images: Tensor, mean: Tensor, std: Tensor, kind: torch.dtype) -> Tensor:
    """Z-scored images (T, H, W, 3) of uint8 ones, rounded once.

    On a CPU a few at a time, so that they stay in its cache, and whole rows of pixels, which
    multiply faster than three colors.
    """
    factor, offset = (each.repeat(images.shape[2]) for each in (1 / (255 * std), mean / std))
    blocks = images.flatten(2).split(CACHED if images.device.type == "cpu" else len(images))
    return torch.cat([each.float().mul_(factor).sub_(offset).to(kind) for each in blocks]).view(
        images.shape
    )


def _upload(images: np.ndarray, device: torch.device) -> Tensor:
    """An array on the device; from pinned memory, so that a GPU need not wait for the transfer."""
    tensor = torch.from_numpy(images)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _download(tensor: Tensor) -> Tensor:
    """A tensor on the host, or from a GPU on its way there, which nothing waits for."""
    return tensor.to("cpu", non_blocking=tensor.device.type == "cuda")


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, of the device or of the machine."""
    named = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return named or any(words in str(error) for words in NO_MEMORY)


def _free(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
