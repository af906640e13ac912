import copy

import pytest
import torch

from frankenstein.dictionaries import Dictionary, mean_and_scale, resample
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, per_location, pooled


def perfect(units):
    """A dictionary of every unit and its opposite, which rebuilds everything."""
    dictionary = Dictionary(units, 2 * units)
    directions = torch.cat([torch.eye(units), -torch.eye(units)])
    dictionary.encoder.data, dictionary.decoder.data = directions, directions.T.clone()
    return dictionary


def test_encoder_and_decoder_are_the_papers_equations():
    dictionary = Dictionary(5, 9, seed=3).double()
    for tensor in (*dictionary.parameters(), dictionary.mean):
        tensor.data.normal_()
    dictionary.scale.fill_(2.5)
    z = torch.randn(7, 5, dtype=torch.float64)
    with torch.no_grad():
        strength, rebuilt = dictionary.encode(z).numpy(), dictionary(z).numpy()
    w, b, d, c = (p.detach().numpy() for p in dictionary.parameters())
    x = (z.numpy() - dictionary.mean.numpy()) / 2.5
    f = ((x - c) @ w.T + b).clip(0)
    assert strength == pytest.approx(f)
    assert rebuilt == pytest.approx(dictionary.mean.numpy() + 2.5 * (f @ d.T + c))


def test_topk_keeps_the_k_largest_and_no_other():
    free, dictionary = Dictionary(6, 40, seed=1), Dictionary(6, 40, k=5, seed=1)
    z = torch.randn(100, 6)
    with torch.no_grad():
        all_, kept = free.encode(z), dictionary.encode(z)
    assert ((kept > 0).sum(1) == 5).all()
    assert torch.equal(kept.topk(5).values, all_.topk(5).values)
    assert torch.equal(kept, torch.where(kept > 0, all_, 0))


def test_fewer_than_k_are_active_where_fewer_are_positive():
    dictionary = Dictionary(4, 8, k=5)
    dictionary.encoder_bias.data[3:] = -100
    assert (dictionary.encode(torch.randn(50, 4)) > 0).sum(1).max() <= 3


@pytest.mark.parametrize("k", [None, 3])
@pytest.mark.parametrize("shape", [(2, 6, 3, 4), (2, 5, 6)])
def test_every_place_is_treated_alike(shape, k):
    dictionary, z = Dictionary(6, 12, k=k), torch.randn(shape)
    rows = per_location(z)
    assert torch.allclose(per_location(dictionary(z)), dictionary(rows), atol=1e-6)
    assert torch.allclose(per_location(dictionary.encode(z)), dictionary.encode(rows), atol=1e-6)
    assert pooled(dictionary.encode(z)).shape == (2, 12)


def test_a_perfect_dictionary_changes_nothing():
    dictionary, z = perfect(5), 3 * torch.randn(4, 5, 2, 2) + 1
    dictionary.mean.copy_(torch.randn(5))
    dictionary.scale.fill_(7.0)
    assert torch.allclose(dictionary(z), z, atol=1e-5)


def test_the_same_seed_gives_the_same_start_and_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    one = Dictionary(4, 8, seed=2)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    assert torch.equal(one.encoder, Dictionary(4, 8, seed=2).encoder)
    assert not torch.equal(one.encoder, Dictionary(4, 8, seed=3).encoder)
    assert torch.allclose(one.decoder.norm(dim=0), torch.ones(8))


def test_the_gradient_loses_what_would_lengthen_a_direction_and_nothing_else():
    dictionary = Dictionary(5, 7)
    dictionary(torch.randn(20, 5)).square().sum().backward()
    before = dictionary.decoder.grad.clone()
    dictionary.before_step()
    after, directions = dictionary.decoder.grad, dictionary.decoder.detach()
    assert torch.allclose((after * directions).sum(0), torch.zeros(7), atol=1e-5)
    along = (before * directions).sum(0)
    assert torch.allclose(before - after, directions * along, atol=1e-5)


def test_lengths_are_one_after_a_step():
    dictionary = Dictionary(5, 7)
    dictionary.decoder.data *= torch.rand(7) + 0.5
    dictionary.after_step()
    assert torch.allclose(dictionary.decoder.norm(dim=0), torch.ones(7))


def test_mean_and_scale_are_those_of_all_places_together():
    z = [torch.randn(n, 3, 2, 2) * 5 + 100 for n in (4, 1, 7)]
    rows = torch.cat([per_location(part) for part in z]).double().numpy()
    mean, scale = mean_and_scale(z)
    assert mean.numpy() == pytest.approx(rows.mean(0))
    away = rows - rows.mean(0)
    assert float(scale) == pytest.approx((away**2).sum(1).mean() ** 0.5)


@pytest.mark.parametrize(
    ("z", "said"),
    [
        ([], "no examples were given"),
        ([torch.full((5, 3), 7.1)], "the layer is constant"),
        ([torch.full((5, 3), float("nan"))], "NaN or Inf in the representation"),
    ],
)
def test_a_layer_that_has_no_scale_is_refused(z, said):
    with pytest.raises(UserError, match=said):
        mean_and_scale(z)


@pytest.mark.parametrize(("features", "k"), [(0, None), (4, 0), (4, 5)])
def test_a_dictionary_without_features_or_with_another_k_is_refused(features, k):
    with pytest.raises(UserError, match="choose 1 <= k <= features"):
        Dictionary(3, features, k)


def test_another_layer_is_refused():
    with pytest.raises(ShapeError, match="this dictionary is of 3 units, got a representation"):
        Dictionary(3, 6)(torch.zeros(2, 4))


@pytest.mark.parametrize("k", [None, 2])
def test_resampling_revives_dead_features_and_leaves_the_others_as_they_were(k):
    torch.manual_seed(0)
    dictionary, rows = Dictionary(6, 12, k=k), torch.randn(500, 6)
    dictionary.encoder_bias.data[:3] = -50
    dead = ~(dictionary.encode(rows) > 0).any(0)
    assert dead.tolist() == [True] * 3 + [False] * 9
    before = copy.deepcopy(dictionary)
    optimizer = torch.optim.Adam(dictionary.parameters())
    dictionary(rows).square().sum().backward()
    optimizer.step()
    dictionary.load_state_dict(before.state_dict())
    resample(dictionary, dead, rows, optimizer, torch.Generator().manual_seed(0))
    assert (dictionary.encode(rows) > 0).any(0).all()
    assert torch.allclose(dictionary.decoder.norm(dim=0), torch.ones(12))
    for name, parameter in dictionary.named_parameters():
        if name == "decoder_bias":
            continue
        axis = 1 if name == "decoder" else 0
        old = dict(before.named_parameters())[name]
        live = torch.arange(3, 12)
        assert torch.equal(parameter.index_select(axis, live), old.index_select(axis, live))
        remembered = optimizer.state[parameter]["exp_avg_sq"]
        assert remembered.index_select(axis, torch.arange(3)).eq(0).all()
        assert remembered.index_select(axis, live).ne(0).any()


def test_resampling_where_nothing_is_dead_or_nothing_is_missing_changes_nothing():
    rows = torch.randn(50, 5)
    one, other = Dictionary(5, 8), perfect(5)
    for dictionary, dead in ((one, torch.zeros(8) > 0), (other, torch.arange(10) == 3)):
        exact = rows.abs() if dictionary is other else rows
        before = copy.deepcopy(dictionary.state_dict())
        resample(dictionary, dead, exact)
        assert all(torch.equal(before[name], t) for name, t in dictionary.state_dict().items())
