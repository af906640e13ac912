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
from frankenstein.measures import unbiased_cka
from frankenstein.measures.within_class import within_class_unbiased_cka
from frankenstein.networks import open_network
from frankenstein.networks.data import look_of, text_for
from frankenstein.networks.network import Network
from frankenstein.shapes import Tokens, pooled
from frankenstein.stitches import Affine
from frankenstein.stitching.controls import solve_controls
from frankenstein.stitching.depths import reader_behind
from frankenstein.stitching.evaluate import SAMPLED, evaluate_stitches
from frankenstein.stitching.matrix.solve import stitching_matrix
from frankenstein.surgery import LayerError, join
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.read import Reader
from frankenstein.tasks import Stitching, direct_mse, matching_moments, task_loss
from frankenstein.tasks.objectives import Pass, cka_regularized, direct_cka, target_objective
from frankenstein.tasks.objectives.final_features import final_features
from frankenstein.tasks.objectives.latent_alignment import latent_alignment
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


LATER = ("blocks.2.add", "blocks.2.add_1", "blocks.3.add", "norm")


@pytest.mark.parametrize(
    "objective",
    [
        task_loss,
        direct_mse,
        direct_cka,
        cka_regularized(task_loss, -0.1),
        *map(target_objective, ("soft_1", "soft_2", "soft_12", "soft_1_plus_2")),
        latent_alignment(LATER),
        final_features(LATER),
    ],
)
def test_gradients_of_a_stitch_do_not_feel_padding(data, pair, objective):
    gradients = []
    for longest in (None, 90):
        stitch = Affine(64, 64)
        with torch.no_grad():
            stitch.weight.copy_(torch.eye(64))
            stitch.bias.zero_()
        joint = join(pair[0].module, pair[1].module, "blocks.0", "blocks.1")
        rows = data.train_images[:7]
        inputs = look_of(pair[0], data)(rows)
        if longest:
            grown = {k: torch.nn.functional.pad(z, (0, longest)) for k, z in inputs.parts.items()}
            inputs = Examples(grown)
        labels = data.train_labels[:7]
        halves = joint.sender, stitch, joint.receiver, joint.align
        behind = Reader.of_end(joint.receiver.end, [*LATER, OUTPUT])
        objective(Pass(inputs, labels, *halves, behind)).backward()
        gradients.append(stitch.weight.grad)
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)


def followed(one, sentence, stitch):
    """Every later layer of the receiver and its logits of one sentence by itself, in float64."""
    ids = torch.tensor([[10, *sentence.encode(), 10]])
    sender, receiver = (x.module for x in one)
    cuts = join(sender, receiver, "blocks.0", "blocks.1")
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    source, target = cuts.sender.front(**batch).values, cuts.receiver.front(**batch).values
    of_end = Reader.of_end(cuts.receiver.end.part, [*LATER, OUTPUT])
    both = []
    for start in (stitch(source), target):
        made = {"cut": start, **of_end(start)}
        both.append({name: x[0].detach().double().numpy() for name, x in made.items()})
    return both


def test_alignment_and_depths_are_those_of_sentences_taken_one_by_one(data, pair):
    joint = join(pair[0].module, pair[1].module, "blocks.0", "blocks.1")
    look = look_of(pair[0], data)
    rows, stitch = data.val_images, Affine(64, 64).requires_grad_(False)
    alone = [followed(pair, SENTENCES[row], stitch) for row in rows.tolist()]
    expected = {}
    for name in alone[0][0]:
        x, y = (np.concatenate([one[side][name] for one in alone]) for side in (0, 1))
        expected[name] = np.square(x - y).sum() / np.square(y - y.mean(0)).sum()
    behind = Reader.of_end(joint.receiver.end, [*LATER, OUTPUT])
    halves = joint.sender, stitch, joint.receiver, joint.align, behind
    batch = Pass(look(rows), data.val_labels, *halves)
    found = latent_alignment(LATER)(batch)
    assert float(found) == pytest.approx(np.mean(list(expected.values())), rel=1e-5)
    assert float(final_features(LATER)(batch)) == pytest.approx(expected["norm"], rel=1e-5)
    assert torch.equal(batch.logits, joint.receiver.end(batch.stitched))
    seen = joint.seeing(look, look)
    scores = evaluate_stitches(
        *(seen.sender, seen.receiver, {"after": stitch}, data.val_batches(), ["linear_cka"]),
        behind=reader_behind(pair[1].module, "blocks.1", joint.receiver.end),
    )
    depths = {key.split("/")[0]: x for key, x in scores.items() if key.startswith("explained@")}
    assert list(depths) == [f"explained@{name}" for name in ("cut", *LATER, "logits")]
    for (name, share), value in zip(expected.items(), depths.values(), strict=True):
        assert value == pytest.approx(1 - share, abs=1e-5), name
    pooled = [np.stack([one[side]["norm"].mean(0) for one in alone]) for side in (0, 1)]
    assert scores["final_depth_cka/after"] == pytest.approx(
        float(unbiased_cka(*map(torch.tensor, pooled))), abs=1e-5
    )


def test_agreement_and_divergence_are_those_of_next_tokens(data, pair):
    joint = join(pair[0].module, pair[1].module, "blocks.0", "blocks.1")
    look, stitch = look_of(pair[0], data), Affine(64, 64).requires_grad_(False)
    seen = joint.seeing(look, look)
    halves = seen.sender, seen.receiver
    scores = evaluate_stitches(*halves, {"after": stitch}, data.val_batches(), ["linear_cka"])
    ours, theirs, right = [], [], []
    for row in data.val_images.tolist():
        answers = [one[OUTPUT] for one in followed(pair, SENTENCES[row], stitch)]
        wanted = np.array([*SENTENCES[row].encode(), 10])
        ours, theirs = [*ours, *answers[0][:-1]], [*theirs, *answers[1][:-1]]
        right = [*right, *wanted]
    ours, theirs, right = map(np.array, (ours, theirs, right))

    def log_softmax(x):
        x = x - x.max(1, keepdims=True)
        return x - np.log(np.exp(x).sum(1, keepdims=True))

    p, q = log_softmax(ours), log_softmax(theirs)
    middle = np.logaddexp(p, q) - np.log(2)
    divergence = (np.exp(p) * (p - middle) + np.exp(q) * (q - middle)).sum(1).mean() / 2
    loss = -p[np.arange(len(p)), right].mean()
    assert scores["agreement/after"] == (ours.argmax(1) == theirs.argmax(1)).mean()
    assert scores["jensen_shannon/after"] == pytest.approx(divergence, rel=1e-4)
    assert scores["perplexity/after"] == pytest.approx(np.exp(loss), rel=1e-5)


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
    later = Reader.of_end(joint.sender.end, ["bert.encoder.layer.1.output.LayerNorm", OUTPUT])(z)
    assert torch.equal(later[OUTPUT], joint.sender.end(z))  # of classes: a row a sentence
    assert isinstance(later["bert.encoder.layer.1.output.LayerNorm"], Tokens)
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


def test_likeness_within_classes_is_of_sentences_and_not_of_their_tokens():
    layer, draw = "bert.encoder.layer.0", torch.Generator().manual_seed(0)
    joint = join(encoder(0), encoder(1), layer, layer)
    ids = torch.randint(256, (24, 9), generator=draw)
    there = torch.arange(9) < torch.randint(2, 10, (24, 1), generator=draw)
    inputs = Examples({"input_ids": ids, "attention_mask": there.long()})
    stitch, labels = Affine(16, 16).requires_grad_(False), torch.arange(24) % 3
    halves, batches = (joint.sender, joint.receiver), [(inputs, labels)]
    scores = evaluate_stitches(*halves, {"after": stitch}, batches, ["linear_cka"])
    x, y = stitch(joint.sender.front(inputs)), joint.receiver.front(inputs)
    wanted = within_class_unbiased_cka(pooled(x), pooled(y), labels)
    assert scores["within_class_unbiased_cka/after"] == pytest.approx(float(wanted), abs=1e-6)


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
