"""One dictionary of two networks: whose each feature is, and latent scaling."""

import json

import numpy as np
import pytest
import torch

from frankenstein.dictionaries import Dictionary
from frankenstein.errors import UserError
from frankenstein.questions.crosscoder.question import SideBySide
from frankenstein.questions.crosscoder.scores import score_crosscoder
from frankenstein.shapes import per_location
from frankenstein.surgery import join

D, E, F, N = 6, 5, 7, 40


def test_the_scores_are_those_of_all_rows_at_once():
    dictionary = Dictionary(D + E, F, k=5).double()
    dictionary.encoder_bias.data.uniform_()
    dictionary.mean, dictionary.scale = torch.randn(D + E).double(), torch.tensor(2.0).double()
    maps = torch.randn(N, D + E, 2, 1).double()
    found = score_crosscoder(dictionary, maps.split([7, 20, 13]), D)
    z = maps.movedim(1, -1).reshape(2 * N, D + E)
    f = dictionary.encode(z).detach().numpy()
    x = ((z - dictionary.mean) / dictionary.scale).numpy()
    directions = dictionary.decoder.detach().numpy()
    rebuilt, odd = f @ directions.T, np.arange(2 * N) // 2 % 2 == 1
    for network, part in enumerate((slice(0, D), slice(D, None))):
        left = np.square((x - rebuilt)[:, part]).mean(0).sum()
        assert found.explained[network] == pytest.approx(1 - left / x[:, part].var(0).sum())
    for j in range(F):
        lengths = [np.linalg.norm(directions[part, j]) for part in (slice(0, D), slice(D, None))]
        assert found.share[j] == pytest.approx(lengths[1] / sum(lengths))
        assert found.active[j] == pytest.approx((f[:, j] > 0).mean())
        betas = []
        for part in (slice(0, D), slice(D, None)):
            own = f[:, [j]] * directions[part, j]
            for y in ((x - rebuilt)[:, part] + own, rebuilt[:, part]):
                halves = []
                for here in (odd, ~odd):
                    along, there = (
                        np.cov(f[rows, j], y[rows].T, bias=True)[0] for rows in (~here, here)
                    )
                    unit = along[1:] / np.linalg.norm(along[1:])
                    halves.append(there[1:] @ unit / there[0])
                betas.append(np.mean(halves))
        ours, theirs = betas[:2], betas[2:]
        if lengths[1] < lengths[0]:
            ours, theirs = theirs, ours
        expected = [a / b if b > 0 else np.nan for a, b in zip(ours, theirs, strict=True)]
        np.testing.assert_allclose(found.scaling[j], expected, rtol=1e-9)


def test_a_feature_that_sparsity_hid_in_one_network_is_told_from_one_that_it_lacks():
    strength = torch.rand(400, F).double() * (torch.rand(400, F) < 0.4)
    directions = torch.linalg.qr(torch.randn(D + E, F).double()).Q
    directions[D:, 0] = 0  # the second network lacks the first feature
    directions[:D, 1] = 0  # and the first network the second one
    x = strength @ directions.T
    dictionary = Dictionary(D + E, F).double()
    hidden = directions.clone()
    hidden[D:, 2] = 0  # the second network has the third, and its direction is lost
    dictionary.encoder.data, dictionary.decoder.data = torch.linalg.pinv(directions), hidden
    found = score_crosscoder(dictionary, x.split(50), D)
    assert found.exclusive(0).nonzero().flatten().tolist() == [0, 2]
    assert found.exclusive(1).nonzero().flatten().tolist() == [1]
    assert found.exclusive_in_truth(0).nonzero().flatten().tolist() == [0]
    assert found.exclusive_in_truth(1).nonzero().flatten().tolist() == [1]
    lengths = [directions[part, 2].norm() for part in (slice(0, D), slice(D, None))]
    torch.testing.assert_close(found.scaling[2, 0], lengths[1] / lengths[0])


def test_too_few_examples_are_refused():
    with pytest.raises(UserError, match="latent scaling takes two examples or more, got 0"):
        score_crosscoder(Dictionary(D + E, F), [], D)


def test_a_run_has_the_networks_and_both_controls(run, saved):
    pair, few = (saved("lenet", 0), saved("lenet", 1)), ("--steps", "12", "-n", "40")
    folder = run("analyze", *pair, "relu2", "--crosscoder", "--k", "3", "--untrained", "1", *few)
    numbers = json.loads((folder / "summary.json").read_text())
    for kind in ("networks", "shuffled", "untrained_receiver"):
        found = {what: numbers[f"crosscoder/{what}/{kind}/relu2"] for what in ("shared", "dead")}
        assert all(0 <= one <= 1 for one in found.values())
        alone = numbers[f"crosscoder/exclusive_sender/{kind}/relu2"]
        assert numbers[f"crosscoder/exclusive_sender_in_truth/{kind}/relu2"] <= alone
    shuffled, own = (
        numbers[f"crosscoder/explained_sender/{kind}/relu2"] for kind in ("shuffled", "networks")
    )
    assert shuffled != own


@torch.no_grad()
def test_both_layers_count_alike_and_shuffled_ones_are_of_the_next_example(small_network):
    joint = join(small_network(0).eval(), small_network(1).eval(), "bn1", "bn1")
    images = torch.randn(20, 1, 8, 8)
    batches = [(some, None) for some in images.split(8)]
    both, shuffled = (
        SideBySide(joint, how).scaled_on(batches, torch.device("cpu")) for how in (False, True)
    )
    z = both(images)
    for part in z.split(4, dim=1):
        rows = per_location(part).double()
        torch.testing.assert_close(rows.mean(0), torch.zeros(4).double(), atol=1e-5, rtol=0)
        assert rows.var(0, correction=0).sum() == pytest.approx(1, rel=1e-5)
    expected = torch.cat([z[:, :4], z[:, 4:].roll(1, 0)], 1)
    assert torch.equal(shuffled(images), expected)
