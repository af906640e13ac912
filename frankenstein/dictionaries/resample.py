"""Features that have died get another chance."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from frankenstein.dictionaries.dictionary import Dictionary

# Of the mean length of live encoder rows. With a ReLU a new feature starts small, so as not to
# disturb the others; among the k largest it has to win to be active at all.
_LENGTH = {"relu": 0.2, "topk": 1.0}


@torch.no_grad()
def resample(
    dictionary: Dictionary,
    dead: Tensor,  # (F,) bool
    rows: Tensor,  # (N, D): places as the layer gives them
    optimizer: Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> None:
    """Point dead features at what the others leave of badly rebuilt rows.

    Rows are drawn in proportion to their squared loss. Direction and encoder row become the row's
    residual, the bias 0, and what the optimizer knows of the feature is forgotten.

    Source: Bricken et al. 2023, "Neuron resampling". There the direction is the row itself; the
    residual is what is missing, and what the auxiliary loss of Gao et al. 2024 has dead features
    learn.
    """
    which = dead.nonzero().squeeze(1)
    if len(which) == 0:
        return
    residual = (rows - dictionary(rows)) / dictionary.scale
    weights = residual.square().sum(1).square().double().cpu()
    if weights.sum() == 0:  # nothing is missing
        return
    some = torch.multinomial(weights, len(which), replacement=True, generator=generator)
    new = residual[some.to(rows.device)]
    new = new / new.norm(dim=1, keepdim=True)
    alive = dictionary.encoder[~dead].norm(dim=1)
    length = alive.mean() if len(alive) else dictionary.encoder.new_ones(())
    dictionary.encoder[which] = _LENGTH["relu" if dictionary.k is None else "topk"] * length * new
    dictionary.encoder_bias[which] = 0
    dictionary.decoder[:, which] = new.T
    for parameter in (dictionary.encoder, dictionary.encoder_bias):
        _forget(optimizer, parameter, which, 0)
    _forget(optimizer, dictionary.decoder, which, 1)


def _forget(optimizer: Optimizer | None, parameter: Tensor, which: Tensor, axis: int) -> None:
    """Set to 0 what is remembered of these rows or columns: momentum, and squares of gradients."""
    for value in optimizer.state[parameter].values() if optimizer else ():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value.index_fill_(axis, which, 0)
