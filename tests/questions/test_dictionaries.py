import numpy as np
import pytest
import torch
from torch import nn

from frankenstein.dictionaries import Dictionary, mean_and_scale
from frankenstein.errors import UserError
from frankenstein.questions.dictionaries.scores import evaluate_dictionary
from frankenstein.shapes import per_location
from frankenstein.surgery import cut


@pytest.fixture
def batches():
    """Batches of uneven sizes."""
    return [(torch.randn(n, 1, 8, 8), torch.arange(n) % 10) for n in (7, 5, 8)]


@pytest.fixture
def halves(small_network):
    return cut(small_network(0), after="bn1")


def fitted(halves, batches, **options):
    """A dictionary of the layer's own mean and scale, with random directions."""
    dictionary = Dictionary(4, **options)
    with torch.no_grad():
        dictionary.mean, dictionary.scale = mean_and_scale(halves.front(x) for x, _ in batches)
    return dictionary


def perfect(halves, batches):
    dictionary = fitted(halves, batches, features=8)
    directions = torch.cat([torch.eye(4), -torch.eye(4)])
    dictionary.encoder.data, dictionary.decoder.data = directions, directions.T.clone()
    return dictionary


def test_a_perfect_dictionary_changes_nothing_in_the_network(halves, batches):
    scores = evaluate_dictionary(halves, perfect(halves, batches), batches).scores
    assert scores["explained"] == pytest.approx(1, abs=1e-9)
    assert scores["agreement"] == 1
    assert scores["accuracy/reconstruction"] == scores["accuracy/network"]
    assert scores["loss/reconstruction"] == pytest.approx(scores["loss/network"], rel=1e-5)
    assert scores["recovered"] == pytest.approx(1, rel=1e-5)
    assert scores["l0"] == pytest.approx(4)  # every unit lies on one side of its mean
    assert scores["dead"] == 0


def test_a_dictionary_that_says_nothing_is_the_layers_mean(halves, batches):
    dictionary = perfect(halves, batches)
    dictionary.encoder_bias.data.fill_(-1e6)
    found = evaluate_dictionary(halves, dictionary, batches)
    scores = found.scores
    assert scores["explained"] == pytest.approx(0, abs=1e-6)
    assert (scores["l0"], scores["dead"]) == (0, 1)
    assert scores["loss/reconstruction"] == pytest.approx(scores["loss/mean"], rel=1e-5)
    assert scores["recovered"] == pytest.approx(0, abs=1e-5)
    assert found.top_strengths.eq(0).all()


@pytest.mark.parametrize("k", [None, 3])
def test_the_numbers_are_those_of_all_examples_at_once(halves, batches, k):
    dictionary = fitted(halves, batches, features=10, k=k, seed=2)
    found = evaluate_dictionary(halves, dictionary, batches, top=3)
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    with torch.no_grad():
        z = halves.front(images)
        strength, rebuilt = dictionary.encode(z), dictionary(z)
        answers, own = halves.end(rebuilt), halves.end(z)
        silent = halves.end(dictionary.mean[:, None, None].expand(1, -1, *z.shape[2:]))
    x, r = (per_location(part).double().numpy() for part in (z, rebuilt))
    f = per_location(strength).numpy()
    explained = 1 - ((x - r) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    losses = {
        name: nn.functional.cross_entropy(part.expand(len(labels), -1), labels).item()
        for name, part in (("network", own), ("reconstruction", answers), ("mean", silent))
    }
    right = (answers.argmax(1) == labels).double().mean().item()
    expected = {
        "explained": explained,
        "l0": (f > 0).sum(1).mean(),
        "dead": ((f > 0).sum(0) == 0).mean(),
        "accuracy/reconstruction": right,
        "agreement": (answers.argmax(1) == own.argmax(1)).double().mean().item(),
        "recovered": (losses["mean"] - losses["reconstruction"])
        / (losses["mean"] - losses["network"]),
        **{f"loss/{name}": loss for name, loss in losses.items()},
    }
    assert {name: found.scores[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert found.active.numpy() == pytest.approx((f > 0).mean(0))
    strongest = strength.flatten(2).amax(2).T
    top = strongest.topk(3).values
    assert torch.allclose(found.top_strengths, top)
    assert torch.allclose(strongest.gather(1, found.top_examples), top)


def test_memory_does_not_grow_with_examples(halves, batches):
    dictionary = fitted(halves, batches, features=10)
    once = evaluate_dictionary(halves, dictionary, batches, top=2)
    twice = evaluate_dictionary(halves, dictionary, [*batches, *batches], top=2)
    assert once.top_examples.shape == twice.top_examples.shape == (10, 2)
    same = [key for key in once.scores if key != "recovered"]
    assert [once.scores[key] for key in same] == pytest.approx([twice.scores[key] for key in same])
    assert np.isclose(once.scores["recovered"], twice.scores["recovered"])


def test_an_empty_data_set_is_refused(halves):
    with pytest.raises(UserError, match="no examples were given"):
        evaluate_dictionary(halves, Dictionary(4, 8), [])
