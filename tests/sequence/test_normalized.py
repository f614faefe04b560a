"""Raw features become z-scores before a sequence network sees them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pixelethogram.sequence.models.normalized import NormalizedSequence


class Echo(nn.Module):
    """Gives back what it is given."""

    receptive_radius = 4

    def forward(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        return [features]


def test_features_are_z_scored_and_clipped() -> None:
    model = NormalizedSequence(Echo(), torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0]))
    features = torch.tensor([[[5.0, 0.002], [-1e6, 1.0]]])
    normalized = model(features, torch.ones(1, 2, dtype=torch.bool))[0]
    torch.testing.assert_close(normalized, torch.tensor([[[2.0, 2.0], [-8.0, 8.0]]]))
    assert model.receptive_radius == 4
    assert set(model.state_dict()) == {"mean", "std"}


def test_statistics_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        NormalizedSequence(Echo(), torch.zeros(2), torch.ones(3))
