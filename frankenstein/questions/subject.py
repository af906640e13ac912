"""What questions are asked of: networks, pairs of their layers, and shared passes over the data."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property, partial
from itertools import chain
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from frankenstein.data import ImageData
from frankenstein.data.batches import Batches
from frankenstein.data.padding import there_of
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.memory import free_memory
from frankenstein.networks.data import data_for, look_of, open_all
from frankenstein.networks.network import RESERVED, Network, roles_of
from frankenstein.networks.statistics import counting_images
from frankenstein.questions.question import AnyQuestion, NotAskable, Watcher
from frankenstein.questions.sample import Sample, read_sample, sample_bytes
from frankenstein.report.progress import progress
from frankenstein.surgery import cut_points, seeing
from frankenstein.surgery.key_layers import activation_layers
from frankenstein.surgery.read import Reader

Pair = tuple[str, str]  # the sender's layer, the receiver's layer

PARTS = {"train": "training", "val": "held-out"}  # what tables and texts call them
_SEED = 1_000_003  # of the first untrained network, others follow: nobody trains these


class Subject:
    """Networks, the first of them the sender and the second the receiver, and what they look at.

        subject = Subject([open_network(one), open_network(other)], Digits(image_size=32))
        Units().ask(subject).numbers

    Data are loaded, passed over and kept only once a question asks for them, and then for all.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        data: ImageData | Callable[[], ImageData] | None = None,
        pairs: Iterable[Pair] | None = None,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        examples: int = 5000,
        untrained: int = 5,
        quiet: bool = True,
    ) -> None:
        """Networks in evaluation mode, which move to the device.

        `data` may be a function that loads them. Without `pairs` layers are paired by name, see
        `paired_layers`. `seed` is of whatever is drawn at random; `examples` are those of each part
        of the data that are looked at, at most; `untrained` networks of each of two kinds are what
        sender and receiver are held against.

        Raises:
            UserError: if there are fewer than two networks, or two of one role.
        """
        for what, number, least in (
            ("examples", examples, 2),
            ("untrained networks", untrained, 1),
        ):
            if number < least:
                raise UserError(f"a subject has {least} {what} or more, got {number}")
        if not hasattr(seed, "__index__"):  # NumPy's integers have it, too
            raise UserError(f"a seed is a whole number, got {seed!r}")
        if pairs is not None and not all(
            isinstance(pair, tuple) and len(pair) == 2 for pair in pairs
        ):
            raise UserError(
                f"pairs are (layer of the sender, layer of the receiver), got {pairs!r}"
            )
        if pairs is not None and not pairs:
            raise UserError("no pair of layers is named; None is all that both networks have")
        self.device, self.seed = torch.device(device), seed
        self.examples, self.quiet = examples, quiet
        self.seeds = tuple((_SEED + 2 * k, _SEED + 2 * k + 1) for k in range(untrained))
        self.networks = tuple(network.to(self.device) for network in _with_roles(networks))
        self._data = data
        self._pairs = None if pairs is None else tuple(pairs)
        self._samples: dict[str, Sample] = {}
        self._reads_untrained = self.looks = False
        self._watchers: dict[AnyQuestion, Watcher] = {}
        self._untold: list[Watcher] = []

    @property
    def sender(self) -> Network:
        """The first network."""
        return self.networks[0]

    @property
    def receiver(self) -> Network:
        """The second network."""
        return self.networks[1]

    @cached_property
    def untrained(self) -> tuple[tuple[Network, Network], ...]:
        """Pairs of the sender's and the receiver's kinds that have learned nothing."""
        both = self.sender, self.receiver
        images = [counting_images(self.data, one.module, self.look(one)) for one in both]
        pairs = [
            [
                replace(twin := network.untrained(seed, seen), role=f"{twin.role}/{k}")
                for network, seed, seen in zip(both, seeds, images, strict=True)
            ]
            for k, seeds in enumerate(self.seeds, start=1)
        ]
        return tuple((one, other) for one, other in pairs)

    def twins(self, network: Network) -> tuple[Network, ...]:
        """The untrained networks that sender or receiver is held against by itself.

        Where both are of one kind, and asked for the same layers, they are the same ones.
        """
        alike = self.sender.kind == self.receiver.kind and all(a == b for a, b in self.pairs)
        side = network is self.receiver and not alike
        return tuple(pair[side] for pair in self.untrained)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Layers that are asked about.

        Raises:
            LayerError: for a layer that a network does not have.
            UserError: if none are named, and the networks have none of the same name.
        """
        pairs = self._pairs or paired_layers(self.sender, self.receiver)
        for network in self.networks:
            Reader(network.module, self._layers(network, pairs))  # says what is wrong with them
        return pairs

    def label(self, pair: Pair) -> str:
        """What tables and numbers call a pair of layers: one name where both have it."""
        return pair[0] if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"

    def layer_of(self, network: Network, pair: Pair) -> str:
        """The receiver's layer for the receiver and its untrained twin, else the sender's."""
        return pair[self.receiver.role in (network.role, network.control_of)]

    def generator(self) -> torch.Generator:
        """A new generator of the seed, on the CPU."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def data(self) -> ImageData:
        """The data set, loaded.

        Raises:
            UserError: if there is none.
            NotAskable: of sentences, or of labels of tokens.
        """
        if self._data is None:
            raise UserError("this question looks at data; give the subject a data set")
        data = self._data if isinstance(self._data, ImageData) else self._data()
        data.setup()
        if isinstance(data, Text) or there_of(data.blank()) is not None:
            raise NotAskable(
                f"analyze asks of examples without padding, and {data.name} gives sentences; "
                "compare and stitch take them, a question of weights needs none, and extract "
                "writes activations, of which analyze tells what units do"
            )
        if data.labelled and not data.classed and not data.multilabel:
            raise NotAskable(
                f"analyze asks of examples with a class each, and {data.name} has labels of "
                "tokens; compare, stitch and evaluate take these"
            )
        return data

    def batches(self, part: str, most: int | None = None) -> Batches:
        """Prepared examples of the sample `train` or `val`, or its first ones, in its order."""
        make = {"train": self.data.train_batches, "val": self.data.val_batches}[part]
        return make(self.examples if most is None else min(most, self.examples))

    def look(self, network: Network) -> nn.Module | None:
        """From a batch to what a network takes; None if that is the batch (see `look_of`)."""
        return look_of(network, self.data)

    def pictures(self, part: str, rows: Tensor) -> Tensor | None:  # (N, C, H, W), uint8
        """The images behind rows of the sample `train` or `val`, as they are before preparation.

        None if its examples are no images for a person to look at.
        """
        if not self.data.pictured:
            return None
        batches = self.batches(part)
        chosen = torch.cat([*batches.order(0)])[rows.cpu()]
        images = batches.images
        taken = images.index_select(0, chosen) if isinstance(images, Tensor) else images[chosen]
        return self.data.pictures(taken)

    @property
    def held_out_labels(self) -> Tensor | None:
        """Labels of the sample `val`; None if there are none."""
        return self.val.labels if self.data.labelled else None

    @property
    def train(self) -> Sample:
        """Pooled rows of training images."""
        return self._sample("train")

    @property
    def val(self) -> Sample:
        """Pooled rows of held-out images."""
        return self._sample("val")

    def rows(self, part: str, network: Network, pair: Pair) -> Tensor:  # (N, C)
        """What a network, trained or one of `untrained`, makes of the sample `train` or `val`."""
        if network.control_of is not None:
            self._reads_untrained = True
        return self._sample(part).of[network.role][self.layer_of(network, pair)]

    def expect(self, questions: Iterable[AnyQuestion]) -> None:
        """Be ready for these questions: one pass over each part of the data then serves all."""
        for question in questions:
            if isinstance(question, type):
                name = question.__name__
                raise UserError(f"a question has its options: give {name}(), not the class {name}")
            self._reads_untrained |= {"untrained", "inputs"} <= question.needs
            self.looks |= "inputs" in question.needs  # whether the data are read anyway
            if question in self._watchers:
                continue
            if (watcher := question.watcher(self)) is not None:
                self._watchers[question] = watcher
                self._untold.append(watcher)

    def watched(self, question: AnyQuestion) -> Any:
        """The watcher of a question, once it was told of every batch of held-out images."""
        self.expect([question])
        self._sample("val")
        return self._watchers[question]

    def _sample(self, part: str) -> Sample:
        """What is there already, and what is missing of it, read in one pass."""
        twins = chain(*self.untrained) if self._reads_untrained else ()
        networks = (*self.networks, *twins)
        told = self._untold if part == "val" else []
        had = self._samples.get(part)
        missing = [
            network for network in networks if told or had is None or network.role not in had.of
        ]
        if missing:
            new = self._read(part, missing, told)
            self._samples[part] = replace(new, of={**(had.of if had else {}), **new.of})
            told.clear()
        return self._samples[part]

    def _read(self, part: str, networks: Sequence[Network], told: Sequence[Watcher]) -> Sample:
        readers = {
            network.role: seeing(
                Reader(network.module, self._layers(network, self.pairs)), self.look(network)
            )
            for network in networks
        }
        batches = self.batches(part)
        needed = sample_bytes(readers, self.data.blank(), batches.examples)
        free = free_memory(self.device)
        size = (
            f"{needed / 1e6:.1f} MB for rows of {batches.examples} {PARTS[part]} {self.data.called}"
        )
        if free and needed > free:
            raise UserError(f"{size}, but {free / 1e6:.1f} MB are free; choose fewer ‹examples›")
        if not self.quiet:
            Console().out(size, highlight=False)
        shown = progress(batches, f"reading {PARTS[part]} {self.data.called}", self.quiet)
        return read_sample(readers, shown, self.device, told)

    def _layers(self, network: Network, pairs: Iterable[Pair]) -> list[str]:
        return list(dict.fromkeys(self.layer_of(network, pair) for pair in pairs))


def open_subject(
    sender: str,
    receiver: str,
    sender_layer: str | None = None,
    receiver_layer: str | None = None,
    *,
    more: Sequence[str] = (),
    dataset: str | None = None,
    data_root: str | None = None,
    batch_size: int = 250,
    model: str | None = None,
    size: int | None = None,
    normalize: Sequence[float] | None = None,
    resampling: str | None = None,
    of_layers: bool = True,
    **options: Any,
) -> Subject:
    """A subject from the sources of networks, as the plan of `analyze` names it.

    The rest is as in `open_network` and `Subject`. The data are those that the receiver was trained
    on unless they are named. Without `of_layers` words for layers are left aside.

    Raises:
        FileError: for a file that does not hold a network.
        UserError: if layers are not named in pairs.
    """
    sources = {
        "sender": sender,
        "receiver": receiver,
        **dict(zip(roles_of(more), more, strict=True)),
    }
    told: dict[str, Any] = {"size": size, "normalize": normalize, "resampling": resampling}
    networks = open_all(sources, model, dataset=dataset, **told)
    one, other = networks[:2]
    pairs = None
    if of_layers and sender_layer is not None:
        pairs = paired_layers(one, other, sender_layer, receiver_layer)
    data = partial(data_for, networks, dataset, data_root, eval_batch_size=batch_size)
    return Subject(networks, data, pairs, **options)


def paired_layers(
    sender: Network,
    receiver: Network,
    sender_layer: str | None = None,
    receiver_layer: str | None = None,
) -> tuple[Pair, ...]:
    """Layers named as in `compare`, by commas and globs, paired in the order of each.

    Without names, the activations behind every layer with a weight matrix that both networks have
    by the same name; without names for the receiver, the sender's.

    Raises:
        UserError: if they do not come in pairs, or there are none.
    """
    if sender_layer is None:
        theirs = activation_layers(receiver.module)
        pairs = tuple((name, name) for name in activation_layers(sender.module) if name in theirs)
        if not pairs:
            raise UserError(
                "the networks have no layers of the same name; "
                "choose ‹sender_layer› and ‹receiver_layer›, which `frankenstein layers` lists"
            )
        return pairs
    ones = _expanded(sender_layer, sender)
    others = _expanded(sender_layer if receiver_layer is None else receiver_layer, receiver)
    if not ones or len(ones) != len(others):
        raise UserError(
            f"layers are paired one by one, got {len(ones)} of the sender ({', '.join(ones)}) and "
            f"{len(others)} of the receiver ({', '.join(others)})"
        )
    return tuple(zip(ones, others, strict=True))


def _expanded(words: str, network: Network) -> list[str]:
    known = cut_points(network.module)
    names: dict[str, None] = {}
    for word in filter(None, words.split(",")):
        matching = [name for name in known if fnmatchcase(name, word)]
        names |= dict.fromkeys(matching or [word])  # who reads it says that it is not there
    return [*names]


def _with_roles(networks: Sequence[Network]) -> list[Network]:
    """The first two as sender and receiver, the others by roles that nobody else has."""
    if len(networks) < 2:
        raise UserError(f"questions are asked of two networks or more, got {len(networks)}")
    roles = ["sender", "receiver", *(network.role for network in networks[2:])]
    for role in roles[2:]:
        if role in RESERVED or roles.count(role) > 1:
            raise UserError(
                f"further networks have roles of their own, got {role!r} again; open them with "
                "the roles of `roles_of`"
            )
    return [
        network if network.role == role else replace(network, role=role)
        for network, role in zip(networks, roles, strict=True)
    ]
