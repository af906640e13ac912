"""Final-feature matching: what the receiver reads its answers from is to be as in the receiver."""

from collections.abc import Sequence

from torch import Tensor

from frankenstein.tasks.objectives.passes import Objective, Pass
from frankenstein.tasks.objectives.unexplained import unexplained


def final_features(later: Sequence[str]) -> Objective:
    """Share of the variance of the last of these layers that the stitched input leaves unexplained.

    The last one is the penultimate layer, as `surgery.key_layers.later_layers` lists them. Neither
    labels nor logits enter.

    Source: Mai 2026, https://arxiv.org/abs/2603.12433.
    """
    layer = later[-1]

    def final(batch: Pass) -> Tensor:
        return unexplained(*batch.both_at(layer))

    return final
