"""Sentences on the command line: compared, extracted, and refused where they do not fit."""

import json

import pytest

from frankenstein.activations import open_activations
from frankenstein.data.grammar import made_up_sentences

PAIR = ("gpt_tiny#0", "gpt_tiny#1")
DRAWN = ("--flattening", "per_location", "--permutations", "9")
LAYERS = ("blocks.1,blocks.3", "blocks.0,blocks.2")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("\n".join(made_up_sentences(60)))
    return ("-d", "text", "--text", str(path))


def numbers_of(folder):
    return json.loads((folder / "summary.json").read_text())


def test_activations_of_sentences_are_compared_as_their_network_is(run, text, tmp_path):
    file = tmp_path / "one.safetensors"
    run("extract", PAIR[0], *text, "--layers", *LAYERS[0].split(","), "-o", str(file))
    saved = open_activations(str(file))
    assert saved.facts["flattening"] == "pooled"
    assert saved.layers["blocks.1"].shape[1:] == (64,)
    draws = ("--permutations", "19", "--bootstrap", "39")
    whole = numbers_of(run("compare", *PAIR, *LAYERS, "linear_cka", *text, *draws))
    beside = numbers_of(run("compare", str(file), PAIR[1], *LAYERS, "linear_cka", *text))
    for row in LAYERS[0].split(","):
        for column in LAYERS[1].split(","):
            key = f"linear_cka/{row}/{column}"
            assert beside[key] == pytest.approx(whole[key], abs=1e-6)
    assert {"perplexity/sender", "perplexity/receiver", "accuracy/most_frequent"} <= {*whole}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "-m", "tiny10", "-d", "text"), "tiny10 takes images, and text has none"),
        (("train", "-m", "gpt_tiny", "-d", "digits"), "gpt_tiny takes text, and digits has none"),
        (("compare", *PAIR, "--text", "some.txt"), "--text is for --dataset text"),
        (("compare", *PAIR, "-d", "digits"), "images are none of these"),
        (("analyze", *PAIR, "--probes", "-d", "text"), "and text gives sentences; compare and"),
        (
            ("stitch", *PAIR, "blocks.1", "blocks.1", "--anchors", "9", "-i", "ps_inv"),
            "blocks.1 has the tokens of sentences; leave --anchors out",
        ),
        (("compare", "lenet#0", PAIR[0], "-d", "text"), "has no tokenizer and reads no text"),
        (("compare", *PAIR, "-d", "text", "--text", "absent.txt"), "no text can be read in absent"),
        (
            (*("compare", *PAIR, "blocks.1", "blocks.1", "linear_cka", "-d", "text"), *DRAWN),
            "draw sentences, and per_location has a row a token",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(mistake, words, said):
    assert said in mistake(*words)
