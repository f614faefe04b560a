"""L2-SP: weights are pulled to what they started from, and those without a start to zero.

Source: Li et al. 2018, "Explicit inductive bias for transfer learning with convolutional networks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from pixelethogram.training.losses import l2_sp


def start_penalty(
    learning: Sequence[nn.Parameter],
    start: Mapping[nn.Parameter, Tensor],
    *,
    alpha: float,
    beta: float,
) -> Tensor:
    """Penalty on the parameters that learn.

    Args:
        learning: What decays (`decayed_parameters`).
        start: Start values by parameter (the object, not its name), also of others that do not
            learn now.
        alpha: Strength of the pull to the start.
        beta: Strength of the pull to zero.

    Returns:
        Scalar L2-SP; where nothing that learns has a start value, plain L2 of strength `alpha`.
    """
    matched = {parameter: start[parameter] for parameter in learning if parameter in start}
    others = [parameter for parameter in learning if parameter not in matched]
    return l2_sp(matched, others, alpha=alpha, beta=beta if matched else alpha)
