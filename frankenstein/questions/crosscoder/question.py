"""One dictionary of two networks: what they share, and what one has alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from frankenstein.data.batches import Batches
from frankenstein.dictionaries import (
    CrosscoderDictionary,
    mean_and_scale,
    save_crosscoder,
    side_by_side,
)
from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.questions.crosscoder.page import CROSSCODER, crosscoder_section
from frankenstein.questions.crosscoder.scores import CrosscoderScores, score_crosscoder
from frankenstein.questions.dictionaries.training import new_dictionary, train_dictionary
from frankenstein.questions.question import NotAskable, Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.table import DictionaryOptions
from frankenstein.report import Section
from frankenstein.report.progress import progress
from frankenstein.shapes import ShapeError
from frankenstein.surgery import Cut, Joint, join
from frankenstein.tasks import DictionaryFit

_SCALED_ON = 2_000  # images: a mean and a scale need no more


@dataclass(frozen=True)
class CrosscoderAnswer:
    """The crosscoder of a pair of layers, beside its controls."""

    label: str  # of the pair
    images: int
    options: DictionaryOptions
    # "networks"; "shuffled", whose examples do not belong together; "untrained_receiver".
    scores: Mapping[str, CrosscoderScores]
    crosscoder: CrosscoderDictionary  # of the two networks
    facts: Mapping[str, str]  # their sha256 and layers, by role

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"shared/networks/bn7": ..., "exclusive_sender/shuffled/bn7": ...}."""
        numbers: dict[str, float] = {}
        for kind, one in self.scores.items():
            live = max(1, int(one.live.sum()))
            found = {
                "explained_sender": one.explained[0],
                "explained_receiver": one.explained[1],
                "dead": 1 - float(one.live.double().mean()),
                "shared": int(one.shared.sum()) / live,
            }
            for network, role in enumerate(("sender", "receiver")):
                found[f"exclusive_{role}"] = int(one.exclusive(network).sum()) / live
                kept = int(one.exclusive_in_truth(network).sum())
                found[f"exclusive_{role}_in_truth"] = kept / live
            numbers |= {f"{what}/{kind}/{self.label}": one for what, one in found.items()}
        return numbers


@dataclass(frozen=True, kw_only=True)
class Crosscoder(DictionaryOptions, Question[CrosscoderAnswer]):
    """Which features of one dictionary of both networks do they share?"""

    title = "Crosscoder"
    needs = frozenset({"layers", "inputs", "training"})

    def ask(self, subject: Subject) -> CrosscoderAnswer:
        """The middle pair of layers, and the same of unrelated examples and an untrained receiver.

        Raises:
            NotAskable: if the two layers cannot be laid alike.
        """
        pair = subject.pairs[len(subject.pairs) // 2]
        sides = subject.sender, subject.receiver
        _, twin = subject.untrained[0]
        kinds = {
            "networks": (sides, False),
            "shuffled": (sides, True),
            "untrained_receiver": ((subject.sender, twin), False),
        }
        fitted = {
            kind: _fitted(subject, pair, networks, shuffled, self)
            for kind, (networks, shuffled) in kinds.items()
        }
        layers = {f"{one.role}_layer": subject.layer_of(one, pair) for one in sides}
        return CrosscoderAnswer(
            subject.label(pair),
            subject.batches("val").examples,
            self,
            {kind: scores for kind, (_, scores) in fitted.items()},
            fitted["networks"][0],
            {**{one.role: one.sha256 for one in sides}, **layers},
        )

    def show(self, answer: CrosscoderAnswer) -> Section:
        """Shares of features, and how long their directions are in the two networks."""
        section = crosscoder_section(
            self.title, answer.label, answer.images, answer.scores, answer.numbers
        )
        save = partial(save_crosscoder, crosscoder=answer.crosscoder, facts=answer.facts)
        return replace(section, saves={CROSSCODER: save})


class SideBySide(nn.Module):
    """Images to the units of two layers at every place, each layer at mean 0 and a variance of 1.

    `shuffled`: the second layer's are those of the batch's next example.
    """

    def __init__(self, joint: Joint, shuffled: bool) -> None:
        super().__init__()
        self.fronts = nn.ModuleList(
            [nn.Sequential(joint.sender.front, joint.align), joint.receiver.front]
        )
        self.shuffled = shuffled
        self.norms: list[tuple[Tensor, Tensor]] = []

    def scaled_on(
        self,
        batches: Batches,
        device: torch.device,
        called: Sequence[str] = ("the sender's layer", "the receiver's layer"),
    ) -> "SideBySide":
        """Learn means and scales, of one front after the other; returns self.

        Raises:
            NotAskable: if one of the layers has none; it is called as said.
        """
        for front, name in zip(self.fronts, called, strict=True):
            try:
                scale = mean_and_scale(front(images.to(device)) for images, _ in batches)
            except UserError as error:
                raise NotAskable(f"{name}: {error}") from error
            self.norms.append(scale)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """(N, D + E, H, W), (N, T, D + E) or (N, D + E)."""
        one, other = (front(images) for front in self.fronts)
        return side_by_side((one, other.roll(1, 0) if self.shuffled else other), self.norms)


@torch.no_grad()
def _joined(
    subject: Subject, pair: Pair, networks: tuple[Network, Network], shuffled: bool
) -> tuple[SideBySide, int, int]:
    one, other = networks
    for network in networks:
        network.module.requires_grad_(False).eval()
    try:
        layers = subject.layer_of(one, pair), subject.layer_of(other, pair)
        joint = join(one.module, other.module, layers[0], layers[1])
    except ShapeError as error:
        raise NotAskable(f"a crosscoder sees both layers place by place: {error}") from error
    both = SideBySide(joint.seeing(*map(subject.look, networks)), shuffled).to(subject.device)
    called = [f"{s} of the {net.role}" for s, net in zip(layers, networks, strict=True)]
    both.scaled_on(subject.data.train_batches(_SCALED_ON), subject.device, called)
    return both, joint.source.units, joint.target.units


def _fitted(
    subject: Subject,
    pair: Pair,
    networks: tuple[Network, Network],
    shuffled: bool,
    options: DictionaryOptions,
) -> tuple[CrosscoderDictionary, CrosscoderScores]:
    """Train a crosscoder on training images, and score it on held-out ones."""
    both, d, e = _joined(subject, pair, networks, shuffled)
    dictionary = new_dictionary(d + e, options, subject.seed)
    penalty = options.l1 or 0.0
    halves = Cut(both, nn.Identity())
    task = DictionaryFit(halves, dictionary, penalty=penalty, parts=(d, e), seed=subject.seed)
    what = "crosscoder, shuffled" if shuffled else f"crosscoder with {networks[1].role}"
    dictionary = train_dictionary(subject, task, options.steps, what)
    batches = progress(subject.batches("val"), f"scoring {what}", subject.quiet)
    scores = score_crosscoder(dictionary, _read(both, batches, subject.device), d)
    return CrosscoderDictionary(dictionary, both.norms), scores


def _read(
    both: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> Iterator[Tensor]:
    for images, _ in batches:
        with torch.no_grad():
            yield both(images.to(device))
