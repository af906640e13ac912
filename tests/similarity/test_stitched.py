import shutil

import pytest
import torch

from frankenstein.errors import UserError
from frankenstein.similarity.subject import read_stitched
from frankenstein.stitches import load_stitch
from frankenstein.surgery import LayerError, capture, cut
from frankenstein.zoo import load_network


@pytest.fixture
def pair(saved, tmp_path):
    """Two files that a test may exchange."""
    return [shutil.copy(saved("lenet", seed), tmp_path / f"{seed}.safetensors") for seed in (0, 1)]


@pytest.fixture
def made(run, pair):
    return str(run("stitch", *pair, "pool1", "pool1", "-e", "0", "--run-name", "made"))


def test_the_stitched_and_the_receivers_own_at_the_cut_and_behind_it(made, pair):
    images = torch.rand(3, 1, 32, 32)
    sender, receiver = (cut(load_network(path), after="pool1") for path in pair)
    source, target = sender.front(images), receiver.front(images)
    stitched = load_stitch(f"{made}/ps_inv.safetensors")(source)
    until = capture(receiver.end, ["relu2"])
    for layer, of in ((None, lambda z: z), ("relu2", lambda z: until(z)["relu2"])):
        ours, theirs = read_stitched(made, "ps_inv", layer).readers(torch.device("cpu"))
        with torch.no_grad():
            assert torch.equal(ours(images)["ps_inv"], of(stitched))
            assert torch.equal(theirs(images)[layer or "pool1"], of(target))


def test_a_layer_in_front_of_the_cut_is_refused(made):
    with pytest.raises(LayerError, match=r"'relu1' .* not lie behind 'pool1'; did you mean relu2"):
        read_stitched(made, layer="relu1")


def test_other_networks_are_refused_unless_they_are_asked_for(made, pair, saved):
    shutil.copy(saved("lenet", 2), pair[0])
    with pytest.raises(UserError, match=r"made for a sender of sha256 .*or say other_networks"):
        read_stitched(made)
    assert read_stitched(made, other_networks=True).layer == "pool1"


def test_a_matrix_of_stitches_is_refused(run, pair):
    folder = run("stitch", *pair, "--sender-layers", "fc1", "--receiver-layers", "fc1", "-e", "0")
    with pytest.raises(UserError, match="is a matrix of stitches; make one of them a file: frank"):
        read_stitched(str(folder))
