"""How often a verb reads the file of a network."""

from collections import Counter

import pytest
import safetensors
import torch


@pytest.fixture
def opened(monkeypatch):
    """Counts how often each file of tensors is opened."""
    count = Counter()

    def counting(open_file):
        def opening(path, *args, **options):
            count[str(path)] += 1
            return open_file(path, *args, **options)

        return opening

    monkeypatch.setattr(safetensors, "safe_open", counting(safetensors.safe_open))
    monkeypatch.setattr(torch, "load", counting(torch.load))
    return count


# One line for each verb that takes networks.
@pytest.mark.parametrize(
    "words",
    [
        ("compare", "tanh*", "fc1", "--bootstrap", "39"),
        ("stitch", "fc2", "tanh2", "--family", "low_rank", "-r", "2", "-e", "1", "-b", "128"),
        ("stitch", "--sender-layers", "fc1", "--receiver-layers", "fc1", "fc2", "-e", "0"),
        ("analyze", "tanh2", "--units", "--circuits", "--merge", "-n", "30"),
        ("analyze", "--weights"),
    ],
)
def test_the_file_of_a_network_is_opened_once(run, saved, opened, words):
    pair = saved("mlp", 0), saved("mlp", 1)
    verb, *rest = words
    few = () if verb == "compare" else ("--untrained", "1")
    opened.clear()
    run(verb, *pair, *rest, *few)
    assert {path: count for path, count in opened.items() if path in pair} == dict.fromkeys(pair, 1)


def test_files_of_tensors_alone_are_opened_once(run, saved, opened, tmp_path):
    from frankenstein.zoo import load_network

    pair = []
    for seed in (0, 1):
        pair.append(str(tmp_path / f"{seed}.pt"))
        torch.save(load_network(saved("lenet", seed)).state_dict(), pair[-1])
    opened.clear()
    run("compare", *pair, "relu2", "relu2", "linear_cka", "--model", "lenet", "-d", "digits")
    assert opened == dict.fromkeys(pair, 1)


def test_a_network_that_is_evaluated_is_opened_once(run, saved, opened):
    network = saved("lenet", 0)
    opened.clear()
    run("evaluate", network)
    assert opened == {network: 1}


def test_a_run_of_stitch_opens_its_networks_once(run, saved, opened):
    pair = saved("mlp", 0), saved("mlp", 1)
    opened.clear()
    few = ("-e", "0", "--untrained", "1", "--measures", "linear_cka")
    made = run("stitch", *pair, "fc1", "fc1", *few)
    assert {path: opened[path] for path in pair} == dict.fromkeys(pair, 1)
    opened.clear()
    run("compare", made, "linear_cka")
    assert {path: opened[path] for path in pair} == dict.fromkeys(pair, 1)
