"""One dictionary of two networks: whose each feature is, and latent scaling."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from frankenstein.dictionaries import (
    CrosscoderDictionary,
    Dictionary,
    dictionary_facts,
    load_crosscoder,
    load_dictionary,
    save_crosscoder,
    save_dictionary,
)
from frankenstein.errors import FileError, UserError
from frankenstein.files import load_tensors, save_tensors
from frankenstein.questions.crosscoder.question import Crosscoder, CrosscoderAnswer, SideBySide
from frankenstein.questions.crosscoder.scores import CrosscoderScores, score_crosscoder
from frankenstein.shapes import per_location
from frankenstein.surgery import Cut, capture, join
from frankenstein.tasks import DictionaryFit
from frankenstein.zoo import load_network, network_sha256

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
    path = folder / "crosscoder.safetensors"
    crosscoder, facts = load_crosscoder(path), dictionary_facts(path)
    assert (facts["sender_layer"], facts["receiver_layer"]) == ("relu2", "relu2")
    networks = [load_network(one) for one in pair]
    shas = [network_sha256(network) for network in networks]
    assert [facts["sender"], facts["receiver"]] == shas
    images = torch.rand(8, *networks[0].input_shape)
    x, y = (capture(network, ["relu2"])(images)["relu2"] for network in networks)
    strength = crosscoder.encode(x, y)
    assert (strength > 0).sum(1).max() == 3
    rebuilt = crosscoder.decode(strength)
    assert [one.shape for one in rebuilt] == [x.shape, y.shape]
    with pytest.raises(FileError, match="does not hold a dictionary; give a file"):
        load_dictionary(path)


def test_a_crosscoder_on_disk_is_the_same_and_other_files_are_refused(tmp_path):
    dictionary = Dictionary(D + E, F, k=3)
    norms = [(torch.randn(D), torch.tensor(2.0)), (torch.randn(E), torch.tensor(0.5))]
    made = CrosscoderDictionary(dictionary, norms)
    x, y = torch.randn(N, D, 2, 2), torch.randn(N, E, 2, 2)
    path = save_crosscoder(tmp_path / "a.safetensors", made, {"layer": "relu2"})
    read = load_crosscoder(path)
    strength = read.encode(x, y)
    assert torch.equal(strength, made.encode(x, y))
    for ours, theirs in zip(read.decode(strength), made.decode(strength), strict=True):
        assert torch.equal(ours, theirs)
    tensors, record = load_tensors(path)
    for wrong in ({"units": [D, E + 1]}, {"units": [D + E]}, {"units": 3}, {"k": 0}, {"odd": 1}):
        options = record["options"] | wrong
        save_tensors(path, tensors, record | {"options": options})
        with pytest.raises(FileError):
            load_crosscoder(path)
    with pytest.raises(FileError, match="does not hold a crosscoder; give a file"):
        load_crosscoder(save_dictionary(path, dictionary))


def test_a_crosscoder_brings_back_what_a_whole_basis_reads():
    dictionary, units = Dictionary(D + E, 2 * (D + E)), torch.eye(D + E)
    dictionary.encoder.data = torch.cat([units, -units])
    dictionary.decoder.data = torch.cat([units, -units], 1)
    norms = [(torch.randn(D), torch.tensor(2.0)), (torch.randn(E), torch.tensor(0.5))]
    crosscoder, x, y = CrosscoderDictionary(dictionary, norms), torch.randn(N, D), torch.randn(N, E)
    for found, expected in zip(crosscoder.decode(crosscoder.encode(x, y)), (x, y), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_finding_says_what_is_shared_beside_both_controls_in_the_units_of_the_page():
    def scores(share, active=4):
        live = torch.tensor([0.5] * active + [0.0] * (5 - active))
        return CrosscoderScores((0.9, 0.8), live, torch.tensor(share), torch.ones(5, 2))

    answer = CrosscoderAnswer(
        "bn7",
        100,
        Crosscoder(),
        {
            "networks": scores([0.5, 0.5, 0.5, 0.9, 0.5]),
            "shuffled": scores([0.5, 0.0, 0.95, 0.95, 0.5]),
            "untrained_receiver": scores([0.5, 0.5, 0.9, 0.9, 0.9], active=5),
        },
        None,
        {},
    )
    section = Crosscoder().show(answer)
    assert section.short.finding == (
        "Of one dictionary of bn7, with 4 of 5 features active, the two networks share 75.0 % of "
        "these; 25.0 % are shared where images do not belong together, and 40.0 % with an "
        "untrained receiver."
    )
    assert section.short.rows[0][1] == "75.0 %"
    table = section.blocks[2].splitlines()
    assert [cell.strip() for cell in table[2].split("|")][5] == "75.0 %"


def test_the_loss_is_that_of_the_paper_whatever_the_lengths_of_directions():
    dictionary = Dictionary(D + E, F).double()
    dictionary.encoder_bias.data.uniform_()
    z = torch.randn(N, D + E).double()
    task = DictionaryFit(Cut(nn.Identity(), nn.Identity()), dictionary, penalty=0.3, parts=(D, E))
    task.log_dict = lambda *_: None
    task._trainer = SimpleNamespace(global_step=0)
    loss = task.training_step((z, None), 0)
    # Lindsey et al. 2024: the sum over networks of squared errors, and of each feature's strength
    # times the sum of its decoder norms, at one of the scales that leave all of it as it is.
    w, b, d, c = (
        one.detach().numpy()
        for one in (
            dictionary.encoder,
            dictionary.encoder_bias,
            dictionary.decoder,
            dictionary.decoder_bias,
        )
    )
    scale = np.random.default_rng(0).uniform(0.1, 10, F)
    f = np.maximum((z.numpy() - c) @ (scale[:, None] * w).T + scale * b, 0)
    d = d / scale
    error, penalty = 0.0, 0.0
    for part in (slice(0, D), slice(D, None)):
        error += np.square(z.numpy()[:, part] - c[part] - f @ d[part].T).sum(1).mean()
        penalty += (f * np.linalg.norm(d[part], axis=0)).sum(1).mean()
    assert loss.item() == pytest.approx(error + 0.3 * penalty, rel=1e-12)
    loss.backward()  # it moves what is shared towards one network
    assert dictionary.decoder.grad.isfinite().all()


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
