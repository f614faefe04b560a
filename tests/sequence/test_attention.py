"""Self-attention to the frames nearby."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from pixelethogram.sequence.models.attention import AttentionConfig

SMALL = AttentionConfig(hidden=8, num_heads=2, num_layers=2, radius_frames=5, dropout=0)


def test_heads_share_the_channels_evenly() -> None:
    with pytest.raises(ValidationError, match="hidden must be a multiple of num_heads, not 10 and"):
        AttentionConfig(hidden=10)


def test_what_a_frame_is_does_not_depend_on_where_in_the_video_it_is() -> None:
    model = SMALL.build(4, 2).eval()
    features = torch.randn(1, 300, 4)
    moved = torch.cat([torch.randn(1, 77, 4), features], dim=1)
    with torch.no_grad():
        logits, after = (
            model(each, torch.ones(each.shape[:2], dtype=torch.bool))[-1][0]
            for each in (features, moved)
        )
    torch.testing.assert_close(after[77 + 10 :], logits[10:], atol=1e-5, rtol=1e-5)


def test_the_order_of_the_frames_nearby_counts() -> None:
    """Without positions, exchanging two neighbours would not matter."""
    model = SMALL.build(4, 2).double().eval()
    with torch.no_grad():
        for layer in model.layers:
            layer.distance.normal_()
        features = torch.randn(1, 30, 4, dtype=torch.float64)
        exchanged = features.clone()
        exchanged[:, [12, 18]] = features[:, [18, 12]]
        logits, other = (
            model(each, torch.ones(1, 30, dtype=torch.bool))[-1][0, 15]
            for each in (features, exchanged)
        )
    assert (logits - other).abs().max() > 1e-6
