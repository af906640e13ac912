"""How often an untrained network is told from others: about once in twenty times.

Each question is asked once, with many untrained networks for controls. Of what it finds in these,
one is drawn and held against five others (three, of dictionaries), as a trained one is: by the same
p, of all layers together. All are small networks with random weights, BatchNorm's statistics
counted on digits.
"""

import argparse
import platform
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from frankenstein.data import Digits
from frankenstein.intervals import Tail, chance_of, family_wise
from frankenstein.networks.network import Network
from frankenstein.networks.statistics import count_statistics, counting_images
from frankenstein.questions import (
    Activations,
    Autoencoder,
    Circuits,
    Probes,
    Subject,
    Units,
    Weights,
    dictionaries,
)
from frankenstein.zoo import Card

PAIRS = [("relu1", "relu1"), ("relu2", "relu2"), ("relu3", "relu3")]
Values = Mapping[str, Sequence[float]]  # by layer: of every untrained network, or pair of them


class Small(nn.Sequential):
    """Three blocks of convolution, BatchNorm and ReLU, and a linear layer."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        widths = (1, 8, 12, 16)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for i, (one, other) in enumerate(pairwise(widths), start=1):
                self.add_module(f"conv{i}", nn.Conv2d(one, other, 3, padding=1))
                self.add_module(f"bn{i}", nn.BatchNorm2d(other))
                self.add_module(f"relu{i}", nn.ReLU())
            self.add_module("mean", nn.AdaptiveAvgPool2d(1))
            self.add_module("flat", nn.Flatten())
            self.add_module("fc", nn.Linear(widths[-1], 10))
        self.input_shape = (1, 8, 8)
        self.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=60, help="of each side")
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=[*QUESTIONS])
    options = parser.parse_args()
    data, card = Digits(image_size=8), Card("", 10, 1, *[None] * 4)
    data.setup()
    images = counting_images(data, Small(0))
    networks = [
        Network(count_statistics(Small(seed), images), card, "", build=Small) for seed in (0, 1)
    ]
    subject = Subject(networks, data, PAIRS, examples=options.examples, untrained=options.networks)
    print(
        f"{options.networks} networks or pairs, {options.examples} images, {options.draws} draws; "
        f"{platform.machine()}, torch {torch.__version__}.\n"
    )
    print("| p of | below 0.05 | below 0.05 in one layer |")
    print("| --- | ---: | ---: |")
    for question in options.questions:
        for name, values, tail in QUESTIONS[question](subject):
            against = 3 if question == "autoencoder" else 5
            together, alone = told(values, tail, against, options.draws)
            print(f"| {name} | {together:.1%} | {alone:.1%} |", flush=True)


def of_units(subject: Subject) -> Iterator[tuple[str, Values, Tail]]:
    untrained = Units().ask(subject).untrained
    for kind in ("sorted_cosine", "sorted_pearson"):
        yield kind, {layer: of[kind] for layer, of in untrained.items()}, "above"


def of_activations(subject: Subject) -> Iterator[tuple[str, Values, Tail]]:
    answer = Activations().ask(subject)
    for kind in answer.layers[0]["sender"].by_chance:
        layers = zip(answer.labels, answer.untrained, strict=True)
        values = {label: [one.by_chance[kind][0] for one in of["sender"]] for label, of in layers}
        yield kind, values, "either"
    tops = zip(answer.labels, answer.top, strict=True)
    yield "matched units", {label: top.untrained for label, top in tops}, "above"


def of_weights(subject: Subject) -> Iterator[tuple[str, Values, Tail]]:
    controls = next(iter(Weights().ask(subject).control_distances.values()))
    values = {layer: [one[layer].after for one in controls] for layer in controls[0]}
    yield "matched weights", values, "below"


def of_circuits(subject: Subject) -> Iterator[tuple[str, Values, Tail]]:
    layers = Circuits().ask(subject).layers
    for kind in ("matched", "similarity"):
        values = {one.label: [getattr(m, kind) for m in one.untrained] for one in layers}
        yield f"{kind} of circuits", values, "above"


def of_probes(subject: Subject) -> Iterator[tuple[str, Values, Tail]]:
    answer = Probes().ask(subject)
    for kind in ("linear", "hidden"):
        values = {layer: answer.untrained[kind, "sender", layer] for layer in answer.layers}
        yield f"{kind} probes", values, "above"


def of_dictionaries(subject: Subject) -> Iterator[tuple[str, Values, Tail]]:
    dictionaries.question._TWINS = len(subject.seeds)  # of which a run takes three
    answer = Autoencoder(features=24, steps=20).ask(subject)
    yield "features of dictionaries", {answer.label: [m.mean for m in answer.untrained]}, "above"


QUESTIONS = {
    "units": of_units,
    "activations": of_activations,
    "weights": of_weights,
    "circuits": of_circuits,
    "probes": of_probes,
    "autoencoder": of_dictionaries,
}


def told(values: Values, tail: Tail, against: int, draws: int) -> tuple[float, float]:
    """How often one is told from others: in any layer by family-wise p, and in the first."""
    draw, n = np.random.default_rng(0), len(next(iter(values.values())))
    together = alone = 0
    for _ in range(draws):
        one, *others = draw.permutation(n)[: against + 1]
        chances = {
            layer: chance_of(of[one], [of[i] for i in others], tail) for layer, of in values.items()
        }
        together += any(p < 0.05 for p in family_wise(chances).values())
        alone += next(iter(chances.values())) < 0.05
    return together / draws, alone / draws


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
