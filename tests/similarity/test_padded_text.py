"""Padding counts nowhere: measures of text against float64 references with explicit masks."""

import numpy as np
import pytest
import torch
from torch.nn.functional import pad

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.metrics import Similarity
from frankenstein.shapes import FLATTENINGS, ShapeError, Tokens, last, pooled
from frankenstein.similarity import similarity_matrices
from frankenstein.stitches import Affine
from frankenstein.stitching.off_distribution import unit_statistics

transformers = pytest.importorskip("transformers")

SHARED = {"vocab_size": 60}
BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2} | {
    "intermediate_size": 20
}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 1, "eos_token_id": 2}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 20, "num_layers": 2, "num_heads": 2}
KINDS = {
    "BertModel": (
        BERT | {"intermediate_size": 20},
        ["encoder.layer.0.output.dense", "encoder.layer.1.output.dense"],
    ),
    "GPT2LMHeadModel": (GPT, ["transformer.h.0", "transformer.h.1"]),
    "T5EncoderModel": (T5, ["encoder.block.0.layer.1.add", "encoder.block.1.layer.1.add"]),
}
MEASURES = ["linear_cka", "unbiased_cka", "mean_squared_cca", "r_squared"]


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    """Two random networks of a kind, and the layers that are compared."""
    facts, layers = KINDS[request.param]
    kind = getattr(transformers, request.param)
    networks = []
    for seed in range(2):
        torch.manual_seed(seed)
        networks.append(kind(kind.config_class(**SHARED, **facts)).eval().requires_grad_(False))
    return *networks, layers


def batches_of(padding=1):
    """Sentences of 2 to 12 tokens in three batches, padded to a multiple of the longest."""
    draw = torch.Generator().manual_seed(0)
    batches = []
    for count, longest in ((40, 9), (30, 12), (25, 7)):
        ids = torch.randint(3, 60, (count, longest), generator=draw)
        lengths = torch.randint(2, longest + 1, (count, 1), generator=draw)
        batch = {"input_ids": ids, "attention_mask": (torch.arange(longest) < lengths).long()}
        batches.append({k: pad(z, (0, (padding - 1) * longest)) for k, z in batch.items()})
    return batches


def layer_of(network, name, batch):
    """What a module of the network gives, by a hook: transformers' own masks and code."""
    kept = []
    module = network.get_submodule(name.removesuffix(".add"))
    handle = module.register_forward_hook(
        lambda _, __, out: kept.append(out if isinstance(out, torch.Tensor) else out[0])
    )
    network(**batch)
    handle.remove()
    return kept[0].double().numpy()


def rows_of(flattening, z, mask):
    """The rows of one batch, sentence by sentence, without padding."""
    sentences = [one[kept.astype(bool)] for one, kept in zip(z, mask, strict=True)]
    each = {
        "per_location": lambda s: s,
        "pooled": lambda s: s.mean(0, keepdims=True),
        "last": lambda s: s[-1:],
    }
    return np.concatenate([each[flattening](one) for one in sentences])


def reference(measure, x, y):
    """In float64, from the equations: Kornblith et al. 2019; Song et al. 2012, eq. 5."""
    x, y = x - x.mean(0), y - y.mean(0)
    if measure == "linear_cka":
        norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
        return np.linalg.norm(x.T @ y) ** 2 / norms
    if measure == "unbiased_cka":
        return hsic(x @ x.T, y @ y.T) / np.sqrt(hsic(x @ x.T, x @ x.T) * hsic(y @ y.T, y @ y.T))
    bases = [basis(z) for z in (x, y)]
    if measure == "mean_squared_cca":
        return np.linalg.norm(bases[0].T @ bases[1]) ** 2 / min(one.shape[1] for one in bases)
    return np.linalg.norm(bases[0].T @ y) ** 2 / np.linalg.norm(y) ** 2


def basis(z):
    vectors, values, _ = np.linalg.svd(z, full_matrices=False)
    return vectors[:, values > 1e-5 * values[0]]


def hsic(k, l):  # noqa: E741
    n = len(k)
    k, l = (m - np.diag(np.diag(m)) for m in (k, l))  # noqa: E741
    middle = k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * k.sum(0) @ l.sum(0)
    return (np.sum(k * l) + middle) / (n * (n - 3))


@pytest.mark.parametrize("flattening", ["pooled", "last", "per_location"])
def test_measures_are_those_of_the_tokens_that_are_there(pair, flattening):
    sender, receiver, layers = pair
    found = similarity_matrices(
        sender, receiver, batches_of(), MEASURES, layers, layers, flattening=flattening
    )
    rows = {
        (side, layer): np.concatenate(
            [
                rows_of(flattening, layer_of(network, layer, one), one["attention_mask"].numpy())
                for one in batches_of()
            ]
        )
        for side, network in (("x", sender), ("y", receiver))
        for layer in layers
    }
    for measure in MEASURES:
        for row in layers:
            for column in layers:
                expected = reference(measure, rows["x", row], rows["y", column])
                assert found[measure][row, column] == pytest.approx(expected, abs=1e-6), measure


def with_labels(batches):
    draw = torch.Generator().manual_seed(1)
    return [
        one | {"labels": torch.randint(3, (len(one["input_ids"]),), generator=draw)}
        for one in batches
    ]


@pytest.mark.parametrize("flattening", [None, "pooled", "last"])
def test_within_classes_are_sentences_less_the_mean_of_their_class(pair, flattening):
    sender, receiver, layers = pair
    batches, measures = with_labels(batches_of()), ["linear_cka", "r_squared"]
    within = [f"within_class_{one}" for one in measures]
    found = similarity_matrices(sender, receiver, batches, within, layers, layers, flattening)
    labels = np.concatenate([one.pop("labels").numpy() for one in batches])

    def left(network, layer):
        z = np.concatenate(
            [
                rows_of(
                    flattening or "pooled",
                    layer_of(network, layer, one),
                    one["attention_mask"].numpy(),
                )
                for one in batches
            ]
        )
        for label in range(3):
            z[labels == label] -= z[labels == label].mean(0)
        return z

    for row in layers:
        for column in layers:
            x, y = left(sender, row), left(receiver, column)
            for measure, name in zip(measures, within, strict=True):
                expected = reference(measure, x, y)
                assert found[name][row, column] == pytest.approx(expected, abs=1e-6), name


def test_sentences_without_a_class_are_told_in_a_line(pair):
    sender, receiver, layers = pair
    batches = [
        one | {"labels": torch.full((len(one["input_ids"]), 1), -100)} for one in batches_of()
    ]
    with pytest.raises(
        UserError, match="these have none, or are next tokens; give sentences a col"
    ):
        similarity_matrices(sender, receiver, batches, ["within_class_linear_cka"], layers, layers)


@pytest.mark.parametrize("flattening", [None, "last", "per_location"])
def test_a_batch_that_is_padded_to_twice_its_length_changes_nothing(pair, flattening):
    sender, receiver, layers = pair
    measures = [*MEASURES, "cross_validated_r_squared", "mutual_knn", "rsa_pearson"]
    if flattening == "per_location":
        measures = measures[:-2]
    one, other = (
        similarity_matrices(
            sender, receiver, batches_of(padding), measures, layers, layers, flattening
        )
        for padding in (1, 2)
    )
    for measure in measures:
        torch.testing.assert_close(one[measure].values, other[measure].values, atol=1e-6, rtol=0)
        assert one[measure].flattening == flattening or flattening is None


def test_text_is_pooled_unless_another_flattening_is_named(pair):
    sender, receiver, layers = pair
    every = similarity_matrices(sender, receiver, batches_of(), ["unbiased_cka"], layers, layers)
    assert every["unbiased_cka"].flattening == "pooled"


def tokens(n=6, t=5, c=3, seed=0, there=None):
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, t + 1, (n, 1), generator=torch.Generator().manual_seed(9))
    values = torch.randn(n, t, c, generator=draw, dtype=torch.float64)
    there = torch.arange(t) < lengths if there is None else there
    return Tokens(values.masked_fill(~there[:, :, None], float("nan")), there)


def test_padding_may_hold_anything():
    x, y = tokens(60), tokens(60, seed=1)
    for flattening in ("pooled", "last", "per_location"):
        flatten = FLATTENINGS[flattening]
        assert flatten(x).isfinite().all()
        wanted = Moments().update(flatten(x), flatten(y))
        kept = [
            Moments(flatten).update(x[:20], y[:20]).update(x[20:], y[20:]),
            LayerMoments(flatten)
            .update({"a": x[:20]}, {"b": y[:20]})
            .update({"a": x[20:]}, {"b": y[20:]})
            .pair("a", "b"),
            Folds(flatten=flatten).update(x[:20], y[:20]).update(x[20:], y[20:]).without(),
        ]
        for moments in kept:
            assert moments.n == wanted.n
            torch.testing.assert_close(moments.covariance("xy"), wanted.covariance("xy"))
            torch.testing.assert_close(moments.covariance("xx"), wanted.covariance("xx"))
        solved = Affine(3, 3).solve(kept[0])
        rows = torch.cat([flatten(x), torch.ones(wanted.n, 1)], 1)
        best = torch.linalg.lstsq(rows, flatten(y)).solution
        torch.testing.assert_close(solved.weight.double(), best[:3].T, atol=1e-6, rtol=1e-5)
        metric = Similarity("linear_cka", flattening)
        metric.update(x[:20], y[:20])
        metric.update(x[20:], y[20:])
        other = Similarity("linear_cka")
        other.update(flatten(x), flatten(y))
        torch.testing.assert_close(metric.compute(), other.compute())
    statistics = unit_statistics(x)
    sentence = x.values[0][x.there[0]]
    wanted = torch.cat([sentence.mean(0), sentence.std(0, correction=0)])
    torch.testing.assert_close(statistics[0], wanted)


def test_the_last_token_is_found_behind_padding_in_front():
    there = torch.tensor([[False, True, True], [True, True, False]])
    z = Tokens(torch.arange(6.0).view(2, 3, 1), there)
    assert last(z).flatten().tolist() == [2.0, 4.0]
    assert pooled(z).flatten().tolist() == [1.5, 3.5]


def test_what_cannot_be_followed_is_refused_by_name(pair):
    sender, receiver, layers = pair
    with pytest.raises(ShapeError, match="no row of all their tokens"):
        similarity_matrices(
            sender, receiver, batches_of(), ["linear_cka"], layers, layers, flattening="per_sample"
        )
    x, y = tokens(), tokens(there=torch.ones(6, 5, dtype=torch.bool))
    for kept in (Moments(), LayerMoments(FLATTENINGS["per_location"])):
        with pytest.raises(ShapeError, match="other numbers of tokens"):
            kept.update(*((x, y) if isinstance(kept, Moments) else ({"a": x}, {"b": y})))
    with pytest.raises(ShapeError, match="a map has no last token"):
        last(torch.zeros(2, 3, 4, 4))
