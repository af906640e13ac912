import pytest
import torch

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.accumulators.moments import Moments
from frankenstein.callbacks import RepresentationSimilarity
from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities
from frankenstein.similarity.resampling import certainties

WHITENED = ("mean_cca", "mean_squared_cca", "svcca", "pwcca", "decoding_agreement", "r_squared")


@pytest.fixture
def eigh_calls(monkeypatch):
    """The sizes of all matrices that are decomposed."""
    calls, eigh = [], torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda z: calls.append(len(z)) or eigh(z))
    return calls


def layers(n=80):
    return [{str(i): torch.randn(n, 3 + i) for i in range(4)} for _ in range(2)]


@pytest.mark.parametrize("measure", [*WHITENED, "cross_validated_r_squared"])
def test_a_layer_is_whitened_once_for_all_pairs_that_it_is_in(measure, eigh_calls):
    xs, ys = layers()
    kept = LayerSimilarities([measure]).update(xs, ys)
    found = kept.values()[measure]
    sides = 1 if "r_squared" in measure else 2
    times = 5 if measure.startswith("cross") else 2 if measure.startswith("decoding") else 1
    assert len(eigh_calls) == 4 * sides * times
    make = Folds if measure.startswith("cross") else Moments
    for i, x in enumerate(xs.values()):
        for j, y in enumerate(ys.values()):
            alone = MEASURES[measure](make().update(x, y))
            assert found[i, j].item() == pytest.approx(alone.item(), rel=1e-12)


def test_what_ridges_choose_is_chosen_once_for_both(eigh_calls):
    folds = Folds().update(torch.randn(60, 4), torch.randn(60, 3))
    MEASURES["ridge_r_squared"](folds)
    assert len(eigh_calls) == 15  # 10 without two parts, which choose, and 5 without one
    MEASURES["ridge_correlation"](folds)
    assert len(eigh_calls) == 20


@pytest.mark.parametrize("measure", [*WHITENED, "cross_validated_r_squared", "ridge_r_squared"])
def test_what_is_known_of_a_layer_is_forgotten_when_examples_come(measure):
    first, second = layers(), layers(50)
    kept = LayerSimilarities([measure]).update(*first)
    kept.values()
    found = kept.update(*second).values()[measure]
    whole = LayerSimilarities([measure])
    both = [{s: torch.cat([a[s], b[s]]) for s in a} for a, b in zip(first, second, strict=True)]
    torch.testing.assert_close(found, whole.update(*both).values()[measure], rtol=1e-9, atol=0)


def test_one_measure_may_be_a_name_by_itself():
    assert LayerSimilarities("mean_cca").flattenings == {"mean_cca": "pooled"}
    one_grid = LayerSimilarities("mean_cca", one_grid=True)
    assert one_grid.flattenings == {"mean_cca": "per_location"}
    RepresentationSimilarity("mean_cca")
    kept = LayerReservoir().update({"a": torch.randn(9, 3)}, {"b": torch.randn(9, 3)})
    assert list(certainties(kept, "linear_cka")) == ["linear_cka"]


@pytest.mark.parametrize("measure", MEASURES)
def test_sums_of_all_layers_are_pooled_and_kept_examples_are_whole(measure):
    whole = measure == "unbiased_cka" or MEASURES[measure].kept == "examples"
    assert LayerSimilarities([measure]).flattenings[measure] == (
        "per_sample" if whole else "pooled"
    )
