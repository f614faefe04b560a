"""LSTM and GRU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pixelethogram.sequence.models.recurrent import GRUConfig, LSTMConfig

CELLS: list[tuple[Any, Any]] = [(LSTMConfig, nn.LSTM), (GRUConfig, nn.GRU)]


@pytest.mark.parametrize(("config", "cell"), CELLS)
def test_on_whole_windows_both_directions_equal_torchs_own(config: Any, cell: Any) -> None:
    model = config(hidden=5).build(4, 2)
    reference = cell(4, 5, batch_first=True, bidirectional=True)
    state = {f"{name}_reverse": value for name, value in model.back.state_dict().items()}
    reference.load_state_dict({**model.ahead.state_dict(), **state})
    features = torch.randn(3, 20, 4)
    expected = model.output(reference(features)[0])
    logits = model(features, torch.ones(3, 20, dtype=torch.bool))[-1]
    torch.testing.assert_close(logits, expected)


def test_runs_of_earlier_versions_can_be_loaded() -> None:
    """Names in the state dict of an LSTM never change."""
    parts = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    names = [f"{direction}.{part}" for direction in ("ahead", "back") for part in parts]
    assert list(LSTMConfig().build(4, 2).state_dict()) == [*names, "output.weight", "output.bias"]
