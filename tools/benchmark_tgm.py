"""Time a training step of the TGM against the same model with grouped convolutions.

    python tools/benchmark_tgm.py

Run time: about two minutes on two cores, nearly all of it the reference. On a busy machine compare
the processor seconds of `--threads 1`; more threads spend some waiting for each other.
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelethogram.sequence.models.tgm import TGM, SmoothingStack, TGMConfig
from pixelethogram.training.losses import focal_loss


class GroupedConvolutions(nn.Module):
    """The layers one after the other, each as a grouped convolution over (B, channels · D, T)."""

    def __init__(self, stack: SmoothingStack) -> None:
        super().__init__()
        self.layers = stack.layers

    def forward(self, features: Tensor) -> Tensor:
        planes = features.transpose(1, 2)[:, None]  # (B, 1, D, T)
        for layer in self.layers:
            filters = layer()
            num_out, num_in, length = filters.shape
            batch, _, size, num_frames = planes.shape
            rows = planes.transpose(1, 2).reshape(batch * size, num_in, num_frames)
            weight = filters.transpose(0, 1).reshape(num_in * num_out, 1, length)
            each = F.conv1d(rows, weight, padding=length // 2, groups=num_in)
            summed = each.view(batch, size, num_in, num_out, num_frames).sum(dim=2)
            planes = summed.transpose(1, 2)
        return planes.amax(dim=1).transpose(1, 2)


def step_seconds(
    model: TGM, batch: tuple[Tensor, Tensor, Tensor], repetitions: int
) -> tuple[float, float]:
    """Best of several steps (forward, focal loss, backward, Adam): wall and processor seconds."""
    features, mask, labels = batch
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    model.train()
    wall, processor = [], []
    for _ in range(repetitions):
        start, processor_start = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        focal_loss(model(features, mask)[-1], labels).backward()
        optimizer.step()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - processor_start)
    return min(wall), min(processor)


def measure(config: TGMConfig, arguments: argparse.Namespace) -> None:
    """Print both times, their ratio and how far the outputs are apart."""
    shape = (arguments.batch, arguments.frames, arguments.features)
    features = torch.randn(shape)
    mask = torch.ones(shape[:2], dtype=torch.bool)
    labels = (torch.rand(*shape[:2], 5) < 0.2).to(torch.int8)
    model = config.build(arguments.features, 5)
    reference = config.build(arguments.features, 5)
    reference.load_state_dict(model.state_dict())
    reference.smoothing = GroupedConvolutions(reference.smoothing)
    with torch.inference_mode():
        ours = model.eval()(features[:2], mask[:2])[-1]
        apart = (ours - reference.eval()(features[:2], mask[:2])[-1]).abs()
    ours_wall, ours_processor = step_seconds(model, (features, mask, labels), arguments.repetitions)
    wall, processor = step_seconds(reference, (features, mask, labels), 1)
    print(f"kernel {config.kernel}, compatible {config.compatible}, {arguments.threads} threads")
    print("  training step     wall s   processor s")
    print(f"  ours            {ours_wall:8.3f}      {ours_processor:8.3f}")
    print(f"  grouped         {wall:8.3f}      {processor:8.3f}")
    print(f"  ratio           {wall / ours_wall:8.1f}      {processor / ours_processor:8.1f}")
    print(f"  max difference of logits {apart.max():.1e}, without 14 frames at each end", end="")
    print(f" {apart[:, 14:-14].max():.1e}")


def main() -> None:
    """Measure the default and the compatible form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    measure(TGMConfig(), arguments)
    measure(TGMConfig(compatible=True), arguments)


if __name__ == "__main__":
    main()
