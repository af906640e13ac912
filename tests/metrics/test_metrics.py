import pickle
import warnings

import pytest
import torch
from torchmetrics import MetricCollection

from frankenstein.accumulators.grams import Grams
from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import UndefinedSimilarityWarning
from frankenstein.metrics import Similarity, SimilarityMatrix
from frankenstein.shapes import FLATTENINGS

OF_SUMS = [name for name, row in MEASURES.items() if row.needs == "moments"]
ROWS, COLUMNS = ("map", "vector"), ("other", "vector")


def batches(*sizes):
    """Two sides with layers that share causes."""
    generator = torch.Generator().manual_seed(3)
    mixers = [torch.randn(6, k, generator=generator) for k in (12, 5, 18, 5)]
    for size in sizes:
        causes = torch.randn(size, 6, generator=generator)
        z = [causes @ m + torch.randn(size, m.shape[1], generator=generator) for m in mixers]
        yield (
            {"map": z[0].view(size, 3, 2, 2), "vector": z[1]},
            {"other": z[2].view(size, 2, 3, 3), "vector": z[3]},
        )


def pairs(*sizes):
    return [(xs["vector"], ys["vector"]) for xs, ys in batches(*sizes)]


def fed(metric, data):
    for batch in data:
        metric.update(*batch)
    return metric


def same(one, other):
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("measure", OF_SUMS)
def test_it_is_the_measure_of_all_examples_whatever_the_batches(measure):
    whole = [torch.cat(side) for side in zip(*pairs(30, 3, 11), strict=True)]
    flatten = FLATTENINGS[MEASURES[measure].flattenings[0]]
    expected = MEASURES[measure](Moments(flatten).update(*whole))
    same(fed(Similarity(measure), pairs(30, 3, 11)).compute(), expected)
    same(fed(Similarity(measure), [whole]).compute(), expected)


@pytest.mark.parametrize("measure", ["mean_cca", "unbiased_cka", "linear_cka"])
def test_a_matrix_holds_the_measure_of_every_pair(measure):
    found = fed(
        SimilarityMatrix(measure, ROWS, COLUMNS, flattening="pooled"), batches(40, 9)
    ).compute()
    for i, row in enumerate(ROWS):
        for j, column in enumerate(COLUMNS):
            moments = Moments(FLATTENINGS["pooled"])
            for xs, ys in batches(40, 9):
                moments.update(xs[row], ys[column])
            same(found[i, j], MEASURES[measure](moments))


def test_unbiased_cka_per_sample_is_that_of_grams():
    grams = Grams(block=16)
    for batch in batches(40, 9):
        grams.update(*batch)
    metric = SimilarityMatrix("unbiased_cka", ROWS, COLUMNS, block=16)
    same(fed(metric, batches(40, 9)).compute(), grams.unbiased_cka())


METRICS = {
    "one": (lambda: Similarity("unbiased_cka"), pairs),
    "moments": (lambda: SimilarityMatrix("mean_cca", ROWS, COLUMNS), batches),
    "grams": (lambda: SimilarityMatrix("unbiased_cka", ROWS, COLUMNS), batches),
}


@pytest.mark.parametrize("kind", METRICS)
def test_it_does_what_a_metric_does(kind):
    make, data = METRICS[kind]
    sizes = (40, 30, 25)
    metric = fed(make(), data(*sizes))
    expected = metric.compute()
    same(pickle.loads(pickle.dumps(metric)).compute(), expected)
    same(metric.clone().to("cpu").compute(), expected)

    stepped, alone = make(), make()
    for batch in data(*sizes):
        value = stepped(*batch)
        alone.reset()
        alone.update(*batch)
        same(value, alone.compute())
    same(stepped.compute(), expected)
    assert len(stepped.sums) == 1  # it does not grow

    *first, last = data(*sizes)
    merged, other = fed(make(), first), fed(make(), [last])
    merged.merge_state(other)
    same(merged.compute(), expected)
    again = fed(make(), first)
    again.merge_state(other.metric_state)
    again.update(*last)
    assert len(again.sums) == 1

    metric.reset()
    with pytest.raises(UserError, match=r"no examples were given|no block held four"):
        fed(metric, data(0)).compute()
    same(fed(metric, data(*sizes)).compute(), expected)
    fresh = fed(make(), [])
    fresh.merge_state(other)
    assert make().double().half().dtype == torch.float64


def test_no_graph_is_kept_of_what_is_trained():
    metric = SimilarityMatrix("unbiased_cka", ["vector"], ["vector"])
    xs, ys = next(iter(batches(20)))
    metric({"vector": xs["vector"].requires_grad_()}, ys)
    assert not metric.sums[0].requires_grad
    one = Similarity("linear_cka")
    one(xs["vector"].requires_grad_(), ys["vector"])
    assert not one.sums[0].requires_grad


def test_it_can_be_drawn():
    metric = fed(SimilarityMatrix("unbiased_cka", ROWS, COLUMNS), batches(20))
    figure, axes = metric.plot()
    assert [text.get_text() for text in axes.get_yticklabels()] == list(ROWS)
    assert metric.plot(metric.compute())[0] is not figure
    one = fed(Similarity("mean_cca"), pairs(30))
    one.plot()
    one.plot([one.compute(), one.compute()])
    import matplotlib.pyplot as plt

    plt.close("all")


def test_one_pair_of_layers_is_a_scalar_and_can_be_drawn():
    metric = fed(SimilarityMatrix("linear_cka", ["map"], ["map"]), [(x, x) for x, _ in batches(20)])
    assert metric.compute().item() == pytest.approx(1)
    assert len(metric.plot()[1].get_yticklabels()) == 1
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("measure", ["unbiased_cka", "linear_cka"])
def test_layers_that_do_not_vary_are_nan_and_named_once(measure):
    metric = SimilarityMatrix(measure, ["dead", "map"], COLUMNS)
    for xs, ys in batches(20, 20):
        metric.update({**xs, "dead": torch.full((20, 7), 0.1)}, ys)
    with pytest.warns(UndefinedSimilarityWarning, match="'dead' of the first network") as caught:
        values = metric.compute()
    assert len(caught) == 1
    assert values[0].isnan().all()
    assert values[1].isfinite().all()


def test_nan_is_refused_with_the_layer_that_holds_it():
    (xs, ys), (more, others) = batches(20, 20)
    more["map"][3, 0, 0, 0] = torch.nan
    for measure in ("unbiased_cka", "linear_cka"):
        metric = fed(SimilarityMatrix(measure, ROWS, COLUMNS), [(xs, ys), (more, others)])
        with pytest.raises(UserError, match="NaN or Inf in the first representation, 'map'"):
            metric.compute()


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="unknown measure 'linear_ckaa'; did you mean linear_cka"):
        Similarity("linear_ckaa")
    ways = "takes per_location or per_sample or pooled or last, got 'flat'"
    with pytest.raises(UserError, match=ways):
        Similarity("linear_cka", "flat")
    for name, row in MEASURES.items():
        if row.needs != "moments":
            with pytest.raises(UserError, match=f"{name} does not follow from sums over batches"):
                SimilarityMatrix(name, ROWS, COLUMNS)
    with pytest.raises(UserError, match="one layer or more, each once, got \\['a', 'a'\\]"):
        SimilarityMatrix("linear_cka", ["a", "a"], COLUMNS)
    with pytest.raises(UserError, match="one layer or more, each once, got \\[\\]"):
        SimilarityMatrix("linear_cka", ROWS, [])
    assert SimilarityMatrix("linear_cka", "layer1.0", "fc").rows == ("layer1.0",)
    xs, ys = next(iter(batches(8)))
    with pytest.raises(UserError, match=r"each side is \{layer: representation\}, got Tensor"):
        SimilarityMatrix("linear_cka", ROWS, COLUMNS).update(xs["map"], ys)
    with pytest.raises(UserError, match=r"update needs the layer 'fc', got \['map', 'vector'\]"):
        SimilarityMatrix("linear_cka", ["fc"], COLUMNS).update(xs, ys)
    with pytest.raises(UserError, match="Similarity merges its own kind, got SimilarityMatrix"):
        Similarity("linear_cka").merge_state(SimilarityMatrix("linear_cka", ROWS, COLUMNS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torchmetrics: compute before update
        with pytest.raises(UserError, match="no examples were given"):
            Similarity("linear_cka").compute()


def test_a_collection_tells_blocks_and_flattenings_apart_where_its_first_batch_does_not():
    layers = {"z": torch.randn(4, 3)}, {"z": torch.randn(4, 3)}
    more = {"z": torch.randn(60, 3)}, {"z": torch.randn(60, 3)}
    make = {
        f"of {block}": lambda block=block: SimilarityMatrix("unbiased_cka", "z", "z", block=block)
        for block in (4, 16)
    }
    together = fed(MetricCollection({k: new() for k, new in make.items()}), [layers, more])
    for name, value in together.compute().items():
        same(value, fed(make[name](), [layers, more]).compute())

    flat, maps = (torch.randn(20, 3), torch.randn(20, 3)), torch.randn(2, 20, 3, 2, 2)
    make = {
        flat: lambda flat=flat: Similarity("linear_cka", flat)
        for flat in ("per_location", "pooled")
    }
    together = fed(MetricCollection({k: new() for k, new in make.items()}), [flat, maps])
    for name, value in together.compute().items():
        same(value, fed(make[name](), [flat, maps]).compute())
