"""Features of a whole video in, probabilities out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelethogram.sequence.models.normalized import NormalizedSequence
from pixelethogram.sequence.models.tgm import TGMConfig
from pixelethogram.sequence.predict import predict_probabilities


@pytest.fixture
def model() -> NormalizedSequence:
    network = TGMConfig(filter_length=5, hidden=8).build(6, 3, None)
    return NormalizedSequence(network, torch.full((6,), 0.5), torch.ones(6)).eval()


FEATURES = np.random.default_rng(0).normal(size=(9000, 6)).astype(np.float16)


def predict(model: NormalizedSequence, features: np.ndarray, exclusive: bool = False) -> np.ndarray:
    return predict_probabilities(
        model, lambda start, stop: features[start:stop], len(features), exclusive=exclusive
    )


def test_a_video_in_chunks_equals_the_video_as_a_whole(model: NormalizedSequence) -> None:
    tensor = torch.from_numpy(FEATURES.astype(np.float32))[None]
    with torch.no_grad():
        logits = model(tensor, torch.ones(1, len(FEATURES), dtype=torch.bool))[-1][0]
    assert predict(model, FEATURES) == pytest.approx(logits.sigmoid().numpy(), abs=1e-5)


def test_only_stretches_are_read_so_memory_stays_flat(model: NormalizedSequence) -> None:
    read: list[int] = []

    def read_some(start: int, stop: int) -> np.ndarray:
        read.append(stop - start)
        return FEATURES[start:stop]

    predict_probabilities(model, read_some, len(FEATURES), exclusive=False)
    assert len(read) > 1
    assert max(read) < len(FEATURES)


def test_independent_behaviors_are_sigmoids(model: NormalizedSequence) -> None:
    probabilities = predict(model, FEATURES[:50])
    assert probabilities.shape == (50, 3)
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_exclusive_behaviors_share_one_with_none_of_them(model: NormalizedSequence) -> None:
    independent = predict(model, FEATURES[:50])
    exclusive = predict(model, FEATURES[:50], exclusive=True)
    assert exclusive.shape == (50, 2)
    odds = np.exp(np.log(independent) - np.log1p(-independent))  # e to the logits
    assert exclusive == pytest.approx((odds / odds.sum(axis=1, keepdims=True))[:, :2], abs=1e-4)


def test_a_video_of_one_frame_works(model: NormalizedSequence) -> None:
    assert predict(model, FEATURES[:1]).shape == (1, 3)
