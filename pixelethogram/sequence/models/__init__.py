"""Networks that turn features of a window into logits; the table and what every entry keeps to.

`MODELS[name](**settings).build(in_features, num_outputs, prior)` gives a module with

* `forward(features (B, T, D) float, mask (B, T) bool) -> list of logits (B, T, O), best last`.
  `mask` is True for real frames; the others are padding at the end of a window. What stands in
  the padding, and how much of it there is, changes no logit of a real frame.
* `receptive_radius`: frames on each side that a logit depends on, None for the whole window.
  Long videos are cut with this overlap, so that cutting changes nothing.

The networks expect z-scored features: `normalized.NormalizedSequence` is around each of them.
A new model is one new file and one line here; its tests exist already.
"""

from __future__ import annotations

from pixelethogram.sequence.models.linear import LinearConfig
from pixelethogram.sequence.models.lstm import LSTMConfig
from pixelethogram.sequence.models.tgm import TGMConfig

MODELS: dict[str, type[TGMConfig] | type[LinearConfig] | type[LSTMConfig]] = {
    "tgm": TGMConfig,
    "linear": LinearConfig,
    "lstm": LSTMConfig,
}
