"""`similarity_matrix` on whatever a user has: batches, a data module, networks without cuts."""

from collections import UserDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from frankenstein.errors import UserError
from frankenstein.similarity import similarity_matrix
from frankenstein.surgery import capture
from frankenstein.tasks import DataModule


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1)


def linear_cka(x, y):
    """Kornblith et al. 2019, eq. 4, in float64."""
    x, y = (z.double().numpy() - z.double().numpy().mean(0) for z in (x, y))
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def measured(pair, batches):
    return float(similarity_matrix(*pair, batches, "linear_cka", "fc", "fc").values)


@torch.no_grad()
def test_the_projects_own_loaders_of_uint8_images_are_prepared(pair, spots):
    module = DataModule(spots())
    module.setup()
    images = torch.cat([x for x, _ in module.data.val_batches()])
    expected = linear_cka(*(network(images) for network in pair))
    for batches in (module, module.data, module.val_dataloader()):
        assert measured(pair, batches) == pytest.approx(expected, abs=1e-6)


@torch.no_grad()
def test_any_batches_of_the_same_examples_give_the_same_numbers(pair):
    images, labels = torch.randn(40, 1, 8, 8), torch.arange(40) % 10
    expected = linear_cka(*(network(images) for network in pair))
    rows = TensorDataset(images.double(), labels)
    for batches in (
        images,
        [images],
        {"image": images, "label": labels},
        UserDict(x=images),
        rows,
        DataLoader(rows, batch_size=7, shuffle=True),
        DataLoader([{"label": y, "image": x} for x, y in rows], batch_size=9),
    ):
        assert measured(pair, batches) == pytest.approx(expected, abs=1e-6)


@torch.no_grad()
def test_two_loaders_of_the_same_examples_are_read_row_by_row(pair):
    images, labels = torch.randn(40, 1, 8, 8), torch.arange(40) % 10
    louder = TensorDataset(2 * images, labels)
    expected = linear_cka(pair[0](images), pair[1](2 * images))
    one = DataLoader(TensorDataset(images, labels), batch_size=7, shuffle=True)
    for other in (DataLoader(louder, batch_size=9), louder):
        assert measured(pair, (one, other)) == pytest.approx(expected, abs=1e-6)
    same = DataLoader(TensorDataset(images), 7), DataLoader(TensorDataset(images.clone()), 9)
    expected = linear_cka(*(network(images) for network in pair))
    assert measured(pair, same) == pytest.approx(expected, abs=1e-6)


def test_two_loaders_that_may_give_other_examples_are_refused(pair):
    images, labels = torch.randn(40, 1, 8, 8), torch.arange(40) % 10
    rows = TensorDataset(images, labels)
    for other, message in (
        (TensorDataset(images[1:], labels[1:]), "gives 40 examples and the receiver's 39"),
        (TensorDataset(images.flip(0), labels.flip(0)), "other labels for the same row"),
        (TensorDataset(2 * images), "not both give labels"),
    ):
        with pytest.raises(UserError, match=message):
            measured(pair, (rows, other))
    ones = [TensorDataset(images * k, torch.ones(40, dtype=torch.long)) for k in (1, 2)]
    with pytest.raises(UserError, match="one label for all"):
        measured(pair, ones)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ((torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.long)), "give it in a list"),
        ([torch.zeros(4, 8, 8, 1)], "channels come last: permute"),
        ([torch.zeros(4, 1, 8, 8, dtype=torch.uint8)], "images of 0 to 255; scale and normalise"),
        ([torch.zeros(4, 3, 8, 8)], "does not take batches of float32 .4, 3, 8, 8."),
        ([["a", "b"]], "text becomes numbers by a tokenizer"),
        (5, "data are a DataLoader or another iterable of batches"),
    ],
)
def test_what_is_no_data_for_two_networks_is_one_line(pair, batches, message):
    with pytest.raises(UserError, match=message) as error:
        similarity_matrix(*pair, batches)
    assert "\n" not in str(error.value)


class Branching(nn.Module):
    """Its steps depend on values, so that it has no cut point."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.one(x)
        return self.two(x) if x.sum() > 0 else self.two(-x)


def test_of_a_network_that_cannot_be_cut_modules_are_compared():
    with pytest.warns(UserWarning, match="its modules are compared instead"):
        matrix = similarity_matrix(Branching(), Branching(), [torch.randn(9, 3)], "linear_cka")
    assert {"one", "two"} <= {*matrix.rows}


def test_a_deep_network_is_compared_block_by_block():
    from frankenstein.zoo import build_network

    networks = [build_network("vit_tiny", init_seed=seed).eval() for seed in (0, 1)]
    images = torch.randn(12, 1, 32, 32)
    matrix = similarity_matrix(*networks, images, "linear_cka")
    assert matrix.rows == tuple(f"blocks.{i}" for i in range(6))
    with torch.no_grad():
        x, y = (capture(one, ["blocks.3"])(images)["blocks.3"].mean(1) for one in networks)
    assert matrix["blocks.3", "blocks.3"] == pytest.approx(linear_cka(x, y), abs=1e-6)
