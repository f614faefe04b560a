"""Every setting of the pipeline on one page, in the order in which data flows.

The text under a field is its only documentation; `pixelethogram settings` prints it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

from pixelethogram.errors import UsageError
from pixelethogram.features.models import FeaturesModelConfig
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.features.models.resnet import ResNet18Config
from pixelethogram.flow.models import FlowModelConfig, PoseFlowConfig
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNetConfig
from pixelethogram.pose.views import View
from pixelethogram.sequence.models import SequenceModelConfig
from pixelethogram.sequence.models.tgm import TGMConfig


def _read_none(value: Any) -> Any:
    """The word none, as `pixelethogram settings` prints it, for nothing."""
    return None if value == "none" else value


Fraction = Annotated[float, Field(ge=0, le=1)]
OptionalInt = Annotated[int | None, BeforeValidator(_read_none)]
OptionalFloat = Annotated[float | None, BeforeValidator(_read_none)]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


class Settings(BaseModel):
    """Frozen and strict: a misspelt key is an error, and nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SplitConfig(Settings):
    """Which frames are learned from (train), chosen by (val) and judged on (test)."""

    by: Literal["auto", "video", "time"] = "auto"
    """Whole videos, or time blocks inside videos; auto: videos if three or more have labels."""
    train: float = Field(0.6, gt=0, le=1)
    """Share of the scored frames to learn from."""
    val: float = Field(0.2, gt=0, le=1)
    """Share for choosing the best weights and the thresholds."""
    test: Fraction = 0.2
    """Share kept for the final scores; 0 leaves it out."""
    guard_frames: int = Field(30, ge=0)
    """Frames left unused between time blocks of different parts, so that neighbours cannot leak."""
    block_frames: OptionalInt = Field(None, ge=2)
    """Length of a time block in frames; none chooses it from the length of the videos."""


class DrawingConfig(Settings):
    """How keypoints are drawn as frames."""

    view: View = "composite"
    """arena: the whole recording; dyad: the animals in the middle; ego: the first one in the middle
    facing right; composite: arena above, ego of each animal below."""
    max_gap_frames: int = Field(5, ge=0)
    """Longest gap of a keypoint that a straight line bridges; in longer ones nothing is drawn."""
    min_confidence: Fraction = 0.3
    """Keypoints below this confidence count as missing."""
    full_confidence: Fraction = 0.9
    """Confidence from which on a keypoint is drawn in full; it fades down to `min_confidence`."""
    body_pixels: OptionalFloat = Field(None, gt=0)
    """Pixels of the recording from front to back, for size on the picture; none: its own median."""
    instead_of_pixels: bool = False
    """Draw also videos that have pixels, from the pose imported for them."""


class FramesConfig(Settings):
    """How frames are read and resized."""

    height: int = Field(256, ge=32)
    """Height in pixels that every network sees; a multiple of 32 is fastest."""
    width: int = Field(256, ge=32)
    """Width in pixels that every network sees."""
    fit: Literal["stretch", "pad"] = "stretch"
    """Stretch to the size, or keep the aspect ratio and pad with grey."""
    spacing: int = Field(1, ge=1)
    """Frames from one frame of a clip to the next; more for slow animals and fast cameras."""
    pose: DrawingConfig = DrawingConfig()
    """Drawing of recordings that have keypoints and no pixels."""


class AugmentConfig(Settings):
    """Random changes of a training clip: one draw for all of its frames."""

    flip_horizontal: Fraction = 0.5
    """Chance of a left-right mirror; 0 where left and right are different behaviors."""
    flip_vertical: Fraction = 0.0
    """Chance of an up-down mirror; for views from above or below."""
    rotation_degrees: float = Field(10.0, ge=0, le=180)
    """Largest rotation either way."""
    brightness: float = Field(0.25, ge=0, le=1)
    """Largest relative change of brightness."""
    contrast: float = Field(0.1, ge=0, le=1)
    """Largest relative change of contrast."""
    saturation: float = Field(0.1, ge=0, le=1)
    """Largest relative change of saturation; grey videos skip it."""
    hue: float = Field(0.1, ge=0, le=0.5)
    """Largest turn of the hue, as a share of the full circle; grey videos skip it."""
    color_probability: Fraction = 0.5
    """Chance that brightness, contrast, saturation and hue are changed at all."""
    grayscale: Fraction = 0.5
    """Chance that a color clip loses its color."""


class TrainConfig(Settings):
    """One training: how long, how fast, when to stop."""

    steps: int = Field(10_000, ge=1)
    """Most optimizer steps."""
    batch_size: int = Field(32, ge=1)
    """Clips (or windows) per step."""
    learning_rate: float = Field(1e-4, gt=0)
    """Adam's step size after the warm-up."""
    schedule: Literal["cosine", "plateau"] = "cosine"
    """Cosine fall to one hundredth, or cuts to a tenth when validation stops improving."""
    warmup_steps: int = Field(500, ge=0)
    """cosine: steps of linear rise at the start, at most a tenth of all steps."""
    validate_every: int = Field(1000, ge=1)
    """Steps between validations; a checkpoint to resume from is written at each."""
    patience: int = Field(3, ge=1)
    """plateau: validations without improvement before the learning rate is cut."""
    min_learning_rate: float = Field(5e-7, gt=0)
    """plateau: training stops when the learning rate falls below this."""
    max_hours: float = Field(24.0, gt=0)
    """Training stops after this wall-clock time, keeping its best weights."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Running mean of the weights, used for validation and kept; 0 turns it off."""
    gradient_clip: float = Field(1.0, ge=0)
    """Largest norm of the gradient; 0 turns clipping off."""
    workers: OptionalInt = Field(None, ge=0)
    """Processes that read clips, and as many more for those of val; none means 0 on a CPU, and one
    to eight beside a GPU, by the cores. What they draw at random depends on how many they are."""
    precision: Precision = "auto"
    """Number format of the network: auto takes bf16 where the device is built for it, else fp32."""


class FlowLossConfig(Settings):
    """Weights of the label-free loss (paper, Methods: Flow generators; finest scale first)."""

    smoothness: tuple[float, float, float] = (0.01, 0.02, 0.04)
    """Weight of flow smoothness per scale."""
    smoothness_factor: OptionalFloat = Field(None, ge=0)
    """Factor on all of `smoothness`; none: the network's own, 0.25 for 3-D ones, 1 for others."""
    sparsity: OptionalFloat = Field(None, ge=0)
    """Weight of the mean flow; none: the network's own, 0.05 for 3-D ones, 0 for others."""
    ssim: float = Field(1.0, ge=0)
    """Weight of structural dissimilarity."""
    mask: bool = True
    """Leave out pixels whose flow points outside the picture."""


class FlowConfig(Settings):
    """The flow stage: optic flow without labels."""

    model: FlowModelConfig | PoseFlowConfig = Field(TinyMotionNetConfig(), discriminator="name")
    """Network; `pose` computes the flow of drawn poses from their keypoints instead."""
    loss: FlowLossConfig = FlowLossConfig()
    """Weights of the loss."""
    start_weights: str = "none"
    """`none` starts at random; else the folder of a flow or features run, or a file of weights: of
    ours, or a DeepEthogram checkpoint."""
    weight_decay: float = Field(1e-5, ge=0)
    """L2 strength on convolution weights; with start weights the pull towards those."""
    l2sp_new: float = Field(1e-3, ge=0)
    """With start weights: pull of weights that have none towards zero (L2-SP beta)."""
    validation_clips: int = Field(200, ge=1)
    """Fixed clips that the validation loss is computed on."""
    crop: float = Field(0.5, gt=0, le=1)
    """Share of height and width that training clips are cut to, mostly where something moves."""
    augment: AugmentConfig = AugmentConfig(grayscale=0.0)
    """Random changes of training clips."""
    train: TrainConfig = TrainConfig(steps=10_000, validate_every=1000)
    """Length and pace of training."""
    stride: int = Field(1, ge=1)
    """How the features use the flow network, whose own training does not change. 1: once per frame,
    as in the paper. `model.clip_length` - 1, e.g. 10: once per 10 frames, which share its flows."""

    @property
    def network(self) -> FlowModelConfig:
        """Settings of the network.

        Raises:
            UsageError: There is none.
        """
        if isinstance(self.model, PoseFlowConfig):
            raise UsageError(
                "flow.model.name=pose is no network: there is nothing to train or to measure",
                why="it computes the flow from keypoints",
                do="train the features: pixelethogram train features PROJECT; or choose a network: "
                "--set flow.model.name=tiny_motionnet",
            )
        return self.model

    @model_validator(mode="after")
    def _refuse_strides_between(self) -> FlowConfig:
        shared = self.model.clip_length - 1
        if isinstance(self.model, PoseFlowConfig) and self.stride != 1:
            raise ValueError("stride must be 1 with model pose, which is computed once per frame")
        if self.stride not in (1, shared):
            raise ValueError(f"stride must be 1, or {shared} for clips of {shared + 1} frames")
        return self


class PhaseSteps(Settings):
    """Most steps of each phase of features training; 0 skips the phase."""

    spatial: int = Field(8000, ge=0)
    """The spatial stream alone; all of the training of network `external`."""
    flow: int = Field(8000, ge=0)
    """The flow stream alone."""
    joint: int = Field(4000, ge=0)
    """Both streams on the fused logit, at a tenth of the learning rate."""


class ClassifierLossConfig(Settings):
    """The focal loss of features and sequence (paper, Methods: Feature extractors, Loss)."""

    gamma: float = Field(1.0, ge=0)
    """How strongly frames that are already right fade."""
    smoothing: float = Field(0.05, ge=0, lt=0.5)
    """Targets become this and one minus this; where behaviors exclude each other, the classes that
    are not present share it."""
    weight_exponent: float = Field(0.25, ge=0, le=1)
    """Rare behaviors weigh (absent / present) to this power; so does "none" where they exclude
    each other."""
    positive_weights: dict[str, PositiveFloat] = {}
    """Behavior: weight of the frames that show it, in place of what `weight_exponent` makes of
    them; other behaviors keep theirs."""


class PoseAugmentConfig(Settings):
    """Random changes of the keypoints of a training clip, before it is drawn."""

    mirror: Fraction = 0.5
    """Chance of a left-right mirror, in which left and right keypoints change places; 0 where left
    and right are different behaviors."""
    rotation_degrees: float = Field(10.0, ge=0, le=180)
    """Largest rotation about the middle of the recording, either way; 180 where walls do not
    matter."""
    scale: float = Field(0.1, ge=0, lt=1)
    """Largest relative change of size."""
    shift: float = Field(0.0, ge=0)
    """Largest shift along each axis, pixels of the recording."""
    noise: float = Field(1.0, ge=0)
    """Standard deviation of what is added to every coordinate, pixels of the recording."""
    exchange: Fraction = 0.0
    """Chance that the animals are put in a random order, so that each may get the color and the
    panel of another: where the tracker confuses them, or who does it does not matter. Not in the
    view `ego`."""


class FeaturesConfig(Settings):
    """The features stage: a spatial and a flow stream, or keypoints; one vector per frame."""

    model: FeaturesModelConfig | KeypointsConfig = Field(ResNet18Config(), discriminator="name")
    """Network on clips; `keypoints` computes its features from the poses instead."""
    start_weights: str = "torchvision"
    """`torchvision` downloads ImageNet weights, `none` starts at random; else the folder of a
    features run, or a file of weights: of a backbone, of ours, or a DeepEthogram checkpoint.
    Network `external` has `weights` of its own instead."""
    loss: ClassifierLossConfig = ClassifierLossConfig()
    """Focal loss."""
    l2sp_start: float = Field(1e-5, ge=0)
    """Pull of start-weight tensors towards their start (L2-SP alpha)."""
    l2sp_new: float = Field(1e-3, ge=0)
    """Pull of all other weight tensors towards zero (L2-SP beta)."""
    phases: PhaseSteps = PhaseSteps()
    """Steps per phase."""
    validation_frames: int = Field(1000, ge=1)
    """Fixed frames, rare behaviors first, that each validation scores."""
    augment: AugmentConfig = AugmentConfig()
    """Random changes of training clips."""
    augment_poses: bool = False
    """Draw training clips of drawn poses anew each time, of keypoints changed by `pose_augment`, in
    place of flips and rotations of the picture. Always so with flow.model.name=pose."""
    pose_augment: PoseAugmentConfig = PoseAugmentConfig()
    """Random changes of keypoints."""
    train: TrainConfig = TrainConfig(schedule="plateau", steps=20_000)
    """Pace of training; `phases` decides the steps."""
    precision: Precision = "auto"
    """Number format of extraction: auto: fp16 on CUDA, bf16 on CPUs built for it, else fp32."""
    batch_size: int = Field(16, ge=1)
    """Frames per batch of extraction; eight times as many on a GPU, and no more than four at a time
    on a CPU. Halved while memory is short."""


class SequenceConfig(Settings):
    """The sequence stage: temporal context over cached features."""

    model: SequenceModelConfig = Field(TGMConfig(), discriminator="name")
    """Network."""
    start_weights: str = "none"
    """`none` starts at random; else the folder of a sequence run, or a file of weights: of ours, or
    a DeepEthogram checkpoint (`tgmj`)."""
    window_frames: OptionalInt = Field(None, ge=2)
    """Frames per training window; none takes the network's own: 1024 for mstcn and asformer, 2048
    for mstcn2 and multitask_mstcn2, else 180. Recordings that are shorter are one window."""
    loss: ClassifierLossConfig = ClassifierLossConfig()
    """Focal loss."""
    smoothness: OptionalFloat = Field(None, ge=0)
    """Weight, per frame, of the truncated squared difference of neighbouring log-probabilities
    (MS-TCN); none takes the network's own: 0.15 for mstcn, mstcn2, multitask_mstcn2 and asformer,
    else 0."""
    weight_decay: float = Field(0.01, ge=0)
    """L2 strength on weight matrices."""
    ensemble_folds: int = Field(1, ge=1)
    """From 2: train and val are divided into so many folds, one model is trained without each of
    them, and the mean of their logits predicts; 1 trains one model on train."""
    train: TrainConfig = TrainConfig(
        steps=3000, validate_every=100, schedule="plateau", patience=5, warmup_steps=0, workers=0
    )
    """Length and pace of training."""


class EthogramConfig(Settings):
    """From probabilities to behaviors that are present."""

    threshold_floor: float = Field(0.01, ge=0, lt=1)
    """No threshold is lower than this."""
    thresholds: Literal["exact", "cv"] = "exact"
    """exact: best F1 on all validation frames; cv: the mean of those without each validation video,
    which leans less on any one of them."""
    calibration: Literal["none", "temperature", "platt"] = "none"
    """Make probabilities honest on validation frames before thresholds are chosen: by a scale of
    the logit per behavior (temperature), or a scale and a shift (platt). Ranks stay as they are."""
    bout_percentile: float = Field(1.0, ge=0, le=100)
    """Bouts shorter than this percentile of the training bouts are dropped, gaps alike filled."""
    chance_repetitions: int = Field(100, ge=1)
    """Circular shifts of the labels that estimate the chance level."""


class Config(Settings):
    """All settings."""

    seed: int = 0
    """Start of every random number."""
    split: SplitConfig = SplitConfig()
    """Train, val and test."""
    frames: FramesConfig = FramesConfig()
    """Reading and resizing."""
    flow: FlowConfig = FlowConfig()
    """Flow stage."""
    features: FeaturesConfig = FeaturesConfig()
    """Features stage."""
    sequence: SequenceConfig = SequenceConfig()
    """Sequence stage."""
    ethogram: EthogramConfig = EthogramConfig()
    """Thresholds and bouts."""

    @model_validator(mode="after")
    def _refuse_exchange_in_ego(self) -> Config:
        if self.features.pose_augment.exchange and self.frames.pose.view == "ego":
            raise ValueError(
                "features.pose_augment.exchange needs another frames.pose.view than ego, "
                "which shows the first animal"
            )
        return self

    @property
    def has_pose_flow(self) -> bool:
        """True where the features see a flow that is computed from keypoints."""
        return self.features.model.needs_flow and isinstance(self.flow.model, PoseFlowConfig)

    @property
    def draws_clips(self) -> bool:
        """True where training clips are drawn anew each time, of keypoints that were changed."""
        return self.has_pose_flow or (self.features.augment_poses and self.sees_clips)

    @property
    def sees_clips(self) -> bool:
        """True where the features network is shown frames."""
        return not isinstance(self.features.model, KeypointsConfig)

    @property
    def has_learned_flow(self) -> bool:
        """True where the features see the flow of a network."""
        return self.features.model.needs_flow and not self.has_pose_flow
