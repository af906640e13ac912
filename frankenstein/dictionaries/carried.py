"""A dictionary of one layer as one of another: features read and written through two maps."""

import torch
from torch import Tensor

from frankenstein.accumulators.linear import least_squares
from frankenstein.accumulators.moments import Moments
from frankenstein.dictionaries.dictionary import Dictionary


@torch.no_grad()
def carry_dictionary(
    dictionary: Dictionary,  # of D units
    there: Moments,  # of the dictionary's layer as x (D) with the other layer as y (E)
    back: Moments,  # the same two the other way round
    mean: Tensor,  # (E,) of the other layer, and its scale, as of `mean_and_scale`
    scale: Tensor,  # ()
) -> Dictionary:  # of E units, with as many features
    """The dictionary on another layer: it reads by the reverse map, and writes by the forward one.

    Both are least squares. An encoder row w becomes w R, where R goes from the other layer back;
    a direction d becomes F d, where F goes there. Directions are brought to length 1 and encoder
    rows and biases multiplied by what they were, so that a feature adds what it did; of k features
    those are kept that add most there.

    Source: Chen et al. 2025, https://arxiv.org/abs/2506.06609.

    """
    forward, shift = (part.double() for part in least_squares(there))
    reverse, shift_back = (part.double() for part in least_squares(back))
    own_mean, own_scale = dictionary.mean.double(), dictionary.scale.double()
    mean, scale = mean.double(), scale.double()
    encoder, centre = dictionary.encoder.double(), dictionary.decoder_bias.double()
    # x of the other layer is (z - mean) / scale; what the encoder takes is A x + a.
    a_matrix = reverse * (scale / own_scale)
    a_shift = (reverse @ mean + shift_back - own_mean) / own_scale
    directions = forward @ dictionary.decoder.double() * (own_scale / scale)
    new_centre = (forward @ (own_mean + own_scale * centre) + shift - mean) / scale
    lengths = directions.norm(dim=0)
    rows = encoder @ a_matrix
    bias = dictionary.encoder_bias.double() + encoder @ (a_shift - centre) + rows @ new_centre
    options = {**dictionary.options, "units": len(mean)}
    carried = Dictionary(**options).to(dictionary.encoder)
    carried.encoder.copy_(lengths[:, None] * rows)
    carried.encoder_bias.copy_(lengths * bias)
    carried.decoder.copy_(directions / lengths.clamp(min=torch.finfo(lengths.dtype).tiny))
    carried.decoder_bias.copy_(new_centre)
    carried.mean, carried.scale = mean.to(dictionary.mean), scale.to(dictionary.scale)
    return carried
