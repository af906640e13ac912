"""What is done to trained networks is done to their controls, and nothing is found in nothing."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from frankenstein.data import Digits
from frankenstein.networks.network import Network, open_network
from frankenstein.networks.statistics import count_statistics, counting_images
from frankenstein.questions import (
    Activations,
    Autoencoder,
    Circuits,
    Probes,
    Subject,
    Units,
    Weights,
)
from frankenstein.surgery import find_streams, permute
from frankenstein.zoo import Card

PAIR = "relu3-relu4"
WEIGHTS = Path(__file__).parents[2] / "model_weights"
TRAINED = str(WEIGHTS / "tiny10" / "digits" / "in0-gn0.safetensors")


@pytest.fixture
def fed(few_digits, saved):
    """A subject whose untrained networks are its own two."""
    networks = [open_network(saved("lenet", seed)) for seed in (0, 1)]
    subject = Subject(networks, Digits(image_size=32), [("relu3", "relu4")], examples=60)
    one, other = (
        replace(network, role=f"untrained_{network.role}/1", control_of=network.role)
        for network in subject.networks
    )
    subject.untrained = ((one, other),)
    return subject


def check_fed(numbers, controls):
    for control, trained in controls.items():
        assert numbers[control] == pytest.approx(numbers[trained], rel=1e-9, nan_ok=True), control


def test_fed_the_trained_networks_the_control_of_units_gives_the_trained_answer(fed):
    kinds = ("raw_cosine", "sorted_cosine", "raw_pearson", "sorted_pearson")
    numbers = Units().ask(fed).numbers
    check_fed(numbers, {f"{kind}/untrained/{PAIR}": f"{kind}/{PAIR}" for kind in kinds})


def test_fed_the_trained_networks_the_control_of_activations_gives_the_trained_answer(fed):
    numbers = Activations().ask(fed).numbers
    places = {"sender": "relu3", "receiver": "relu4"}
    names = ("dead", "zeros", "rms", "sparseness", "selectivity", "dimension", "class_variance")
    check_fed(
        numbers,
        {
            f"{name}/untrained_{role}/{layer}": f"{name}/{role}/{layer}"
            for role, layer in places.items()
            for name in (*names, "dimension_shuffled")
        }
        | {f"matched/untrained/{PAIR}": f"matched/{PAIR}"},
    )


def test_fed_the_trained_networks_the_control_of_circuits_gives_the_trained_answer(fed):
    numbers = Circuits().ask(fed).numbers
    groups = [numbers[f"groups/{role}/{PAIR}"] for role in ("sender", "receiver")]
    assert numbers[f"untrained_groups/{PAIR}"] == sum(groups) / 2
    controls = {
        f"untrained_matched/{PAIR}": f"matched/{PAIR}",
        f"untrained_similarity/{PAIR}": f"matched_similarity/{PAIR}",
    }
    check_fed(numbers, controls)


def test_fed_the_trained_networks_the_control_of_probes_gives_the_trained_answer(fed):
    numbers = Probes().ask(fed).numbers
    check_fed(
        numbers,
        {
            f"{kind}/untrained_{role}/{PAIR}": f"{kind}/{role}/{PAIR}"
            for kind in ("linear", "hidden")
            for role in ("sender", "receiver")
        },
    )


def test_fed_the_trained_networks_the_control_of_dictionaries_gives_the_trained_answer(fed):
    numbers = Autoencoder(features=24, steps=6).ask(fed).numbers
    check_fed(numbers, {f"matched/untrained_receiver/{PAIR}": f"matched/networks/{PAIR}"})


def test_fed_the_trained_networks_the_control_of_weights_gives_the_trained_answer(saved):
    networks = [open_network(saved("mlp", seed)) for seed in range(3)]
    networks[2] = replace(networks[2], role="third")
    trained = Weights().ask(Subject(networks, untrained=1)).numbers
    twins = [open_network(saved("mlp", seed + 3)) for seed in range(3)]
    twins[2] = replace(twins[2], role="third")
    # Networks whose untrained twins are the ones that were asked about.
    fed = [
        replace(twin, build=lambda _, one=network: one.module)
        for network, twin in zip(networks, twins, strict=True)
    ]
    numbers = Weights().ask(Subject(fed, untrained=1)).numbers
    for layer in ("fc1", "fc2", "fc3"):
        for what in ("before", "after"):
            control = numbers[f"distance_{what}/untrained/{layer}"]
            assert control == pytest.approx(trained[f"distance_{what}/sender-receiver/{layer}"])
        assert numbers[f"axes/untrained/{layer}"] == pytest.approx(trained[f"axes/{layer}"])
        for fact in ("norm", "effective_rank"):
            control = numbers[f"{fact}/untrained_sender/{layer}"]
            assert control == pytest.approx(trained[f"{fact}/sender/{layer}"])


@pytest.fixture
def alike(few_digits, saved):
    """Answers for a network and its copy with units in another order, or for it with itself."""

    def make(question, in_order, file, layers, untrained=2):
        network = open_network(file)
        streams = find_streams(network.module)
        orders = {s: torch.arange(streams.units[s]).flip(0) for s in streams.movable}
        copy = replace(network, module=permute(network.module, {} if in_order else orders))
        pairs = [(layer, layer) for layer in layers]
        data = Digits(image_size=32)
        subject = Subject([copy, network], data, pairs, examples=60, untrained=untrained)
        return question.ask(subject).numbers

    return make


@pytest.mark.parametrize("in_order", [True, False])
def test_a_network_and_its_copy_in_another_order_are_one_and_the_same(alike, saved, in_order):
    of_lenet = partial(alike, in_order=in_order, file=saved("lenet", 2), layers=("relu2", "relu4"))
    units, weights = of_lenet(Units()), of_lenet(Weights())
    for layer in ("relu2", "relu4"):
        assert units[f"sorted_pearson/{layer}"] == pytest.approx(1)
        assert (units[f"raw_pearson/{layer}"] == pytest.approx(1)) == in_order
        assert (units[f"raw_pearson_p/{layer}"] < 0.05) == in_order
    for layer in ("conv1", "conv2", "fc1", "fc2"):
        assert weights[f"distance_after/sender-receiver/{layer}"] == pytest.approx(0, abs=1e-9)
        assert weights[f"distance_p/sender-receiver/{layer}"] < 0.2
    assert (weights["distance_before/sender-receiver/fc1"] > 0.5) == (not in_order)


def test_the_circuits_of_a_network_are_those_of_its_copy_in_another_order(alike):
    numbers = alike(Circuits(), False, TRAINED, ["relu8"], untrained=1)
    groups = numbers["groups/sender/relu8"]
    assert numbers["groups/receiver/relu8"] == numbers["matched/relu8"] == groups > 5
    assert numbers["matched_similarity/relu8"] == pytest.approx(1)


@pytest.fixture
def untrained_subject(spots, small_network):
    """Makes subjects of two untrained networks, each with controls of its own seeds.

    In the same modules again and again, whose steps are recorded once.
    """
    make, data, card = partial(small_network, widths=(8, 12)), spots(), Card("", 10, 1, *[None] * 4)
    images, modules = counting_images(data, make(0)), [make(0) for _ in range(12)]

    def subject(k):
        free = iter(modules)

        def drawn(seed):
            module = next(free)
            module.load_state_dict(make(seed).state_dict())
            return module

        networks = [
            Network(count_statistics(drawn(seed), images), card, "", build=drawn)
            for seed in (2 * k, 2 * k + 1)
        ]
        made = Subject(networks, data, [("relu1", "relu1"), ("relu2", "relu2")], seed=k)
        made.seeds = tuple((1000 + 10 * k + 2 * i, 1001 + 10 * k + 2 * i) for i in range(5))
        return made

    return subject


def test_two_untrained_networks_are_told_from_others_one_time_in_twenty(untrained_subject):
    """Of many more, and of all questions: benchmarks/untrained.py."""
    found, times = {}, 25
    for k in range(times):
        subject = untrained_subject(k)
        for question in (Units(), Activations()):
            table = {}  # the least p of each column
            for key, p in question.ask(subject).numbers.items():
                what, _, place = key.partition("/")
                if what.endswith("_p") and p == p:
                    column = what, place.rpartition("/")[0]
                    table[column] = min(p, table.get(column, 1.0))
            for column, p in table.items():
                found.setdefault(column, []).append(p < 0.05)
    assert len(found) > 8
    told = {column: sum(each) for column, each in found.items() if len(each) == times}
    assert max(told.values()) <= 5  # more come up once in 800 times
    assert sum(told.values()) / (times * len(told)) < 0.07
