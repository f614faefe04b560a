"""Losses: closed forms, gradients, and equality with the reference values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelethogram.training.losses import (
    decayed_parameters,
    exclusive_classes,
    exclusive_log_odds,
    exclusive_loss,
    exclusive_weights,
    focal_loss,
    l2_sp,
    positive_weights,
    prior_log_odds,
    truncated_mse,
)

RARE = 99**0.25  # weight of a behavior present on 1 % of the frames


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(array))


@pytest.mark.parametrize(
    ("logit", "label", "plain", "weighted"),
    [
        (0, 0, 0.346574, 0.383905),
        (0, 1, 0.346574, 1.055880),
        (4, 1, 0.003924, 0.004592),
        (4, 0, 3.749476, 3.751396),
        (-4, 1, 3.749476, 11.825210),
        (-4, 0, 0.003924, 0.011709),
    ],
)
def test_focal_loss_of_one_entry(logit: float, label: int, plain: float, weighted: float) -> None:
    logits, labels = torch.tensor([[float(logit)]]), torch.tensor([[label]])
    weights = torch.tensor([RARE])
    assert focal_loss(logits, labels).item() == pytest.approx(plain, abs=1e-6)
    with_weight = focal_loss(logits, labels, positive_weights=weights)
    assert with_weight.item() == pytest.approx(weighted, abs=2e-6)


def test_without_fading_and_smoothing_it_is_binary_cross_entropy() -> None:
    logits, labels = torch.randn(8, 5) * 3, torch.randint(0, 2, (8, 5))
    expected = F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="sum") / 8
    torch.testing.assert_close(focal_loss(logits, labels, gamma=0, smoothing=0), expected)
    for logit, label, value in [(0, 1, math.log(2)), (4, 0, 4.018150), (-4, 1, 4.018150)]:
        entry = focal_loss(
            torch.tensor([[float(logit)]]), torch.tensor([[label]]), gamma=0, smoothing=0
        )
        assert entry.item() == pytest.approx(value, abs=1e-6)


def test_unscored_entries_have_no_gradient_and_no_loss() -> None:
    logits = torch.randn(4, 6, 3, requires_grad=True)
    labels = torch.randint(-1, 2, (4, 6, 3), dtype=torch.int8)
    focal_loss(logits, labels).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad == 0, labels == -1)
    assert focal_loss(logits, torch.full_like(labels, -1)).item() == 0


def test_twice_the_batch_has_the_same_loss_and_twice_the_frames_twice_the_loss() -> None:
    logits, labels = torch.randn(3, 7, 2), torch.randint(0, 2, (3, 7, 2))
    once = focal_loss(logits, labels)
    torch.testing.assert_close(focal_loss(logits.repeat(2, 1, 1), labels.repeat(2, 1, 1)), once)
    torch.testing.assert_close(focal_loss(logits.repeat(1, 2, 1), labels.repeat(1, 2, 1)), 2 * once)


def test_focal_gradient_flows_through_the_fading() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64)
    labels = torch.randint(0, 2, (3, 4))

    def loss_at(offset: float) -> float:
        return focal_loss(logits + offset, labels).item()

    moving = logits.clone().requires_grad_()
    focal_loss(moving, labels).backward()
    assert moving.grad is not None
    slope = (loss_at(0.05) - loss_at(-0.05)) / 0.1
    assert moving.grad.sum().item() == pytest.approx(slope, rel=2e-3)


def test_extreme_logits_are_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[0, 1, 1, 0]]), gamma=2)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        focal_loss(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize("gamma", [0, 1, 2])
@pytest.mark.parametrize("smoothing", ["0", "0.05"])
@pytest.mark.parametrize("weights", ["pw", "nopw"])
def test_focal_loss_equals_the_reference(
    golden: Path, gamma: int, smoothing: str, weights: str
) -> None:
    arrays = np.load(golden / "loss_focal.npz")
    logits = tensor(arrays["logits"]).requires_grad_()
    loss = focal_loss(
        logits,
        tensor(arrays["labels"]),
        positive_weights=tensor(arrays["pos_weight"]) if weights == "pw" else None,
        gamma=gamma,
        smoothing=float(smoothing),
    )
    loss.backward()
    key = f"g{gamma}_ls{smoothing}_{weights}"
    assert loss.item() == pytest.approx(float(arrays[f"loss_{key}"]), rel=1e-6)
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad, arrays[f"grad_{key}"], atol=1e-6)


def test_focal_loss_of_windows_equals_the_reference(golden: Path) -> None:
    arrays = np.load(golden / "loss_focal.npz")
    logits = tensor(arrays["seq_logits_NKT"]).transpose(1, 2).requires_grad_()
    logits.retain_grad()
    labels = tensor(arrays["seq_labels_NKT"]).transpose(1, 2)
    loss = focal_loss(logits, labels, positive_weights=tensor(arrays["pos_weight"]))
    loss.backward()
    assert loss.item() == pytest.approx(float(arrays["seq_loss_g1_ls005_pw"]), rel=1e-6)
    assert logits.grad is not None
    expected = arrays["seq_grad_g1_ls005_pw"].transpose(0, 2, 1)
    np.testing.assert_allclose(logits.grad, expected, atol=1e-6)


def test_exclusive_loss_of_equal_logits_is_the_log_of_the_number_of_classes() -> None:
    labels = torch.tensor([[0, 1, 0], [0, 0, 0]], dtype=torch.int8)
    assert exclusive_loss(torch.zeros(2, 4), labels).item() == pytest.approx(math.log(4))


def test_the_last_logit_means_none_of_them() -> None:
    logits = torch.tensor([[0.0, 0.0, 9.0]])
    none_present = exclusive_loss(logits, torch.tensor([[0, 0]])).item()
    assert none_present == pytest.approx(math.log1p(2 * math.exp(-9)), rel=1e-3)
    assert exclusive_loss(logits, torch.tensor([[1, 0]])).item() > 9


def test_a_present_behavior_gives_the_class_whatever_was_scored_of_the_others() -> None:
    labels = torch.tensor([[1, 0], [-1, 1], [0, 0], [0, -1], [-1, -1]], dtype=torch.int8)
    assert exclusive_classes(labels).tolist() == [0, 1, 2, -1, -1]


def test_exclusive_frames_of_unknown_class_have_no_gradient() -> None:
    logits = torch.randn(2, 3, 3, requires_grad=True)
    labels = torch.tensor([[[1, 0], [0, -1], [-1, -1]], [[0, 0], [-1, 1], [0, 1]]])
    exclusive_loss(logits, labels).backward()
    assert logits.grad is not None
    scored = logits.grad.abs().sum(dim=-1) > 0
    assert scored.tolist() == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_with_one_behavior_the_exclusive_loss_is_the_focal_loss(
    gamma: float, smoothing: float
) -> None:
    difference, none = torch.randn(6, 4, 1) * 3, torch.randn(6, 4, 1)
    labels = torch.randint(-1, 2, (6, 4, 1))
    settings = {"gamma": gamma, "smoothing": smoothing}
    found = exclusive_loss(
        torch.cat([difference + none, none], dim=-1),
        labels,
        class_weights=torch.tensor([3.0, 1.0]),
        **settings,
    )
    expected = focal_loss(difference, labels, positive_weights=torch.tensor([3.0]), **settings)
    torch.testing.assert_close(found, expected)


def test_fading_and_smoothing_of_equal_exclusive_logits() -> None:
    """Four classes of probability 1/4: the entropy is log 4 whatever the target."""
    labels = torch.tensor([[0, 1, 0]])
    faded = exclusive_loss(torch.zeros(1, 4), labels, gamma=2, smoothing=0.3)
    assert faded.item() == pytest.approx((3 / 4) ** 2 * math.log(4))
    weights = torch.tensor([1.0, 2.0, 4.0, 8.0])
    weighted = exclusive_loss(torch.zeros(1, 4), labels, class_weights=weights, smoothing=0.3)
    assert weighted.item() == pytest.approx((0.7 * 2 + 0.1 * (1 + 4 + 8)) * math.log(4))


def test_extreme_exclusive_logits_are_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]], requires_grad=True)
    loss = exclusive_loss(logits, torch.tensor([[1, 0], [0, 1]]), gamma=0.5, smoothing=0.05)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None and logits.grad.isfinite().all()


def one_hot(classes: np.ndarray, num_classes: int) -> Tensor:
    """Labels (…, K) of class indices 0…K, K = none of them; −1 stays −1."""
    labels = np.stack([classes == k for k in range(num_classes - 1)], axis=-1).astype(np.int8)
    labels[classes < 0] = -1
    return tensor(labels)


def test_exclusive_loss_equals_the_reference(golden: Path) -> None:
    arrays = np.load(golden / "loss_cross_entropy.npz")
    logits, weight = tensor(arrays["logits"]), tensor(arrays["weight"])
    labels = one_hot(arrays["labels"], 5)
    assert exclusive_loss(logits, labels).item() == pytest.approx(float(arrays["loss"]), rel=1e-6)
    weighted = exclusive_loss(logits, labels, class_weights=weight)
    assert weighted.item() == pytest.approx(float(arrays["loss_weighted"]), rel=1e-6)
    windows = tensor(arrays["seq_logits_NKT"]).transpose(1, 2)
    loss = exclusive_loss(windows, one_hot(arrays["seq_labels_NT"], 5))
    assert loss.item() == pytest.approx(float(arrays["seq_loss"]), rel=1e-6)


def columns(present: list[int], absent: list[int]) -> Tensor:
    """Labels (N, K) with these counts per column, the rest unscored."""
    labels = torch.full((max(np.add(present, absent)), len(present)), -1, dtype=torch.int8)
    for k, (ones, zeros) in enumerate(zip(present, absent, strict=True)):
        labels[:ones, k] = 1
        labels[ones : ones + zeros, k] = 0
    return labels


def test_one_percent_present_gives_the_known_weight_and_bias() -> None:
    labels = columns([1], [99])
    weights, trainable = positive_weights(labels)
    assert weights.item() == pytest.approx(3.1543, abs=5e-5)
    assert trainable.all()
    assert prior_log_odds(labels).item() == pytest.approx(-4.5951, abs=5e-5)


def test_behaviors_without_both_answers_get_weight_one_and_a_finite_bias() -> None:
    labels = columns([0, 10, 0], [10, 0, 0])
    weights, trainable = positive_weights(labels)
    assert weights.tolist() == [1, 1, 1]
    assert trainable.tolist() == [False, True, False]
    expected = [math.log(0.5 / 10), math.log(10 / 0.5), 0]
    np.testing.assert_allclose(prior_log_odds(labels), expected, rtol=1e-6)


@pytest.mark.parametrize("exponent", ["0", "0.25", "0.5", "1"])
def test_weights_and_biases_equal_the_reference_where_both_answers_occur(
    golden: Path, exponent: str
) -> None:
    arrays = np.load(golden / "class_weights_bias.npz")
    both = (arrays["pos"] > 0) & (arrays["neg"] > 0)
    labels = columns(arrays["pos"].tolist(), arrays["neg"].tolist())
    weights, _ = positive_weights(labels, float(exponent))
    np.testing.assert_allclose(weights[both], arrays[f"pos_weight_exp{exponent}"][both], rtol=1e-6)
    np.testing.assert_allclose(prior_log_odds(labels)[both], arrays["bias_init"][both], rtol=1e-6)


def test_the_starting_bias_gives_the_share_of_each_behavior() -> None:
    labels = columns([3, 1], [5, 9])
    np.testing.assert_allclose(torch.sigmoid(prior_log_odds(labels)), [3 / 8, 1 / 10], atol=1e-6)
    exclusive = one_hot(np.array([0, 0, 1, 2, 2, 2, 2, -1]), 3)
    shares = torch.softmax(exclusive_log_odds(exclusive), dim=0)
    np.testing.assert_allclose(shares, [2 / 7, 1 / 7, 4 / 7], atol=1e-6)


def test_a_present_behavior_counts_for_the_starting_bias_beside_unscored_ones() -> None:
    labels = torch.tensor([[1, -1], [1, -1], [1, 0], [0, 1], [0, 0], [0, -1]], dtype=torch.int8)
    shares = torch.softmax(exclusive_log_odds(labels), dim=0)
    np.testing.assert_allclose(shares, [3 / 5, 1 / 5, 1 / 5], atol=1e-6)


def test_rare_classes_weigh_more_and_those_that_never_occur_as_much_as_others() -> None:
    exclusive = one_hot(np.array([0, 3, 3, 3, 2, 3, 3, 3, 3, 3, -1]), 4)
    found = exclusive_weights(exclusive, 0.5)
    np.testing.assert_allclose(found, [3, 1, 3, (2 / 8) ** 0.5], rtol=1e-6)
    assert exclusive_weights(exclusive, 0).tolist() == [1, 1, 1, 1]


def test_a_class_that_never_occurs_starts_rare_but_finite() -> None:
    biases = exclusive_log_odds(torch.tensor([[1, 0], [1, 0]]))
    assert biases.isfinite().all()
    assert biases[0] > biases[1] == biases[2]


def test_only_trained_matrices_are_decayed() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    module[2].weight.requires_grad_(False)
    assert [id(p) for p in decayed_parameters(module)] == [id(module[0].weight)]


def test_the_pull_is_zero_at_the_start_and_grows_with_the_square_of_the_step() -> None:
    weight = nn.Parameter(torch.randn(3, 4))
    start = {weight: weight.detach().clone()}
    assert l2_sp(start, [], alpha=0.2).item() == 0
    step = torch.randn(3, 4)
    with torch.no_grad():
        weight += step
    loss = l2_sp(start, [], alpha=0.2)
    assert loss.item() == pytest.approx(0.1 * step.square().sum().item(), rel=1e-5)
    loss.backward()
    torch.testing.assert_close(weight.grad, 0.2 * step)
    assert l2_sp({}, [], alpha=0.2).item() == 0


def test_l2_sp_equals_the_reference(golden: Path) -> None:
    """The reference leaves out "subnet.weight", because this name contains "bn"; we do not."""
    arrays = np.load(golden / "loss_l2sp.npz")
    names = [n for n in (k[2:] for k in arrays if k.startswith("w_")) if "running" not in n]
    weights = {
        n: nn.Parameter(tensor(arrays[f"w_{n}"]), requires_grad="frozen" not in n) for n in names
    }
    decayed = {n: w for n, w in weights.items() if w.requires_grad and w.ndim >= 2}
    assert set(decayed) == {*arrays["decayed_keys"].tolist(), "subnet.weight"}
    del decayed["subnet.weight"]
    start, others = {}, []
    for name, weight in decayed.items():
        first = arrays[f"pre_{name}"] if f"pre_{name}" in arrays else np.zeros(0)
        if first.shape == weight.shape:
            start[weight] = tensor(first)
        else:
            others.append(weight)
    assert len(start) == len(arrays["matched_keys"])
    assert len(others) == len(arrays["new_keys"])
    default = l2_sp(start, others)
    assert default.item() == pytest.approx(float(arrays["l2sp_alpha1e5_beta1e3"]), rel=1e-6)
    strong = l2_sp(start, others, alpha=0.3, beta=0.7)
    assert strong.item() == pytest.approx(float(arrays["l2sp_alpha03_beta07"]), rel=1e-6)
    plain = l2_sp({}, decayed.values(), beta=0.01)
    assert plain.item() == pytest.approx(float(arrays["l2_alpha001"]), rel=1e-6)


def every_frame(logits: Tensor) -> Tensor:
    return torch.ones(logits.shape[:2], dtype=torch.bool)


def test_a_jump_over_the_whole_range_is_capped_at_tau_squared() -> None:
    jump = torch.tensor([[[-10.0], [10.0]]])
    assert truncated_mse(jump, every_frame(jump), exclusive=False).item() == pytest.approx(16)
    exclusive = torch.tensor([[[-10.0, 10.0], [10.0, -10.0]]])
    assert truncated_mse(exclusive, every_frame(exclusive), exclusive=True).item() == 16


def test_small_steps_cost_their_square() -> None:
    logits = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    before, after = math.log(1 / 2), 1 / (1 + math.exp(-1))
    steps = [math.log(after) - before, math.log(1 - after) - before]
    expected = (steps[0] ** 2 + steps[1] ** 2) / 2
    cost = truncated_mse(logits, every_frame(logits), exclusive=True)
    assert cost.item() == pytest.approx(expected, rel=1e-5)


def test_independent_behaviors_pay_for_present_and_absent_alike() -> None:
    """Logit 0 to 1: log-probabilities of present rise by .3799, those of absent fall by .6201."""
    logits = torch.tensor([[[0.0], [1.0]]])
    rise, fall = math.log(2 / (1 + math.exp(-1))), math.log(2 / (1 + math.exp(1)))
    assert (rise, fall) == pytest.approx((0.379885, -0.620115), abs=1e-6)
    cost = truncated_mse(logits, every_frame(logits), exclusive=False)
    assert cost.item() == pytest.approx((rise**2 + fall**2) / 2, rel=1e-5)


def test_the_cost_is_a_mean_over_pairs_and_logits() -> None:
    once = torch.tensor([[[-10.0], [10.0], [10.0]]])
    assert truncated_mse(once, every_frame(once), exclusive=False).item() == pytest.approx(8)
    beside = torch.cat([once, torch.zeros_like(once)], dim=2)
    assert truncated_mse(beside, every_frame(beside), exclusive=False).item() == pytest.approx(4)


def test_beyond_the_cap_there_is_no_gradient() -> None:
    logits = torch.tensor([[[-10.0], [10.0]]], requires_grad=True)
    truncated_mse(logits, every_frame(logits), exclusive=False).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("exclusive", [True, False])
def test_constant_logits_cost_nothing(exclusive: bool) -> None:
    logits = torch.randn(2, 1, 3).expand(2, 5, 3)
    assert truncated_mse(logits, every_frame(logits), exclusive=exclusive).item() == 0


@pytest.mark.parametrize("exclusive", [True, False])
def test_padding_takes_no_part_at_either_end_of_a_pair(exclusive: bool) -> None:
    logits = torch.randn(1, 6, 3)
    mask = torch.tensor([[True, True, True, False, True, True]])
    cost = truncated_mse(logits, mask, exclusive=exclusive)
    pairs = torch.stack([logits[0, [0, 1]], logits[0, [1, 2]], logits[0, [4, 5]]])
    torch.testing.assert_close(cost, truncated_mse(pairs, every_frame(pairs), exclusive=exclusive))
    nobody = torch.zeros_like(mask)
    assert truncated_mse(logits, nobody, exclusive=exclusive).item() == 0


def test_the_gradient_moves_the_later_frame_only() -> None:
    logits = torch.randn(1, 2, 3, requires_grad=True)
    truncated_mse(logits, every_frame(logits), exclusive=False).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].abs().sum() == 0
    assert (logits.grad[0, 1] != 0).all()
