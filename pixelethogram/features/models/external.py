"""External: a linear head on the vectors that somebody else's network makes of whole clips.

The network is one of torchvision's video networks, or any module in a TorchScript or torch.export
file. Such a file is a program that runs with the rights of the user: use only trusted ones.

Sources of torchvision's: Tran et al. 2018 (r3d_18, mc3_18, r2plus1d_18), Xie et al. 2018 (s3d),
Liu et al. 2022 (swin3d_t).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.models.exported import FOREIGN_ERRORS, ExportedModule, summarize
from pixelethogram.features.models.two_stream import MIN_STD, Phase
from pixelethogram.start_weights.weights_file import read_tensors

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)
HEADS = {
    "r3d_18": "fc",
    "mc3_18": "fc",
    "r2plus1d_18": "fc",
    "s3d": "classifier",
    "swin3d_t": "head",
}
"""torchvision's video networks, and what the last layer of each is called there."""

NUM_PROBES = 3  # a program that was exported for one clip or two refuses so many

Layout = Literal["channels_first", "time_first"]
Color = tuple[float, float, float]


class ExternalConfig(BaseModel):
    """Somebody else's network on the whole clip; no flow."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    paper: ClassVar[str] = "yours, or a video network of torchvision"
    needs_flow: ClassVar[bool] = False

    name: Literal["external"] = "external"
    """A network from elsewhere; it has one phase of training, `phases.spatial`."""
    source: str = "r3d_18"
    """r3d_18, mc3_18, r2plus1d_18, s3d, swin3d_t; else a file of torch.jit.save or
    torch.export.save, made in evaluation mode, that maps clips (B, 3, L, H, W) to vectors (B, D).
    Such a file is a program and runs with your rights: use only files you trust."""
    weights: str = "none"
    """State-dict file of the named network to start from; none starts at random."""
    frozen: bool = False
    """Train the linear head only; modules from files are always frozen."""
    height: int = Field(112, ge=8)
    """Height in pixels that the network sees, e.g. 224 for s3d and swin3d_t."""
    width: int = Field(112, ge=8)
    """Width in pixels that the network sees."""
    layout: Layout = "channels_first"
    """Clips are given as (B, 3, L, H, W), or, time_first, as (B, L, 3, H, W)."""
    mean: Color = KINETICS_MEAN
    """Mean of red, green, blue, in [0, 1]: of Kinetics; swin3d_t and many others want ImageNet's,
    [0.485, 0.456, 0.406]."""
    std: Color = KINETICS_STD
    """Their standard deviations: of Kinetics; ImageNet's are [0.229, 0.224, 0.225]. Smaller ones
    than 0.001 count as 0.001."""

    def build(
        self,
        flow: nn.Module,
        num_outputs: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        clip_length: int = 11,
    ) -> External:
        """The network and a fresh head.

        Args:
            flow: Not used.
            num_outputs: Logits per frame.
            mean: Not used: colors are scaled as the network knows them.
            std: Not used.
            clip_length: Frames per clip.

        Raises:
            InputError: The file is missing or is no exported module, or the network does not take
                such clips, or does not give one vector for each.
        """
        return External(self, num_outputs, clip_length)


class External(nn.Module):
    """An encoder of clips and a linear head.

    Args:
        config: Which encoder, and how it wants to be shown clips.
        num_outputs: Logits per frame.
        clip_length: Frames per clip, L.
    """

    phases: tuple[Phase, ...] = ("spatial",)

    def __init__(self, config: ExternalConfig, num_outputs: int, clip_length: int) -> None:
        super().__init__()
        self._config = config
        named = config.source in HEADS
        self.frozen = config.frozen or not named
        self.encoder: nn.Module = (
            _build_named(config.source) if named else ExportedModule(Path(config.source))
        )
        if self.frozen:
            self.encoder.requires_grad_(False)
        self.mean: Tensor
        self.std: Tensor
        shape, std = (1, 3, 1, 1), torch.tensor(config.std).clamp(min=MIN_STD)
        self.register_buffer("mean", torch.tensor(config.mean).view(shape), persistent=False)
        self.register_buffer("std", std.view(shape), persistent=False)
        self.num_features = self._count_features(clip_length)
        self.head = nn.Linear(self.num_features, num_outputs)

    def train(self, mode: bool = True) -> External:
        """Switch all but a frozen encoder, which stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def load_start_weights(self) -> dict[str, Tensor]:
        """Fill the encoder from the file of the settings; the head stays as it is.

        Returns:
            Start values by name, float32 copies: what L2-SP pulls towards. Empty without a file.

        Raises:
            InputError: The file is missing, is no state dict, or is of another network.
            UsageError: A named network would stay as random as it is.
        """
        if self._config.weights != "none":
            self._fill(read_tensors(Path(self._config.weights), "features.model.weights"))
            return {
                f"encoder.{name}": parameter.detach().float().clone()
                for name, parameter in self.encoder.named_parameters()
            }
        if self.frozen and self._config.source in HEADS:
            raise UsageError(
                f"{self._config.source} is frozen and has random weights: it would never see",
                where="features.model.frozen",
                do="give features.model.weights a file, or set frozen to false",
            )
        return {}

    def set_head_bias(self, bias: Tensor) -> None:
        """Let the logits start at (O,), e.g. how common each behavior is."""
        with torch.no_grad():
            self.head.bias.copy_(bias)

    def prepare(self, clips: Tensor) -> Tensor:
        """Clips (B, 3, L, H, W) in [0, 1] in the size, colors and layout that the encoder wants."""
        size = (self._config.height, self._config.width)
        images = clips.transpose(1, 2).flatten(0, 1)  # (B L, 3, H, W)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        seen = ((images - self.mean) / self.std).unflatten(0, (len(clips), -1))
        if self._config.layout == "time_first":
            return seen
        return seen.transpose(1, 2).contiguous()

    def forward_features(self, clips: Tensor) -> Tensor:
        """Features (B, D) of clips (B, 3, L, H, W) in [0, 1]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encoder(self.prepare(clips))

    def named_logits(self, features: Tensor) -> dict[str, Tensor]:
        """Logits (B, O) as "logits", from features (B, D)."""
        return {"logits": self.forward_head(features)}

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (B, O) of features (B, D)."""
        return self.head(features)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (B, O) of the centre frames of clips (B, 3, L, H, W) in [0, 1]."""
        return self.forward_head(self.forward_features(clips))

    def phase_logits(self, clips: Tensor, phase: Phase, offsets: None = None) -> Tensor:
        """Logits (B, O); there is one phase, and no flow that could be shared."""
        return self(clips)

    def phase_modules(self, phase: Phase) -> list[nn.Module]:
        """What learns: the head, and the encoder unless it is frozen."""
        return [self.head] if self.frozen else [self.encoder, self.head]

    def needs_clips(self, phase: Phase) -> bool:
        """Always: whole clips."""
        return True

    @torch.no_grad()
    def _count_features(self, clip_length: int) -> int:
        """D, found by showing the encoder three black clips."""
        clips = torch.zeros(NUM_PROBES, 3, clip_length, self._config.height, self._config.width)
        self.encoder.eval()
        try:
            features = self.encoder(self.prepare(clips))
        except FOREIGN_ERRORS as error:
            raise self._refuse("does not take", clips, summarize(error)) from error
        self.encoder.train(not self.frozen)
        if not isinstance(features, Tensor):
            raise self._refuse("gives no vectors for", clips, f"it gives a {type(features)}")
        shape = tuple(features.shape)
        if len(shape) != 2 or shape[0] != NUM_PROBES or not features.is_floating_point():
            why = f"it gives {shape} {features.dtype}, not ({NUM_PROBES}, D) float"
            raise self._refuse("gives no vectors for", clips, why)
        return shape[1]

    def _refuse(self, what: str, clips: Tensor, why: str) -> InputError:
        return InputError(
            f"{self._config.source} {what} clips {tuple(self.prepare(clips).shape)}",
            where="features.model.source",
            why=why,
            do="change features.model.height, width, layout or flow.model.clip_length; or export "
            "it again, for any number of clips, with a pooling to one vector for each",
        )

    def _fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy a whole state dict into the encoder; the file may have its own last layer."""
        source = self._config.source
        if source not in HEADS:
            raise InputError(
                f"{source} brings its own weights",
                where="features.model.weights",
                do="set features.model.weights to none",
            )
        own = self.encoder.state_dict()
        unfit = [
            name
            for name, tensor in own.items()
            if name not in tensors or tensors[name].shape != tensor.shape
        ]
        surplus = [
            name for name in tensors if name not in own and name.partition(".")[0] != HEADS[source]
        ]
        if unfit or surplus:
            raise InputError(
                f"the weights are of another network: {len(own) - len(unfit)} of {len(own)} "
                "tensors fit",
                where=self._config.weights,
                why=f"first difference: {(unfit + surplus)[0]}",
                do=f"give weights of torchvision's {source}, or none",
            )
        self.encoder.load_state_dict({name: tensors[name] for name in own})


def _build_named(name: str) -> nn.Module:
    """One of torchvision's video networks up to its pooled vector; fresh weights."""
    from torchvision.models import video  # takes a second, which reading settings need not

    network = getattr(video, name)()
    network.avgpool = nn.AdaptiveAvgPool3d(1)  # s3d's own takes only clips of the published size
    setattr(network, HEADS[name], nn.Identity())
    return network
