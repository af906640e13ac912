"""What every question of `analyze` is asked of: networks, layers, and one shared pass of data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from frankenstein.cli.verbs.compare_words import layers_of
from frankenstein.data import ImageData
from frankenstein.data.batches import Batches
from frankenstein.errors import UserError
from frankenstein.networks.cards import files_of, short_name
from frankenstein.networks.checks import data_for
from frankenstein.questions.sample import Reader, Sample, Watcher, read_sample, sample_bytes
from frankenstein.report.progress import progress
from frankenstein.stitching.pair import load_pair
from frankenstein.surgery import cut_points
from frankenstein.surgery.activation_layers import activation_layers
from frankenstein.tasks.memory import free_memory
from frankenstein.training.trainer import device_of
from frankenstein.zoo import Card, read_card, untrained

_SEEDS = {"sender": 1_000_003, "receiver": 1_000_004}  # of untrained networks: nobody trains these
PARTS = {"train": "training", "val": "held-out"}  # what tables and texts call them


@dataclass(frozen=True, eq=False)
class Study:
    """Two networks, frozen on `device` in evaluation mode, and what is asked of them.

    `trained` holds the networks by whose they are: "sender", "receiver", then those of --more by
    their names. The data are loaded, and passed over, only once something asks for them.
    """

    trained: Mapping[str, nn.Module]
    cards: Mapping[str, Card]  # likewise
    files: Mapping[str, str]  # likewise
    pairs: tuple[tuple[str, str], ...]  # (sender's layer, receiver's layer)
    device: torch.device
    options: Mapping[str, Any]  # every value of the command
    reads_untrained: bool = False  # whether both samples have rows of these, too
    watchers: dict[str, Watcher] = field(default_factory=dict)  # by question: told of every batch
    # of held-out images that is read

    @property
    def sender(self) -> nn.Module:
        """The first network."""
        return self.trained["sender"]

    @property
    def receiver(self) -> nn.Module:
        """The second network."""
        return self.trained["receiver"]

    @property
    def names(self) -> tuple[str, str]:
        """What figures call the sender and the receiver."""
        one, other = (short_name(self.files[side]) for side in ("sender", "receiver"))
        return (one, other) if one != other else ("sender", "receiver")

    @property
    def quiet(self) -> bool:
        """Whether to keep silent: neither bars nor remarks."""
        return self.options["quiet"]

    @property
    def seed(self) -> int:
        """Of whatever is drawn at random."""
        return self.options["seed"]

    def label(self, pair: tuple[str, str]) -> str:
        """What tables and scores call a pair of layers: one name where both have it."""
        return pair[0] if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"

    def generator(self) -> torch.Generator:
        """A new generator of that seed, on the CPU."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def untrained(self) -> Mapping[str, nn.Module]:
        """Networks of the same kinds that have learned nothing: "untrained_sender" and so on."""
        return {
            f"untrained_{side}": _frozen(untrained(self.cards[side], seed), self.device)
            for side, seed in _SEEDS.items()
        }

    @property
    def dataset(self) -> str | None:
        """The data set's name; None if neither the user nor the receiver's file says it."""
        return self.options["dataset"] or self.cards["receiver"].dataset

    @cached_property
    def data(self) -> ImageData:
        """The data set, loaded, as the receiver takes it."""
        return data_for(self.receiver, self.dataset, self.options, self.options["batch_size"])

    @cached_property
    def train(self) -> Sample:
        """Pooled rows of at most --examples training images."""
        return self._read("train")

    @cached_property
    def val(self) -> Sample:
        """Pooled rows of at most --examples held-out images."""
        return self._read("val")

    def batches(self, part: str, most: int | None = None) -> Batches:
        """The images of the sample `train` or `val`, or the first ones, prepared, in its order."""
        make = {"train": self.data.train_batches, "val": self.data.val_batches}[part]
        examples = self.options["examples"]
        return make(examples if most is None else min(most, examples))

    def pictures(self, part: str, rows: Tensor) -> Tensor:  # (N, C, H, W), uint8
        """The images behind rows of the sample `train` or `val`, as they are before preparation."""
        batches = self.batches(part)
        chosen = torch.cat([*batches.order(0)])[rows.cpu()]
        images = batches.images
        return images.index_select(0, chosen) if isinstance(images, Tensor) else images[chosen]

    def layers(self, whose: str) -> list[str]:
        """The layers of one network that are read: the receiver's, or those of the sender."""
        place = whose.removeprefix("untrained_") == "receiver"
        return list(dict.fromkeys(pair[place] for pair in self.pairs))

    def _read(self, part: str) -> Sample:
        networks = {**self.trained, **(self.untrained if self.reads_untrained else {})}
        readers = {whose: Reader(net, self.layers(whose)) for whose, net in networks.items()}
        batches, shape = self.batches(part), self.receiver.input_shape
        needed, free = sample_bytes(readers, shape, batches.examples), free_memory(self.device)  # type: ignore[arg-type]
        said = f"{needed / 1e6:.1f} MB for rows of {batches.examples} {PARTS[part]} images"
        if free and needed > free:
            raise UserError(f"{said}, but {free / 1e6:.1f} MB are free; choose fewer --examples")
        if not self.quiet:
            Console().out(said, highlight=False)
        shown = progress(batches, f"reading {PARTS[part]} images", self.quiet)
        watchers = [*self.watchers.values()] if part == "val" else []
        return read_sample(readers, shown, self.device, watchers)


def make_study(
    values: Mapping[str, Any], of_layers: bool = True, reads_untrained: bool = False
) -> Study:
    """The study that the values of `frankenstein analyze` ask for; without `of_layers` no pairs.

    Raises:
        FileError: for a file that does not hold a network.
        ShapeError: if the networks are made for different images.
        LayerError: for a layer that a network does not have.
        UserError: if no layer is named, and the networks have none of the same name.
    """
    device, model = device_of(values["accelerator"]), values["model"]
    files = files_of(values)
    pair = load_pair(values["sender"], values["receiver"], model)
    more = [load_pair(values["receiver"], file, model)[1] for file in values["more"]]
    trained = dict(zip(files, (*pair, *more), strict=True))
    cards = {whose: read_card(file, model) for whose, file in files.items()}
    for network in trained.values():
        _frozen(network, device)
    pairs = _pairs(values, *pair) if of_layers else ()
    study = Study(trained, cards, files, pairs, device, values, reads_untrained)
    if not of_layers:
        return study
    for whose, network in trained.items():
        Reader(network, study.layers(whose))  # says what is wrong before anything is read
    return study


def _pairs(
    values: Mapping[str, Any], sender: nn.Module, receiver: nn.Module
) -> tuple[tuple[str, str], ...]:
    if values["sender_layer"] is not None:
        return _named(values, sender, receiver)
    theirs = activation_layers(receiver)
    pairs = tuple((layer, layer) for layer in activation_layers(sender) if layer in theirs)
    if not pairs:
        raise UserError(
            "the networks have no layers of the same name; "
            "choose SENDER_LAYER and RECEIVER_LAYER, which `frankenstein layers` lists"
        )
    return pairs


def _named(
    values: Mapping[str, Any], sender: nn.Module, receiver: nn.Module
) -> tuple[tuple[str, str], ...]:
    """Layers as in compare, names with commas between and globs, paired in the order of each."""
    ours, theirs = (
        _expanded(values[f"{side}_layer"], network)
        for side, network in (("sender", sender), ("receiver", receiver))
    )
    if not ours or len(ours) != len(theirs):
        raise UserError(
            f"layers are paired one by one, got {len(ours)} of the sender ({', '.join(ours)}) and "
            f"{len(theirs)} of the receiver ({', '.join(theirs)})"
        )
    return tuple(zip(ours, theirs, strict=True))


def _expanded(words: str, network: nn.Module) -> list[str]:
    known = cut_points(network)
    found: dict[str, None] = {}
    for word in layers_of(words) or []:
        matching = [name for name in known if fnmatchcase(name, word)]
        found |= dict.fromkeys(matching or [word])  # who reads it says that it is not there
    return [*found]


def _frozen(network: nn.Module, device: torch.device) -> nn.Module:
    return network.requires_grad_(False).eval().to(device)
