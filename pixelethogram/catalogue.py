"""Which networks there are: their size, their work per frame, the frames they see, their paper.

They are built and run on torch's meta device, which has shapes but no numbers: exact, and done in
seconds.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.features.models import POSE_MODELS, FeaturesModelConfig
from pixelethogram.features.models.external import ExternalConfig
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.flow.models import POSE_MODELS as POSE_FLOWS
from pixelethogram.flow.models import FlowModelConfig, PoseFlowConfig
from pixelethogram.sequence.models import MODELS as SEQUENCE_MODELS
from pixelethogram.sequence.models import SequenceModelConfig

SIZE_PIXELS = 256
CLIP_LENGTH = 11  # of the features stage, which has no setting of its own for it
NUM_BEHAVIORS = 5
NUM_FEATURES = 1024  # of two ResNet18
WINDOW_FRAMES = 4096  # long enough that the ends of a window hardly count
UNROLLED_FRAMES = 64  # a recurrent network does the same for every frame, and is slow to follow

COLUMNS = ("network", "parameters", "multiply-adds", "frames", "paper")
UNKNOWN = "depends on the file"


@dataclasses.dataclass(frozen=True)
class Network:
    """One entry of a table of networks, with its default settings."""

    stage: str
    """flow, features or sequence."""
    name: str
    """What the stage's `model.name` takes."""
    parameters: int | None
    """For five behaviors; in the features stage without the flow network, in the sequence stage for
    1024 features. None where it depends on a file."""
    multiply_adds: int | None
    """Per frame, of 256 x 256 pixels where pictures are seen. None where it depends on a file."""
    frames: int | None
    """How many frames the answer for one depends on. None for all of the video."""
    paper: str
    """Where it was published."""

    def to_row(self) -> list[str]:
        """Cells of `COLUMNS`."""
        return [
            self.name,
            UNKNOWN if self.parameters is None else f"{self.parameters:,}",
            UNKNOWN if self.multiply_adds is None else shorten(self.multiply_adds),
            "all" if self.frames is None else str(self.frames),
            self.paper,
        ]


def list_networks() -> list[Network]:
    """Every network of every stage, in the order of the tables."""
    with torch.device("meta"):
        return [
            *(_describe_flow(config()) for config in FLOW_MODELS.values()),
            *(_describe_pose_flow(config()) for config in POSE_FLOWS.values()),
            *(_describe_features(config()) for config in FEATURES_MODELS.values()),
            *(_describe_keypoints(config()) for config in POSE_MODELS.values()),
            *(_describe_sequence(config()) for config in SEQUENCE_MODELS.values()),
        ]


def shorten(number: float) -> str:
    """A large number in words.

    Example:
        >>> shorten(16_699_359_232), shorten(5_120)
        ('16.70 G', '5.12 k')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number:.0f}"


class _GivenFlow(nn.Module):
    """Takes the place of the flow network, whose work is not counted again."""

    def forward(self, clips: Tensor) -> list[Tensor]:
        batch, _, length, height, width = clips.shape
        return [clips.new_empty(batch, 2, length - 1, height // 2, width // 2)]


def _describe_flow(config: FlowModelConfig) -> Network:
    network = config.build()
    work = _count_multiply_adds(network, _clips(config.clip_length))
    size = _count_parameters(network)
    return Network("flow", config.name, size, work, config.clip_length, config.paper)


def _describe_pose_flow(config: PoseFlowConfig) -> Network:
    """No convolution, no matrix product; what it computes depends on the skeleton."""
    return Network("flow", config.name, 0, 0, config.clip_length, config.paper)


def _describe_features(config: FeaturesModelConfig) -> Network:
    if isinstance(config, ExternalConfig):
        return Network("features", config.name, None, None, CLIP_LENGTH, config.paper)
    grey, ones = (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)
    network = config.build(_GivenFlow(), NUM_BEHAVIORS, grey, ones, clip_length=CLIP_LENGTH)
    work = _count_multiply_adds(network, _clips(CLIP_LENGTH))
    size = _count_parameters(network)
    return Network("features", config.name, size, work, CLIP_LENGTH, config.paper)


def _describe_keypoints(config: KeypointsConfig) -> Network:
    """Its size depends on the animals and keypoints; it has no weights but a head."""
    around = max(0, config.stack_radius, *config.context_radii)
    return Network("features", config.name, None, None, 2 * around + 1, config.paper)


def _describe_sequence(config: SequenceModelConfig) -> Network:
    network = config.build(NUM_FEATURES, NUM_BEHAVIORS)
    recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())
    num_frames = UNROLLED_FRAMES if recurrent else WINDOW_FRAMES
    features = torch.empty(1, num_frames, NUM_FEATURES)
    work = _count_multiply_adds(network, features, torch.ones(1, num_frames, dtype=torch.bool))
    size, radius = _count_parameters(network), network.receptive_radius
    frames = None if radius is None else 2 * radius + 1
    return Network("sequence", config.name, size, round(work / num_frames), frames, config.paper)


def _clips(length: int) -> Tensor:
    return torch.empty(1, 3, length, SIZE_PIXELS, SIZE_PIXELS)


def _count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _count_multiply_adds(network: nn.Module, *inputs: Tensor) -> int:
    """Of convolutions and matrix products; a multiplication and its addition are one."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(*inputs)
    return counter.get_total_flops() // 2
