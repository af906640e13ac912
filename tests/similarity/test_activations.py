"""Activations that are there already give what the networks that they were read from give."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from frankenstein.activations import open_activations
from frankenstein.activations.checks import ActivationsWarning, tell_maps_and_vectors
from frankenstein.errors import UserError
from frankenstein.measures import linear_cka, mutual_knn
from frankenstein.similarity import similarity_matrix
from frankenstein.similarity.matrices import similarity_matrices
from frankenstein.surgery import capture

LAYERS = ["relu1", "relu2", "fc"]
MEASURES = ["unbiased_cka", "linear_cka", "mutual_knn", "ridge_r_squared"]


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1, widths=(5, 6))


@pytest.fixture
def files(pair, spots, tmp_path):
    """What both networks make of the held-out images, in their own order."""
    images = torch.cat([images for images, _ in spots().val_batches()])
    paths = []
    for name, network in zip(("one", "other"), pair, strict=True):
        with torch.no_grad():
            save_file(capture(network, LAYERS)(images), tmp_path / f"{name}.safetensors")
        paths.append(tmp_path / f"{name}.safetensors")
    return [open_activations(path) for path in paths]


def test_files_networks_and_both_side_by_side_give_the_same_numbers(pair, files, spots):
    networks = similarity_matrices(*pair, spots(), MEASURES, LAYERS, LAYERS)
    for sides in (files, (pair[0], files[1]), (files[0], pair[1])):
        data = None if sides == files else spots()
        found = similarity_matrices(*sides, data, MEASURES, LAYERS, LAYERS)
        for name, matrix in networks.items():
            torch.testing.assert_close(found[name].values, matrix.values, rtol=0, atol=0)
            assert (found[name].block, found[name].examples) == (matrix.block, matrix.examples)


def test_arrays_and_dictionaries_of_them_stand_on_either_side():
    x, y = np.random.default_rng(0).standard_normal((2, 40, 6))
    matrix = similarity_matrix({"a": x, "b": torch.from_numpy(y)}, y, measure="linear_cka")
    assert (matrix.rows, matrix.columns) == (("a", "b"), ("receiver",))
    assert matrix["a", "receiver"] == pytest.approx(float(linear_cka(x, y)))
    assert matrix["b", "receiver"] == pytest.approx(1)
    both = similarity_matrix(x, y, measure="mutual_knn")["sender", "receiver"]
    assert both == pytest.approx(float(mutual_knn(x, y)))


def test_rows_follow_a_loader_in_its_order_and_one_that_draws_is_refused():
    network, images = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.randn(30, 3)
    rows = {"0": network[0](images).detach()}
    loader = DataLoader(TensorDataset(images), batch_size=7)
    for sides in ((network, rows), (rows, network)):
        matrix = similarity_matrix(*sides, loader, "linear_cka", "0", "0")
        assert matrix["0", "0"] == pytest.approx(1)
    mixed = DataLoader(TensorDataset(images), batch_size=7, shuffle=True)
    with pytest.raises(
        UserError, match="this DataLoader draws its own; make it with shuffle=False"
    ):
        similarity_matrix(network, rows, mixed)


@pytest.mark.parametrize(
    ("sides", "batches", "expected"),
    [
        ((20, 30), None, "holds 20 examples and the activations 30; rows of both must be the same"),
        ((30, None), 20, "holds 30 examples, and the data have 20; its rows must be the examples"),
        ((20, None), 30, "holds 20 examples, and the data have more"),
        ((20, None), None, "a network needs batches of inputs, got none"),
        ((20, 20), 20, "are activations, and nobody looks at data; leave these out"),
    ],
)
def test_rows_that_do_not_fit_are_refused(sides, batches, expected):
    given = [nn.Linear(3, 4) if n is None else torch.randn(n, 3) for n in sides]
    data = None if batches is None else [torch.randn(batches, 3)]
    with pytest.raises(UserError, match=expected):
        similarity_matrix(*given, data)


def test_what_seems_to_lie_units_by_examples_is_told():
    with pytest.raises(UserError, match=r"is \(4, 30\): it lies units x examples, it seems"):
        similarity_matrix(torch.randn(4, 30), torch.randn(30, 5))


def test_nan_is_refused_with_the_layer():
    x = torch.randn(30, 4)
    x[17, 2] = torch.nan
    with pytest.raises(UserError, match="NaN or Inf in the second representation, 'receiver'"):
        similarity_matrix(torch.randn(30, 4), x)


def test_rows_and_labels_in_another_order_are_told_as_what_they_are(tmp_path):
    rng = np.random.default_rng(0)
    x, y, labels = rng.standard_normal((40, 6)), rng.standard_normal((40, 5)), np.arange(40) % 4
    order = rng.permutation(40)

    def saved(name, **arrays):
        np.savez(tmp_path / name, **arrays)
        return open_activations(tmp_path / name).of("z")

    with pytest.raises(UserError, match=r"one.npz and .*two.npz hold the same rows in another ord"):
        similarity_matrices(saved("one.npz", z=x), saved("two.npz", z=x[order]), None, MEASURES[:1])
    one = saved("one.npz", z=x, labels=labels)
    with pytest.raises(UserError, match=r"are those of .* in another order.*; save both in one"):
        similarity_matrices(
            one, saved("two.npz", z=y[order], labels=labels[order]), None, MEASURES[:1]
        )
    with pytest.warns(ActivationsWarning, match="differ in 40 of 40 rows: these are other exam"):
        similarity_matrices(one, saved("two.npz", z=y, labels=labels + 1), None, MEASURES[:1])
    similarity_matrices(one, saved("two.npz", z=y, labels=labels), None, MEASURES[:1])


def test_labels_beside_the_layers_are_those_of_the_data(pair, files, spots, tmp_path):
    labels = torch.cat([labels for _, labels in spots().val_batches()])
    rows = files[1].read(torch.arange(len(labels)))
    for name, order in (("same", torch.arange(len(labels))), ("turned", labels.argsort())):
        save_file(rows | {"labels": labels[order]}, tmp_path / name)
    same, turned = (open_activations(tmp_path / name).of(LAYERS) for name in ("same", "turned"))
    similarity_matrices(pair[0], same, spots(), MEASURES[:1], LAYERS, LAYERS)
    with pytest.raises(UserError, match=r"labels of .*turned are those of the data set in another"):
        similarity_matrices(pair[0], turned, spots(), MEASURES[:1], LAYERS, LAYERS)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (12, "flattened ones, it seems; choose the flattening per_sample"),
        (3, "their means over places, it seems; choose the flattening pooled"),
        (5, "choose the flattening, per_sample"),
    ],
)
def test_maps_against_vectors_are_told(width, expected):
    shapes = {"m": (40, 3, 2, 2)}, {"v": (40, width)}
    for both in (shapes, shapes[::-1]):
        with pytest.warns(ActivationsWarning, match=expected):
            tell_maps_and_vectors(*both, ("a", "b"))
