"""A dictionary of one layer that reads and writes another."""

import numpy as np
import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.dictionaries import Dictionary, carry_dictionary, mean_and_scale

D, E, N = 5, 7, 80


def planted(units, **options):
    dictionary = Dictionary(units, 12, **options).double()
    dictionary.encoder_bias.data.normal_()
    dictionary.decoder_bias.data.normal_()
    return dictionary


def carried(dictionary, x, y):
    dictionary.mean, dictionary.scale = (part.double() for part in mean_and_scale([x]))
    there, back = Moments().update(x, y), Moments().update(y, x)
    return carry_dictionary(dictionary, there, back, *mean_and_scale([y]))


def test_it_reads_by_the_reverse_map_and_writes_by_the_forward_one():
    x, y = torch.randn(N, D).double() + 1, torch.randn(N, E).double() - 2
    y[:, :D] += 3 * x
    dictionary = planted(D)
    found = carried(dictionary, x, y)
    parts = (dictionary.mean, dictionary.scale, dictionary.encoder, dictionary.encoder_bias)
    parts += dictionary.decoder, dictionary.decoder_bias
    mean, scale, w, b, directions, centre = (part.detach().numpy() for part in parts)
    x, y = x.numpy(), y.numpy()
    ones = np.ones((N, 1))
    back = np.linalg.lstsq(np.c_[y, ones], x, rcond=None)[0]
    there = np.linalg.lstsq(np.c_[x, ones], y, rcond=None)[0]
    strength = np.maximum(((np.c_[y, ones] @ back - mean) / scale - centre) @ w.T + b, 0)
    rebuilt = mean + scale * (centre + strength @ directions.T)
    z = torch.from_numpy(y)
    np.testing.assert_allclose(
        found(z).detach(), np.c_[rebuilt, ones] @ there, rtol=1e-5, atol=1e-5
    )
    active = found.encode(z).detach().numpy() > 0
    assert (active == (strength > 0)).mean() > 0.999
    lengths = found.decoder.detach().norm(dim=0)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


@pytest.mark.parametrize("k", [None, 3])
def test_over_a_rotation_of_another_size_it_is_the_dictionary_itself(k):
    x = torch.randn(N, D).double()
    turn = torch.linalg.qr(torch.randn(D, D)).Q.double()
    y = 4 * x @ turn.T + 1
    dictionary = planted(D, k=k)
    found = carried(dictionary, x, y)
    torch.testing.assert_close(found(y), 4 * dictionary(x) @ turn.T + 1, rtol=1e-5, atol=1e-5)
    assert found.k == k
