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
def labels_of():
    """Makes the classes of any number of examples, of which one half have another order."""

    def make(n):
        return (torch.arange(n) // 2 + torch.arange(n) // 5) % 3

    return make


@pytest.fixture(scope="session")
def more_of(inputs_of, labels_of):
    """What a measure of a name takes beside two matrices of so many rows."""

    def make(name, n):
        made = {"inputs": inputs_of, "classes": labels_of}.get(MEASURES[name].needs)
        return () if made is None else (made(n),)

    return make


@pytest.fixture(scope="session")
def value(more_of):
    """The measure of a name of two matrices, whatever else it needs."""

    def measure(name, x, y, **options):
        return MEASURES[name](x, y, *more_of(name, len(x)), **options)

    return measure


@pytest.fixture(scope="session")
def streamed(inputs_of, labels_of):
    """The same from batches, given as the rows of each."""

    def measure(name, x, y, batches):
        kept = LayerSimilarities([name], block=None, one_grid=True, shared_up_to=0)
        inputs, labels = inputs_of(len(x)), labels_of(len(x))
        for rows in batches:
            kept.update({"x": x[rows]}, {"y": y[rows]}, inputs[rows], labels[rows])
        return kept.value(name, "x", "y")

    return measure
