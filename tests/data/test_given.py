from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from frankenstein.data.examples import Examples
from frankenstein.data.given import given
from frankenstein.errors import DataError

N = 4
X, Y = torch.randn(N, 3), torch.tensor([0, 2, 1, 2])


@dataclass
class Record:
    pixels: Tensor
    target: Tensor


Pair = namedtuple("Pair", ["x", "label"])


class One(nn.Module):
    def forward(self, features):
        return features


class Two(nn.Module):
    def forward(self, ids, lengths, scale=None):
        return ids


class Anything(nn.Module):
    def forward(self, **named):
        return named


@pytest.mark.parametrize(
    ("batch", "labelled"),
    [
        (X, False),
        (X.numpy(), False),
        ([X], False),
        ((X, Y), True),
        ((X, Y[:, None]), True),
        ((X, Y.tolist()), True),
        ((Y, X), True),
        ((X, Y, torch.arange(N)), True),
        ((X, X), False),
        ({"image": X, "label": Y}, True),
        ({"Labels": Y, "features": X}, True),
        ({"whatever": X}, False),
        ({"image": X, "index": torch.arange(N)}, False),
        (Record(X, Y), True),
        (Pair(X, Y), True),
        (({"image": X}, Y), True),
    ],
)
def test_inputs_and_labels_are_told_by_name_and_by_place(batch, labelled):
    inputs, labels = given(batch, [One()]).read(batch)
    assert torch.equal(inputs, X)
    assert (labels is not None) == labelled
    assert labels is None or (torch.equal(labels, Y) and labels.dtype == torch.int64)


def test_several_labels_of_an_example_are_zeros_and_ones():
    several = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]).double()
    labels = given((X, several)).read((X, several))[1]
    assert torch.equal(labels, several.float())
    assert given((X, several + 0.5)).labels is None


@pytest.mark.parametrize(
    "batch",
    [
        {"ids": X, "lengths": Y[:, None] * 1.0, "label": Y, "index": torch.arange(N)},
        (X, Y[:, None] * 1.0, Y),
        ((X, Y[:, None] * 1.0), Y),
    ],
)
def test_a_second_input_that_forward_requires_is_given(batch):
    how = given(batch, [Two()])
    inputs, labels = how.read(batch)
    assert isinstance(inputs, Examples)
    assert torch.equal(labels, Y)
    taken = how.look(Two())(inputs)
    assert [tuple(x.shape) for x in (*taken.args, *taken.kwargs.values())] == [(N, 3), (N, 1)]
    assert "index" not in taken.kwargs


def test_each_network_takes_its_own_of_one_batch():
    batch = {"ids": X, "lengths": X + 1, "features": X + 2}
    how = given(batch, [Two(), One(), Anything()])
    inputs, _ = how.read(batch)
    assert [*how.look(Two())(inputs).kwargs] == ["ids", "lengths"]
    assert torch.equal(how.look(One())(inputs), X + 2)
    assert [*how.look(Anything())(inputs).kwargs] == ["ids", "lengths", "features"]


@pytest.mark.parametrize(
    ("batch", "network", "message"),
    [
        ({"ids": X}, Two(), "forward of Two needs ids, lengths, and batches hold 'ids': 'lengths'"),
        ((X,), Two(), "forward of Two needs ids, lengths, and batches hold number 1;"),
        ({"a": X, "b": X}, One(), "forward of One takes features; give the input one of these"),
        (["a", "b"], One(), "got a list of str; text becomes numbers by a tokenizer"),
        ({"text": ["a", "b"]}, One(), "a batch is tensors, got a dict"),
        (np.array(["a"]), One(), "the batch is an array of <U1, not of numbers; text becomes"),
        ({"label": Y}, One(), "holds 'label', and no inputs beside the labels"),
        (({"x": X}, {"x": X}), One(), "a batch holds 'x' twice"),
    ],
)
def test_what_is_no_batch_for_a_network_is_refused_by_name(batch, network, message):
    with pytest.raises(DataError) as error:
        given(batch, [network])
    assert message in str(error.value)


def test_a_later_batch_of_another_kind_is_refused():
    how = given({"image": X, "label": Y}, [One()])
    with pytest.raises(DataError, match="'label' is missing"):
        how.read({"image": X})
