"""Batch normalisation folded into the convolution before it: the same function with less work.

In evaluation mode a batch normalisation is a factor and an offset per channel, which the weights
and the bias of the convolution can take over. Source: Jacob et al. 2018, "Quantization and training
of neural networks for efficient integer-arithmetic-only inference", section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)


def fold_batch_norms(network: nn.Module) -> int:
    """Take every batch normalisation that follows a convolution into it; for evaluation only.

    A normalisation belongs to the convolution that its module registered right before it: so all of
    our networks and torchvision's are built, and the tests compare outputs for every entry of the
    tables. One without such a neighbour stays.

    Args:
        network: In evaluation mode; it is changed.

    Returns:
        How many were folded.
    """
    if network.training:
        raise ValueError("the network is in training mode; call network.eval() first")
    num_folded = 0
    before: nn.Module | None = None
    for name, module in list(network.named_children()):
        if isinstance(module, NORMS) and isinstance(before, CONVOLUTIONS):
            _fold(before, module)
            setattr(network, name, nn.Identity())
            num_folded += 1
        else:
            num_folded += fold_batch_norms(module)
        before = module
    return num_folded


@torch.no_grad()
def _fold(convolution: nn.Module, norm: nn.Module) -> None:
    """Computed in float64, so that only the last rounding is left."""
    assert isinstance(convolution, CONVOLUTIONS)
    assert isinstance(norm, NORMS)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    gain = torch.ones_like(mean) if norm.weight is None else norm.weight.double()
    shift = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    bias = torch.zeros_like(mean) if convolution.bias is None else convolution.bias.double()
    factor = gain / torch.sqrt(variance + norm.eps)
    weight = convolution.weight
    folded = weight.double() * _along_outputs(factor, convolution)
    layout = torch.preserve_format
    convolution.weight = nn.Parameter(folded.to(weight, memory_format=layout), requires_grad=False)
    new_bias = ((bias - mean) * factor + shift).to(weight.dtype)
    convolution.bias = nn.Parameter(new_bias, requires_grad=False)


def _along_outputs(factor: Tensor, convolution: nn.Module) -> Tensor:
    """One number per output channel, shaped to scale the kernels."""
    spatial = [1] * (convolution.weight.ndim - 2)  # type: ignore[operator]
    if not isinstance(convolution, TRANSPOSED):
        return factor.view(-1, 1, *spatial)
    groups = convolution.groups
    inputs_per_group = convolution.in_channels // groups
    by_group = factor.view(groups, 1, -1).expand(-1, inputs_per_group, -1)
    return by_group.reshape(convolution.in_channels, -1, *spatial)
