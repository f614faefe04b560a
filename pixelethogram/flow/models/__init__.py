"""The networks of the flow stage.

Contract: ``build()`` gives a module with ``forward(clips (B, 3, L, H, W)) -> list of flows``,
finest first, each (B, 2, L-1, h, w): channel 0 is x, channel 1 is y, in pixels of that level, from
frame k to frame k+1 on the grid of frame k. Clips are z-scored; `FlowGenerator` does that.
"""

from __future__ import annotations

from pixelethogram.flow.models.tiny_motionnet import TinyMotionNetConfig

MODELS: dict[str, type[TinyMotionNetConfig]] = {"tiny_motionnet": TinyMotionNetConfig}
