"""Functional latent alignment: every later layer is to be as in the receiver."""

from collections.abc import Sequence

from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.surgery.capture import OUTPUT
from frankenstein.tasks.objectives.passes import Objective, Pass
from frankenstein.tasks.objectives.unexplained import unexplained


def latent_alignment(
    later: Sequence[str],
    align_weights: Sequence[float] | None = None,  # the cut's, those of `later`, the logits'
) -> Objective:
    """Weighted mean of `unexplained` over the cut, later layers and the logits; equal by default.

    Where no key layer lies behind the cut, these are the cut and the logits.

    Source: functional latent alignment, https://arxiv.org/abs/2505.20142, its distances over the
    target's variance, so that layers of any scale count as their weights say.

    Raises:
        UserError: unless there is one weight of 0 or more for each, and one above 0.
    """
    names = ["the cut", *later, "the logits"]
    weights = [1.0] * len(names) if align_weights is None else list(align_weights)
    if len(weights) != len(names):
        raise UserError(
            f"‹align_weights› has one number for each of {', '.join(names)}: {len(names)}, got "
            f"{len(weights)}"
        )
    if min(weights) < 0 or not sum(weights) > 0:
        raise UserError(f"‹align_weights› are 0 or more, and not all 0, got {weights}")
    shares = [weight / sum(weights) for weight in weights]

    def aligned(batch: Pass) -> Tensor:
        pairs = [(batch.stitched, batch.target)] if shares[0] else []
        pairs += [
            batch.both_at(layer)
            for layer, share in zip([*later, OUTPUT], shares[1:], strict=True)
            if share
        ]
        used = [share for share in shares if share]
        losses = [s * unexplained(*pair) for s, pair in zip(used, pairs, strict=True)]
        return sum(losses[1:], losses[0])

    return aligned
