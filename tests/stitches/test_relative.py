"""Stitches by coordinates relative to anchors, whose decoder learns from the receiver alone."""

import json

import numpy as np
import pytest
import torch

from frankenstein.accumulators.anchors import Anchored
from frankenstein.accumulators.ridge import PENALTIES
from frankenstein.errors import UserError
from frankenstein.networks import data_for, open_network
from frankenstein.shapes import ShapeError
from frankenstein.stitches import Relative, load_stitch
from frankenstein.surgery import cut

D, E, K, N = 7, 9, 4, 60


def anchored(x, y, count=K):
    kept = Anchored(count)
    for some, others in zip(x.split(3), y.split(3), strict=True):  # anchors lie in two batches
        kept.update(some, others)
    return kept


def cosines(z, anchors):
    sizes = np.linalg.norm(z, axis=1)[:, None] * np.linalg.norm(anchors, axis=1)
    return z @ anchors.T / sizes


def test_it_is_ridge_regression_of_the_receivers_own_coordinates_chosen_on_the_anchors():
    x, y = torch.randn(K + N, D).double() + 0.5, torch.randn(K + N, E).double() - 0.3
    y[:, :D] += 2 * x
    stitch = Relative(D, E, K).double().solve_by(anchored(x, y))
    x, y = x.numpy(), y.numpy()
    r, later = cosines(y[K:], y[:K]), y[K:]
    r0, y0 = r.mean(0), later.mean(0)
    sums = (r - r0).T @ (r - r0)

    def made(weight, z):
        return (cosines(z, x[:K]) - r0) @ weight + y0

    ridges = [
        np.linalg.solve(sums + penalty * np.trace(sums) * np.eye(K), (r - r0).T @ (later - y0))
        for penalty in PENALTIES
    ]
    best = min(ridges, key=lambda weight: np.square(made(weight, x[:K]) - y[:K]).sum())
    assert best is not ridges[0]
    z = np.random.default_rng(0).normal(size=(5, D))
    np.testing.assert_allclose(stitch(torch.from_numpy(z)), made(best, z), rtol=1e-9, atol=1e-9)
    places = torch.from_numpy(z).T[None, :, :, None]  # the five as places of one map
    np.testing.assert_allclose(stitch(places)[0, :, :, 0].T, made(best, z), rtol=1e-9, atol=1e-9)


def test_a_rotated_sender_of_any_size_is_the_receiver_itself_by_fewer_anchors_than_units():
    y = torch.randn(K + N, E).double()
    rotation = torch.linalg.qr(torch.randn(E, E).double()).Q
    x = torch.rand(K + N, 1).double().add(0.1) * y @ rotation.T
    one, itself = (Relative(E, E, K).double().solve_by(anchored(z, y)) for z in (x, y))
    torch.testing.assert_close(one(x), itself(y), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [1e-35, 1e-14, 1e30])
def test_units_of_any_size_have_the_same_cosines(size):
    x, y = torch.randn(K + N, D), torch.randn(K + N, E)
    x[0] = y[K] = 0
    plain, scaled = (Relative(D, E, K).solve_by(anchored(x * by, y)) for by in (1, size))
    z = torch.randn(5, D)
    z[0] = 0
    torch.testing.assert_close(scaled(z * size), plain(z), rtol=1e-4, atol=1e-5)


def test_the_decoder_learns_nothing_of_the_sender():
    y = torch.randn(K + N, E)
    one, other = (anchored(torch.randn(K + N, D), y).learned() for _ in range(2))
    assert one.n == N
    for pair in ("xx", "xy"):
        assert torch.equal(one.covariance(pair), other.covariance(pair))


def test_too_few_examples_and_other_anchors_are_refused():
    z = torch.randn(K, D)
    with pytest.raises(UserError, match="4 anchors, and there are 0; solve on more"):
        Relative(D, D, K).solve_by(anchored(z, z))
    with pytest.raises(UserError, match="5 anchors asked for, and there are 4"):
        Relative(D, D, 5).solve_by(anchored(z, z, 5))
    with pytest.raises(ShapeError, match="by 4 anchors, got 3 of 7 and 7 units"):
        Relative(D, D, K).solve_by(anchored(torch.randn(9, D), torch.randn(9, D), 3))


def test_a_run_takes_the_images_of_solve_on_as_anchors(run, saved):
    pair, words = (saved("mlp", 0), saved("mlp", 1)), "fc2 fc2 -i ps_inv -e 0 --untrained 1"
    folder = run("stitch", *pair, *words.split(), "--anchors", "5", "--measures", "linear_cka")
    assert "-relative-k5" in folder.name
    stitch = load_stitch(folder / "after.safetensors")
    network = open_network(pair[0])
    (images, _), *_ = data_for([network], "digits").train_batches(5)
    front = cut(network.module, "fc2").front
    torch.testing.assert_close(stitch.anchors_of_source, front(images).detach(), atol=1e-5, rtol=0)
    found = json.loads((folder / "summary.json").read_text())
    assert found["accuracy/solved"] != found["accuracy/untrained"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--anchors 5 -e 0", "a relative stitch is solved and starts nowhere; take --init ps_inv"),
        ("--anchors 5 -i ps_inv --ridge", "--ridge solves affine stitches, and this one is rel"),
        ("--family relative -i ps_inv", "a relative stitch needs --anchors"),
        ("--anchors 1 -i ps_inv", "--anchors"),
    ],
)
def test_what_a_relative_stitch_cannot_be_is_refused(mistake, saved, words, expected):
    pair = saved("mlp", 0), saved("mlp", 1)
    assert expected in mistake("stitch", *pair, "fc2", "fc2", *words.split())


def test_a_matrix_and_maps_have_no_anchors(mistake, saved):
    pair, words = (saved("tiny10", 0), saved("tiny10", 1)), ("--anchors", "5", "-i", "ps_inv")
    assert "is solved by examples, and a matrix keeps sums" in mistake(
        "stitch", *pair, "--all", "-e", "0", *words
    )
    assert "anchors are whole images, and bn7 has places; say --flatten, too" in mistake(
        "stitch", *pair, "bn7", "bn7", *words
    )
