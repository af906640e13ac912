"""The causal transformer of the zoo."""

import torch

from frankenstein.networks import open_network
from frankenstein.networks.data import data_for
from frankenstein.surgery import cut, cut_points
from frankenstein.zoo import build_network, load_network, network_sha256, read_card, save_network
from frankenstein.zoo.files import Card
from frankenstein.zoo.gpt_tiny import LONGEST

CARD = Card("gpt_tiny", 256, 0, "text", 0, 0, 1)


def ids(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))


def test_no_token_sees_one_behind_it():
    network = build_network("gpt_tiny", 256, 0, init_seed=0).eval()
    whole = ids(3, LONGEST)
    for length in (1, 7, LONGEST - 1):
        front = network(whole[:, :length])
        torch.testing.assert_close(front, network(whole)[:, :length], rtol=1e-4, atol=1e-5)


def test_it_is_cut_at_every_block_and_takes_other_batches():
    network = build_network("gpt_tiny", 256, 0, init_seed=0).eval()
    assert {f"blocks.{i}.add_1" for i in range(4)} <= {*cut_points(network)}
    for i in range(4):
        front, end = cut(network, f"blocks.{i}")
        for shape in ((2, 8), (5, 31), (1, 3)):
            batch = {"input_ids": ids(*shape), "attention_mask": torch.ones(shape).long()}
            assert torch.equal(end(front(**batch)), network(**batch))


def test_it_comes_back_from_a_file_with_its_tokenizer(tmp_path):
    network = build_network("gpt_tiny", 256, 0, init_seed=3)
    path = save_network(tmp_path / "network.safetensors", network, CARD)
    assert read_card(path) == CARD
    assert network_sha256(load_network(path)) == network_sha256(network)
    torch.save(network.state_dict(), tmp_path / "alone.pt")
    alone = read_card(tmp_path / "alone.pt")
    assert (alone.architecture, alone.num_classes, alone.in_channels) == ("gpt_tiny", 256, 0)
    opened = open_network(str(path))
    assert opened.causal
    assert opened.tokenizer.encode(["a" * 200])[0][-2:] == [97, 10]
    twin = open_network("gpt_tiny#3")
    assert network_sha256(twin.module) == opened.sha256
    data = data_for([opened, twin], "text")
    assert data.num_classes == 256
    assert data.val_labels.shape[0] == 2000
