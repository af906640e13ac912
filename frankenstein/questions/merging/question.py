"""Merging: can the weights of two networks be averaged once their units are in one order?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from typing import ClassVar

from matplotlib.figure import Figure
from torch import Tensor, nn

from frankenstein.data.batches import Batches
from frankenstein.errors import UserError
from frankenstein.networks.tally import evaluate_network
from frankenstein.questions.merging.loss_line import LossLine, loss_line
from frankenstein.questions.merging.merge import interpolate, parent_moments, renormalize
from frankenstein.questions.merging.same_architecture import same_architecture
from frankenstein.questions.merging.unit_orders import orders_by_activations, orders_by_weights
from frankenstein.questions.question import Need, NotAskable, Question
from frankenstein.questions.study import PARTS, Study
from frankenstein.questions.subject import Subject
from frankenstein.report import Picture, Section, Short, markdown_table, short_number
from frankenstein.report.panels import line_panels
from frankenstein.report.progress import progress
from frankenstein.surgery import find_streams, permute
from frankenstein.zoo import save_network

_EXAMPLES = 2000  # of each part of the data: a line is many passes
_SHARES = tuple(i / 10 for i in range(11))
_UNMATCHED, _AVERAGED = "as they are", "by activations, statistics averaged"
_LINES = {
    _UNMATCHED: "the sender's units in the order that they have: the control",
    _AVERAGED: "as below, but with BatchNorm's statistics averaged like the weights (without "
    "BatchNorm: no layer rescaled): the control of what counting anew does",
    "by activations": "its units in the order in which their activations are most correlated with "
    "the receiver's over training images",
    "by weights": "in the order in which its weights are nearest to the receiver's, without data",
}
_SAID = (
    "The network halfway between the weights of both, units in the order that each row names, and "
    "the largest loss on the way above that of both ends (nats): 0 is no barrier."
)
_CAPTION = (
    "Loss (nats) and accuracy along the straight line between the weights of the sender (0) and of "
    "the receiver (1), units matched in the ways that the legend names. A hill in the loss is the "
    "barrier; where there is none the two have found one solution, their units in another order."
)


def section(study: Study) -> Section:
    """The line before and after matching, and what the network halfway is worth."""
    try:
        same_architecture(study.sender, study.receiver)
        find_streams(study.sender)
    except UserError as error:
        if not study.options["all"]:
            raise
        return Section("Merging", (f"The networks cannot be merged: {error}.",), {})
    parts = {part: study.batches(part, _EXAMPLES) for part in PARTS}
    makers = _makers(study, parts["train"])
    lines = {
        name: loss_line(make, progress(_SHARES, f"line, {name}", study.quiet), parts, study.device)
        for name, make in makers.items()
    }
    best = min(makers, key=lambda name: lines[name].loss["train"][len(_SHARES) // 2])
    whole = _whole(study, parts["val"], lines)
    scores = {
        f"barrier_{part}/{_key(name)}": line.barrier(part)
        for name, line in lines.items()
        for part in parts
    }
    for name, found in whole.items():
        scores |= {f"{what}/{_key(name)}": found[what] for what in ("accuracy", "loss")}
    for name, line in lines.items():
        for what, part in product(("loss", "accuracy"), parts):
            for share, value in zip(_SHARES, getattr(line, what)[part], strict=True):
                scores[f"line_{what}_{part}/{_key(name)}/{share}"] = value
    card = replace(study.cards["receiver"], init_seed=None, order_seed=None, epochs=None)
    rows = [[name, found["accuracy"], found["loss"]] for name, found in whole.items()]
    barriers = [[n, *(line.barrier(part) for part in parts)] for n, line in lines.items()]
    blocks: tuple[str | Picture, ...] = (
        _about(study, parts),
        Picture("line", _figure(lines), _CAPTION),
        markdown_table(barriers, ["units matched", "barrier, training", "barrier, held-out"]),
        f"The network halfway, on {parts['val'].examples} held-out images, beside the two it is "
        "made of and the mean of their logits, which costs two networks to run:",
        markdown_table(rows, ["network", "accuracy", "loss"], ["accuracy"]),
        f"`merged.safetensors` is the one matched {best}, whose training loss is the lowest.",
    )
    saves = {"merged.safetensors": partial(save_network, network=makers[best](0.5), card=card)}
    return Section("Merging", blocks, scores, _short(lines, whole), saves)


def _short(lines: dict[str, LossLine], whole: dict[str, dict[str, float]]) -> Short:
    barriers = {f"merged {name}": line.barrier("val") for name, line in lines.items()}
    rows = [
        [
            name,
            short_number(found["accuracy"], "%"),
            short_number(found["loss"], ".3f"),
            short_number(barriers[name], ".3f") if name in barriers else "",
        ]
        for name, found in whole.items()
    ]
    return Short(_SAID, ["", "accuracy", "loss", "barrier"], rows)


def _makers(study: Study, train: Batches) -> dict[str, Callable[[float], nn.Module]]:
    """For every way to match: what lies at a share of the line."""
    pair = study.sender, study.receiver
    by_activations = permute(study.sender, orders_by_activations(*pair, train, study.device))
    by_weights = permute(study.sender, orders_by_weights(*pair, study.seed))
    starts = dict(
        zip(_LINES, (study.sender, by_activations, by_activations, by_weights), strict=True)
    )
    moments_of = cache(lambda one: parent_moments(one, study.receiver, train, study.device))

    def make(name: str, share: float) -> nn.Module:
        one, other = starts[name], study.receiver
        if share in (0, 1):  # the ends are the networks themselves
            return other if share else one
        merged = interpolate(one, other, share)
        if name == _AVERAGED:
            return merged
        return renormalize(merged, moments_of(one), share, train, study.device)

    return {name: partial(make, name) for name in _LINES}


class _Both(nn.Module):
    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, images: Tensor) -> Tensor:
        return (self.one(images) + self.other(images)) / 2


def _whole(
    study: Study, batches: Batches, lines: dict[str, LossLine]
) -> dict[str, dict[str, float]]:
    """Accuracy and loss of both networks, of both together, and of those halfway."""
    networks = {"sender": study.sender, "receiver": study.receiver}
    networks["mean of logits"] = _Both(study.sender, study.receiver)
    found = {name: evaluate_network(n, batches, study.device) for name, n in networks.items()}
    middle = len(_SHARES) // 2
    for name, line in lines.items():
        found[f"merged {name}"] = {
            "accuracy": line.accuracy["val"][middle],
            "loss": line.loss["val"][middle],
        }
    return found


def _figure(lines: dict[str, LossLine]) -> Figure:
    panels = {
        f"{what}, {said}": {
            name: (line.shares, getattr(line, what)[part]) for name, line in lines.items()
        }
        for what in ("loss", "accuracy")
        for part, said in PARTS.items()
    }
    return line_panels(panels, "share of the receiver", controls=(_UNMATCHED,))


def _about(study: Study, parts: dict[str, Batches]) -> str:
    ways = "\n".join(f"- *{name}*: {about}" for name, about in _LINES.items())
    return (
        "The weights of the sender and the receiver are averaged, after the sender's units were "
        "brought into another order, which changes nothing of what it computes "
        f"({len(find_streams(study.sender).movable)} sets of units can be reordered):\n\n{ways}\n\n"
        "What is averaged answers too weakly; so BatchNorm's statistics are counted anew at every "
        "point (without BatchNorm: each layer is rescaled), in one pass over "
        f"{parts['train'].examples} training images. Matching is that of Ainsworth et al. 2022 "
        "(https://arxiv.org/abs/2209.04836), counting anew that of Jordan et al. 2022 "
        "(https://arxiv.org/abs/2211.08403). The barrier is the largest loss above the straight "
        "line between the losses of the two ends, in nats."
    )


def _key(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


@dataclass(frozen=True, kw_only=True)
class Merge(Question[Section]):
    """To be converted."""

    title: ClassVar[str] = "Merging"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs", "labels"})

    def ask(self, subject: Subject) -> Section:
        try:
            same_architecture(subject.sender.module, subject.receiver.module)
            find_streams(subject.sender.module)
        except UserError as error:
            raise NotAskable(error.args[0]) from None
        return section(Study(subject, self.values()))

    def show(self, answer: Section) -> Section:
        return answer
