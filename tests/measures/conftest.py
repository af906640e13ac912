import pytest
import torch

from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities


@pytest.fixture(scope="session")
def inputs_of():
    """Makes inputs for any number of examples, for measures that take them; always the same."""

    def make(n):
        generator = torch.Generator().manual_seed(9)
        return torch.randn(n, 1, 2, 3, dtype=torch.float64, generator=generator)

    return make


@pytest.fixture(scope="session")
def value(inputs_of):
    """The measure of a name of two matrices, whatever else it needs."""

    def measure(name, x, y, **options):
        more = (inputs_of(len(x)),) if MEASURES[name].needs == "inputs" else ()
        return MEASURES[name](x, y, *more, **options)

    return measure


@pytest.fixture(scope="session")
def streamed(inputs_of):
    """The same from batches, given as the rows of each."""

    def measure(name, x, y, batches):
        kept = LayerSimilarities([name], block=None, one_grid=True, shared_up_to=0)
        inputs = inputs_of(len(x))
        for rows in batches:
            kept.update({"x": x[rows]}, {"y": y[rows]}, inputs[rows])
        return kept.value(name, "x", "y")

    return measure
