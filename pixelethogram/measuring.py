"""How fast a machine is: seconds of a piece of work, matrix products, and the layers of a network.

Of one piece of work the fastest of several repeats counts: whatever else a machine does makes work
slower, never faster. Pieces that are to be compared take turns, and the median of ratios counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

import torch
from torch import Tensor, nn

from pixelethogram.features.folding import CONVOLUTIONS, TRANSPOSED
from pixelethogram.training.layout import CHANNELS_LAST

MATRIX_SIZE = {"cpu": 2048, "cuda": 8192, "mps": 4096}


def wait_for(device: str) -> None:
    """Until a device has done all that it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


def best_seconds(
    work: Callable[[], object], device: str, *, budget: float = 1.0, least: int = 2
) -> float:
    """Seconds of the fastest repeat, after one that does not count.

    Args:
        work: What is timed.
        device: cpu, cuda or mps.
        budget: Seconds after which no further repeat begins.
        least: Repeats whatever they take.
    """
    best, spent, repeats = float("inf"), 0.0, -1
    while repeats < least or spent < budget:
        started = time.perf_counter()
        work()
        wait_for(device)
        seconds = time.perf_counter() - started
        if repeats >= 0:
            best, spent = min(best, seconds), spent + seconds
        repeats += 1
    return best


def take_turns(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each piece of work gives, round by round; whatever disturbs a round hits all of them."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(work())
    return found


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the ratios of what two pieces of work gave in the same rounds.

    Example:
        >>> median_ratio([2.0, 9.0, 4.0], [1.0, 3.0, 2.0])
        2.0
    """
    return median(one / other for one, other in zip(above, below, strict=True))


def measure_matrix_product(device: str, kind: torch.dtype) -> float:
    """Floating point operations per second of a large matrix product."""
    size = MATRIX_SIZE[device.partition(":")[0]]
    left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    return 2 * size**3 / best_seconds(lambda: left @ right, device)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution that a network computes, and for what."""

    module: nn.Module
    shape: tuple[int, ...]
    """Of its input."""

    @property
    def operations(self) -> int:
        """Floating point operations; a multiplication and its addition are two."""
        weight: Tensor = self.module.weight  # type: ignore[assignment]
        with torch.device("meta"):
            images = torch.empty(self.shape)
            pixels = images.numel() // self.shape[1]
        if isinstance(self.module, TRANSPOSED):
            return 2 * pixels * weight.numel()
        stride: tuple[int, ...] = self.module.stride  # type: ignore[assignment]
        padding: tuple[int, ...] = self.module.padding  # type: ignore[assignment]
        sizes = zip(self.shape[2:], weight.shape[2:], stride, padding, strict=True)
        outputs = self.shape[0]
        for size, kernel, step, border in sizes:
            outputs *= (size + 2 * border - kernel) // step + 1
        return 2 * outputs * weight.numel()

    def measure(self, device: str) -> float:
        """Seconds of this layer alone, in the layout and format of its weights, once it is warm."""
        weight: Tensor = self.module.weight  # type: ignore[assignment]
        item = torch.randn(1, *self.shape[1:], device=device).to(weight.dtype)
        images = item.expand(self.shape).contiguous(memory_format=CHANNELS_LAST[len(self.shape)])
        with torch.inference_mode():
            return best_seconds(lambda: self.module(images), device, budget=0, least=1)


@contextlib.contextmanager
def watch_layers(parts: Mapping[str, nn.Module]) -> Iterator[Counter[Layer]]:
    """Count the convolutions that networks compute in the block."""
    seen: Counter[Layer] = Counter()

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[Layer(module, tuple(inputs[0].shape))] += 1

    hooks = [
        module.register_forward_pre_hook(note)
        for part in parts.values()
        for module in part.modules()
        if isinstance(module, CONVOLUTIONS)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def watch_parts(parts: Mapping[str, nn.Module], device: str) -> Iterator[Counter[str]]:
    """Seconds that each network takes in the block; the device is waited for around each call."""
    seconds: Counter[str] = Counter(dict.fromkeys(parts, 0))
    started = dict.fromkeys(parts, 0.0)

    def hooks(name: str, module: nn.Module) -> list[torch.utils.hooks.RemovableHandle]:
        def begin(*_: object) -> None:
            wait_for(device)
            started[name] = time.perf_counter()

        def end(*_: object) -> None:
            wait_for(device)
            seconds[name] += time.perf_counter() - started[name]  # type: ignore[assignment]

        return [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]

    handles = [handle for name, module in parts.items() for handle in hooks(name, module)]
    try:
        yield seconds
    finally:
        for handle in handles:
            handle.remove()


def forget_peak(device: str) -> None:
    """Begin anew with the most bytes of a GPU; those of a process cannot be forgotten."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: str) -> int | None:
    """Most bytes so far: of the GPU on CUDA, else of this process; None where nobody says."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
