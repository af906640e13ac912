"""Stitches between networks that read padded text: masks go with the representation."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from frankenstein.callbacks import RepresentationSimilarity
from frankenstein.data.examples import Examples
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.labels import hits, label_loss
from frankenstein.networks import open_network
from frankenstein.networks.data import look_of, text_for
from frankenstein.networks.network import Network
from frankenstein.shapes import Tokens
from frankenstein.stitches import Affine
from frankenstein.stitching.controls import solve_controls
from frankenstein.stitching.evaluate import SAMPLED, evaluate_stitches
from frankenstein.stitching.matrix.solve import stitching_matrix
from frankenstein.surgery import LayerError, join
from frankenstein.tasks import Stitching, direct_mse, matching_moments, task_loss
from frankenstein.tasks.objectives import Pass
from frankenstein.zoo.files import Card

SENTENCES = [f"{'word ' * (i % 7)}end {i}" for i in range(60)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "some.txt"
    path.write_text("\n".join(SENTENCES))
    return Text([path], batch_size=16, eval_batch_size=16)


@pytest.fixture(scope="module")
def pair(data):
    sender, receiver = (open_network(f"gpt_tiny#{seed}") for seed in range(2))
    text_for([sender, receiver], data)
    return sender, receiver


def encoder(seed):
    """A small BERT with a head for three classes, which asks for the mask behind any cut."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    facts = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.BertConfig(
        vocab_size=256, intermediate_size=20, max_position_embeddings=64, num_labels=3, **facts
    )
    network = transformers.BertForSequenceClassification(config).eval().requires_grad_(False)
    ids = torch.zeros(2, 8).long()
    network.example_inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return network


def next_tokens(rows, width):
    """From the sentences themselves."""
    labels = torch.full((len(rows), width), -100)
    for label, row in zip(labels, rows.tolist(), strict=True):
        following = [*SENTENCES[row].encode(), 10]
        label[: len(following)] = torch.tensor(following)
    return labels


def test_labels_are_next_tokens_and_padding_is_not_asked_for(data, pair):
    rows = data.val_images[:5]
    logits = pair[0].module(**look_of(pair[0], data)(rows).kwargs)
    wanted = next_tokens(rows, logits.shape[1])
    labels = data.val_labels[:5]
    expected = cross_entropy(logits.flatten(0, 1), wanted.flatten())
    torch.testing.assert_close(label_loss(logits, labels), expected)
    right = (logits.argmax(2) == wanted)[wanted != -100]
    assert torch.equal(hits(logits, labels), right)
    longer = torch.nn.functional.pad(logits, (0, 0, 0, 40), value=float("nan"))
    assert torch.equal(label_loss(longer, labels), label_loss(logits, labels))


def test_a_solved_stitch_is_the_least_squares_of_the_tokens_that_are_there(data, pair):
    sender, receiver = pair
    joint = join(sender.module, receiver.module, "blocks.1", "blocks.2")
    joint = joint.seeing(look_of(sender, data), look_of(receiver, data))
    moments = matching_moments(joint.sender.front, joint.receiver.front, data.train_batches())
    rows = []
    for sentence in (SENTENCES[row] for row in data.train_images.tolist()):
        ids = torch.tensor([[10, *sentence.encode(), 10]])
        fronts = [
            join(one.module, one.module, layer, layer).sender.front
            for one, layer in ((sender, "blocks.1"), (receiver, "blocks.2"))
        ]
        mask = torch.ones_like(ids)
        rows.append([f(input_ids=ids, attention_mask=mask).values[0].double() for f in fronts])
    x, y = (torch.cat(one).numpy() for one in zip(*rows, strict=True))
    assert moments.n == len(x)
    solution = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]
    stitch = Affine(64, 64).solve(moments)
    errors = [
        np.square(x @ w.T + b - y).sum()
        for w, b in (
            (stitch.weight.detach().double().numpy(), stitch.bias.detach().double().numpy()),
            (solution[:-1].T, solution[-1]),
        )
    ]
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)


@pytest.mark.parametrize("objective", [task_loss, direct_mse])
def test_gradients_of_a_stitch_do_not_feel_padding(data, pair, objective):
    gradients = []
    for longest in (None, 90):
        stitch = Affine(64, 64)
        with torch.no_grad():
            stitch.weight.copy_(torch.eye(64))
            stitch.bias.zero_()
        joint = join(pair[0].module, pair[1].module, "blocks.0", "blocks.3")
        rows = data.train_images[:7]
        inputs = look_of(pair[0], data)(rows)
        if longest:
            grown = {k: torch.nn.functional.pad(z, (0, longest)) for k, z in inputs.parts.items()}
            inputs = Examples(grown)
        labels = data.train_labels[:7]
        halves = joint.sender, stitch, joint.receiver, joint.align
        objective(Pass(inputs, labels, *halves)).backward()
        gradients.append(stitch.weight.grad)
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)


def test_an_end_that_asks_for_the_mask_gets_it():
    network = encoder(0)
    joint = join(network, encoder(1), "bert.encoder.layer.0", "bert.encoder.layer.0")
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    batch = {"input_ids": torch.arange(10).view(2, 5), "attention_mask": mask}
    z = joint.sender.front(**batch)
    assert isinstance(z, Tokens)
    assert torch.equal(joint.sender.end(z), network(**batch).logits)
    z.values[0, 3:] = 100.0
    torch.testing.assert_close(joint.sender.end(z)[0], network(**batch).logits[0])
    with pytest.raises(LayerError, match="sentences have no fixed ones"):
        join(network, network, "bert.encoder.layer.0", "bert.encoder.layer.1", flatten=True)


@pytest.mark.filterwarnings("ignore:.*(eval mode|many workers|log_every_n_steps).*")
def test_training_logs_likeness_of_tokens_that_are_there(data, pair, fit):
    task = Stitching(
        *(pair[0].module, pair[1].module, "blocks.1", "blocks.1", Affine(64, 64)),
        looks=(look_of(pair[0], data), look_of(pair[1], data)),
    )
    callback = RepresentationSimilarity(["linear_cka", "mutual_knn"])
    trainer = fit(task, data, callbacks=[callback])
    logged = trainer.callback_metrics
    assert 0 < logged["similarity/linear_cka/per_location"] <= 1
    assert "similarity/mutual_knn/pooled" in logged
    assert logged["val/loss"] > 0


def test_every_block_is_stitched_to_every_block(data, pair):
    ours, theirs = (one.module for one in pair)
    look = look_of(pair[0], data)
    batches = [(look(rows), labels) for rows, labels in data.val_batches()]
    matrix = stitching_matrix(
        ours, theirs, batches, batches, ["blocks.0", "blocks.2"], ["blocks.1", "blocks.3"]
    )
    assert len(matrix.accuracy) == 4
    assert all(0 <= value <= 1 for value in matrix.accuracy.values())
    joint = join(ours, theirs, "blocks.2", "blocks.3").seeing(look, look)
    moments = matching_moments(joint.sender.front, joint.receiver.front, data.val_batches())
    stitch = Affine(64, 64).solve(moments)
    right = total = 0
    for rows, labels in data.val_batches():
        found = hits(joint.receiver.end(stitch(joint.sender.front(rows))), labels)
        right, total = right + int(found.sum()), total + len(found)
    assert matrix.accuracy["blocks.2", "blocks.3"] == pytest.approx(right / total, abs=1e-9)


def test_controls_are_scored_on_a_sample_of_sentences_of_many_lengths(data, pair):
    look = look_of(pair[0], data)
    joint = join(pair[0].module, pair[1].module, "blocks.0", "blocks.1").seeing(look, look)
    fronts = joint.sender.front, joint.receiver.front
    controls = solve_controls(fronts[0], fronts[1], joint.align, data.train_batches(), every=3)
    stitch = Affine(64, 64).solve(matching_moments(*fronts, data.train_batches()))
    halves = joint.sender, joint.receiver
    scores = evaluate_stitches(
        *halves, {"after": stitch}, data.val_batches(), ["linear_cka"], controls=controls
    )
    assert scores["n/untrained"] < scores["n/after"]
    for what in ("accuracy", "loss"):
        sampled = scores[f"{what}/receiver{SAMPLED}"]
        assert scores[f"{what}/itself"] == pytest.approx(sampled, abs=1e-6)


def test_networks_without_a_tokenizer_read_no_text(data):
    card = Card("lenet", 10, 1, "digits", 0, 0, 1)
    with pytest.raises(UserError, match="has no tokenizer and reads no text"):
        text_for([Network(torch.nn.Identity(), card, "lenet.safetensors")], data)
