import pytest
import torch

from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import Similarities, SimilaritiesToOne

NARROW, WIDE = (3, 3, 3), (600, 600, 600)


def batches(units, sizes=(20, 31)):
    """Two representations, a target like them and the inputs of all, in batches."""
    made = []
    for n in sizes:
        inputs = torch.randn(n, 1, 3, 3)
        mixed = inputs.flatten(1) @ torch.randn(9, sum(units)) + torch.randn(n, sum(units))
        places = mixed[:, :, None, None] + 0.5 * torch.randn(n, sum(units), 2, 2)
        before, after, target = places.split(units, 1)
        made.append(({"before": before, "after": after}, target, inputs))
    return made


@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
@pytest.mark.parametrize("units", [NARROW, WIDE])
def test_every_representation_is_measured_as_by_itself(units):
    measures = list(MEASURES)
    together = SimilaritiesToOne(measures)
    alone = {name: Similarities(measures) for name in ("before", "after")}
    for xs, target, inputs in batches(units):
        together.update(xs, target, inputs)
        for name, x in xs.items():
            alone[name].update(x, target, inputs)
    found = together.values()
    for name, one in alone.items():
        expected = one.values()
        assert list(found[name]) == list(expected)
        for measure, value in expected.items():
            torch.testing.assert_close(
                found[name][measure], value, rtol=1e-9, atol=1e-10, equal_nan=True
            )
        assert together.directions(name, "mean_cca") == one.directions("mean_cca")


def test_the_target_is_whitened_once(monkeypatch):
    sizes, eigh = [], torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda z: sizes.append(len(z)) or eigh(z))
    together = SimilaritiesToOne(["mean_cca"])
    for batch in batches((4, 5, 3)):
        together.update(*batch)
    together.values()
    assert sorted(sizes) == [3, 4, 5]


@pytest.mark.parametrize("place", ["after", "target"])
def test_nan_is_told_by_the_name_of_the_representation(place):
    together = SimilaritiesToOne(["linear_cka"])
    for xs, target, inputs in batches((4, 5, 3)):
        ({**xs, "target": target}[place])[0, 0] = float("nan")
        together.update(xs, target, inputs)
    with pytest.raises(UserError, match=f"NaN or Inf in the representation '{place}'"):
        together.values()


def test_without_measures_nothing_is_kept():
    together = SimilaritiesToOne([])
    for batch in batches((4, 5, 3)):
        together.update(*batch)
    assert together.values() == {"before": {}, "after": {}}
