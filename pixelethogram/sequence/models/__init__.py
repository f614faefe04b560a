"""Networks that turn features of a window into logits; the table and what every entry keeps to.

`MODELS[name](**settings).build(in_features, num_outputs, prior, exclusive)` gives a module with

* `forward(features (B, T, D) float, mask (B, T) bool) -> list of logits (B, T, O), best last`.
  Every answer of the list is supervised. `mask` is True for real frames; the others are padding at
  the end of a window. What stands in the padding, and how much of it there is, changes no logit of
  a real frame.
* `receptive_radius`: frames on each side that a logit depends on, None for the whole window.
  Long videos are cut with this overlap, so that cutting changes nothing. Where it is None, a video
  is one window: memory must grow no faster than its length.

`in_features` is D, `num_outputs` is O. `prior` (O,) are the log-odds that the last logits start
around, None leaves that open. `exclusive` says that the probabilities of a frame are a softmax over
its logits, else a sigmoid each; it matters to networks that refine an answer by its probabilities.
`default_smoothness` of the settings class is the weight of the smoothness loss (MS-TCN) that the
network was published with, for settings that leave it open; 0 without one.
`default_window_frames` is the length of a training window where settings leave it open; a layer
whose taps are farther away than that would never learn them. `paper` says where the network was
published; `pixelethogram models` shows it.

The networks expect z-scored features: `normalized.NormalizedSequence` is around each of them.
A new model is one new file and its settings class in the list here; its tests exist already.
"""

from __future__ import annotations

from typing import get_args

from pixelethogram.sequence.models.asformer import ASFormerConfig
from pixelethogram.sequence.models.attention import AttentionConfig
from pixelethogram.sequence.models.conv1d import Conv1dConfig
from pixelethogram.sequence.models.linear import LinearConfig
from pixelethogram.sequence.models.mlp_window import MLPWindowConfig
from pixelethogram.sequence.models.mstcn import MSTCNConfig
from pixelethogram.sequence.models.mstcn2 import MSTCN2Config
from pixelethogram.sequence.models.multitask_mstcn2 import MultitaskMSTCN2Config
from pixelethogram.sequence.models.recurrent import GRUConfig, LSTMConfig
from pixelethogram.sequence.models.tgm import TGMConfig

SequenceModelConfig = (
    TGMConfig
    | LinearConfig
    | MLPWindowConfig
    | Conv1dConfig
    | LSTMConfig
    | GRUConfig
    | AttentionConfig
    | MSTCNConfig
    | MSTCN2Config
    | MultitaskMSTCN2Config
    | ASFormerConfig
)
MODELS: dict[str, type[SequenceModelConfig]] = {
    config.model_fields["name"].default: config for config in get_args(SequenceModelConfig)
}
