"""Losses of the feature extractor and the sequence models, their weights, and starting biases.

Reduction: sum over behaviors (and frames of a window), mean over the batch. The strengths of the
regularisation terms are only meaningful with it. Focal loss: Lin et al. 2017; L2-SP: Li et al.
2018; smoothness of logits: Farha & Gall 2019 (MS-TCN).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PROBABILITY_FLOOR = 1e-7


def focal_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    positive_weights: Tensor | None = None,
    gamma: float = 1.0,
    smoothing: float = 0.05,
) -> Tensor:
    """Binary cross-entropy that fades for entries the model already gets right.

    Args:
        logits: (B, …, K) any float; computed in float32.
        labels: (B, …, K); 1 present, 0 absent, negative where nobody scored (loss and gradient 0).
        positive_weights: (K,) factor of the loss towards 1; None: 1. With smoothing it touches
            absent entries too, as the target there is not quite 0.
        gamma: Strength of the fading; 0 is plain binary cross-entropy.
        smoothing: Targets are `smoothing` and 1 − `smoothing` instead of 0 and 1.

    Returns:
        Scalar: sum over behaviors and frames, mean over the first dimension.
    """
    _refuse_other_shape(logits, labels)
    logits = logits.float()
    present = labels > 0
    target = torch.where(present, 1 - smoothing, smoothing)
    towards_one = target * F.logsigmoid(logits)
    if positive_weights is not None:
        towards_one = towards_one * positive_weights
    entropy = -towards_one - (1 - target) * F.logsigmoid(-logits)
    probability = torch.sigmoid(logits).clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    fading = torch.where(present, 1 - probability, probability) ** gamma
    return _reduce((fading * entropy).masked_fill(labels < 0, 0.0))


def exclusive_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    gamma: float = 0.0,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy for behaviors of which at most one is present per frame.

    With one behavior it is the focal loss of the difference of the two logits.

    Args:
        logits: (B, …, K + 1); the last one means "none of them".
        labels: (B, …, K) of 1 / 0 / −1 with at most one 1 per frame. A frame whose class is unknown
            (`exclusive_classes`) has neither loss nor gradient.
        class_weights: (K + 1,) factor of the loss towards each class; None: 1.
        gamma: Strength of the fading; 0 is plain cross-entropy.
        smoothing: The target of a frame's class is 1 − `smoothing`; the others share the rest.

    Returns:
        Scalar: sum over frames, mean over the first dimension.
    """
    _refuse_other_shape(logits[..., :-1], labels)
    classes = exclusive_classes(labels)
    is_class = F.one_hot(classes.clamp_min(0), logits.shape[-1]).bool()
    log_probabilities = F.log_softmax(logits.float(), dim=-1)
    target = torch.where(is_class, 1 - smoothing, smoothing / labels.shape[-1])
    if class_weights is not None:
        target = target * class_weights
    entropy = -(target * log_probabilities).sum(dim=-1)
    probability = log_probabilities.masked_fill(~is_class, -torch.inf).amax(dim=-1).exp()
    fading = (1 - probability.clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)) ** gamma
    return _reduce((fading * entropy).masked_fill(classes < 0, 0.0))


def exclusive_classes(labels: Tensor) -> Tensor:
    """Class of each frame where at most one behavior is present.

    Args:
        labels: (…, K) of 1 / 0 / −1.

    Returns:
        (…,) int64: the behavior that is present, whatever was scored of the others; K where all
        are absent; −1 where neither is known.
    """
    present = labels > 0
    none_of_them = (labels == 0).all(dim=-1)
    absent_or_unknown = torch.where(none_of_them, labels.shape[-1], -1)
    return torch.where(present.any(dim=-1), present.long().argmax(dim=-1), absent_or_unknown)


def _refuse_other_shape(logits: Tensor, labels: Tensor) -> None:
    if logits.shape != labels.shape:
        raise ValueError(f"labels {(*labels.shape,)} do not fit logits {(*logits.shape,)}")


def _reduce(loss: Tensor) -> Tensor:
    """Sum over everything, divided by the size of the batch."""
    return loss.sum() / loss.shape[0]


def positive_weights(labels: Tensor, exponent: float = 0.25) -> tuple[Tensor, Tensor]:
    """Weights that make rare behaviors count more.

    Args:
        labels: (…, K) of 1 / 0 / −1, the training labels.
        exponent: 0 weighs all alike, 1 gives both answers the same total weight.

    Returns:
        weights: (K,) float32, (absent / present) ** exponent; 1 where either count is 0.
        trainable: (K,) bool, False for behaviors that are never present: nothing can be learned
            about them. Set their labels to −1 to leave them out of the loss.
    """
    present, absent = _count(labels)
    return _to_weights(present, absent, exponent), present > 0


def exclusive_weights(labels: Tensor, exponent: float = 0.25) -> Tensor:
    """Weights that make rare classes count more, "none of them" included.

    Args:
        labels: (…, K) of 1 / 0 / −1; frames of unknown class are left out.
        exponent: As in `positive_weights`.

    Returns:
        (K + 1,) float32, (frames of other classes / frames of this one) ** exponent; 1 where
        either count is 0.
    """
    count = _count_classes(labels)
    return _to_weights(count, count.sum() - count, exponent)


def prior_log_odds(labels: Tensor) -> Tensor:
    """Log-odds of each behavior in the training labels, the bias to start the last layer with.

    Args:
        labels: (…, K) of 1 / 0 / −1.

    Returns:
        (K,) float32. A behavior that is never (always) present counts as half a frame present
        (absent); one that nobody scored gives 0.
    """
    present, absent = _count(labels)
    odds = torch.log(present.clamp_min(0.5) / absent.clamp_min(0.5))
    return torch.where(present + absent > 0, odds, torch.zeros_like(odds)).float()


def exclusive_log_odds(labels: Tensor) -> Tensor:
    """Log of each class's share of the training frames, the bias to start a softmax with.

    Args:
        labels: (…, K) of 1 / 0 / −1; frames of unknown class are left out.

    Returns:
        (K + 1,) float32, last "none of them"; a class that never occurs counts as half a frame.
    """
    count = _count_classes(labels).clamp_min(0.5)
    return torch.log(count / count.sum()).float()


def _to_weights(present: Tensor, absent: Tensor, exponent: float) -> Tensor:
    both = (present > 0) & (absent > 0)
    ratio = torch.where(both, absent / present.clamp_min(1), torch.ones_like(absent))
    return (ratio**exponent).float()


def _count_classes(labels: Tensor) -> Tensor:
    """Frames of each class, (K + 1,) float64, last "none of them"."""
    classes = exclusive_classes(labels)
    return torch.bincount(classes[classes >= 0], minlength=labels.shape[-1] + 1).double()


def _count(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of ones and zeros per behavior, (K,) float64 each."""
    labels = labels.reshape(-1, labels.shape[-1])
    return (labels > 0).sum(dim=0).double(), (labels == 0).sum(dim=0).double()


def decayed_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that regularisation pulls: trained, and with two dimensions or more.

    That leaves out biases, batch-norm gains and the centres and widths of kernels.
    """
    return [p for p in module.parameters() if p.requires_grad and p.ndim >= 2]


def l2_sp(
    start: Mapping[nn.Parameter, Tensor],
    others: Iterable[nn.Parameter],
    *,
    alpha: float = 1e-5,
    beta: float = 1e-3,
) -> Tensor:
    """Pull parameters to the weights they started from, and fresh ones to zero.

    Args:
        start: Start weights by parameter (the object, not its name), in float32.
        others: Parameters without start weights.
        alpha: Strength of the pull to the start weights.
        beta: Strength of the pull to zero.

    Returns:
        Scalar alpha / 2 · Σ |w − w0|² + beta / 2 · Σ |w|².
    """
    to_start = [(weight - first).square().sum() for weight, first in start.items()]
    to_zero = [weight.square().sum() for weight in others]
    terms = [alpha / 2 * term for term in to_start] + [beta / 2 * term for term in to_zero]
    if not terms:
        return torch.zeros(())
    return torch.stack(terms).sum()


def truncated_mse(logits: Tensor, mask: Tensor, *, exclusive: bool, tau: float = 4.0) -> Tensor:
    """Penalty for log-probabilities that jump from one frame to the next.

    Args:
        logits: (B, T, O).
        mask: (B, T) bool; a pair of frames counts if both are True.
        exclusive: Probabilities are a softmax over the logits; otherwise a sigmoid of each, and
            the log-probabilities of present and of absent are averaged.
        tau: Largest jump that counts, so the penalty is at most tau².

    Returns:
        Scalar mean over pairs of frames and logits; 0 if no pair counts. The gradient moves the
        later frame only.
    """
    logits = logits.float()
    if exclusive:
        log_probabilities = [F.log_softmax(logits, dim=-1)]
    else:
        log_probabilities = [F.logsigmoid(logits), F.logsigmoid(-logits)]
    pairs = (mask[:, 1:] & mask[:, :-1])[..., None]
    total = logits.new_zeros(())
    for values in log_probabilities:
        jump = (values[:, 1:] - values[:, :-1].detach()).abs().clamp_max(tau)
        total = total + jump.square().masked_fill(~pairs, 0.0).sum()
    count = len(log_probabilities) * pairs.sum() * logits.shape[-1]
    return total / count.clamp_min(1)
