"""Merging: can the weights of two networks be averaged once their units are in one order?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.networks.accuracy import evaluate_network
from frankenstein.networks.network import Network
from frankenstein.networks.statistics import counting_images
from frankenstein.questions.merging.loss_line import (
    AVERAGED,
    UNMATCHED,
    WAYS,
    MergeAnswer,
    loss_line,
)
from frankenstein.questions.merging.merge import interpolate, parent_moments, renormalize
from frankenstein.questions.merging.unit_orders import (
    STARTS,
    Orders,
    optima_by_weights,
    orders_by_activations,
    same_architecture,
)
from frankenstein.questions.question import NotAskable, Question
from frankenstein.questions.subject import PARTS, Subject
from frankenstein.report import Picture, Section, Short, markdown_table, short_number
from frankenstein.report.panels import line_panels
from frankenstein.report.progress import progress
from frankenstein.surgery import find_streams, permute
from frankenstein.zoo import save_network

_EXAMPLES = 2000  # of each part of the data: a line is many passes
_SHARES = tuple(i / 10 for i in range(11))
_WAYS = {
    UNMATCHED: ("as they are", "the sender's units in the order that they have: the control"),
    AVERAGED: (
        "by activations, statistics averaged",
        "as below, but with BatchNorm's statistics averaged like the weights (without BatchNorm: "
        "no layer rescaled): the control of what counting anew does",
    ),
    "by_activations": (
        "by activations",
        "its units in the order in which their activations are most correlated with the "
        "receiver's over training images",
    ),
    "by_weights": (
        "by weights",
        f"in the order in which its weights are nearest to the receiver's, the best of {STARTS} "
        "starts, without data",
    ),
}
_SUMMARY = (
    "The network halfway between the weights of both, units in the order that each row names, and "
    "the largest loss on the way above that of both ends (nats): 0 is no barrier."
)
_CAPTION = (
    "Loss (nats) and accuracy along the straight line between the weights of the sender (0) and of "
    "the receiver (1), units matched in the ways that the legend names. A hill in the loss is the "
    "barrier; where there is none the two have found one solution, their units in another order."
)


@dataclass(frozen=True, kw_only=True)
class Merge(Question[MergeAnswer]):
    """Can the weights of sender and receiver be averaged once their units are in one order?"""

    title = "Merging"
    needs = frozenset({"inputs", "labels"})

    def ask(self, subject: Subject) -> MergeAnswer:
        """The line between the two before and after matching, and the networks halfway.

        Raises:
            NotAskable: if the two are not of one architecture whose units can be reordered.
        """
        sender, receiver = subject.sender.module, subject.receiver.module
        try:
            same_architecture(sender, receiver)
            movable = len(find_streams(sender).movable)
        except UserError as error:
            raise NotAskable(error.args[0]) from None
        looks = [subject.look(one) for one in (subject.sender, subject.receiver)]
        if subject.sender.eyes != subject.receiver.eyes and looks[0] is not None:
            raise NotAskable("the two see images in different ways")
        parts = {part: subject.batches(part, _EXAMPLES) for part in PARTS}
        for batches in parts.values():
            batches.transform = looks[0] or batches.transform
        counted = counting_images(subject.data, receiver, looks[0])
        optima = optima_by_weights(sender, receiver, subject.seed)
        makers = _makers(subject, optima[0], counted)
        lines = {
            way: loss_line(
                make,
                progress(_SHARES, f"line, {way.replace('_', ' ')}", subject.quiet),
                parts,
                subject.device,
            )
            for way, make in makers.items()
        }
        parents = {
            "sender": sender,
            "receiver": receiver,
            "mean_of_logits": _MeanOfLogits(sender, receiver),
        }
        best = min(makers, key=lambda way: lines[way].loss["train"][len(_SHARES) // 2])
        card = replace(subject.receiver.card, init_seed=None, order_seed=None, epochs=None)
        return MergeAnswer(
            lines,
            {
                name: evaluate_network(one, parts["val"], subject.device)
                for name, one in parents.items()
            },
            best,
            Network(makers[best](0.5), card, "merged", "merged"),
            movable,
            {part: batches.examples for part, batches in parts.items()},
            len(counted),
            tuple(
                evaluate_network(
                    _maker(permute(sender, orders), receiver, counted)(0.5),
                    parts["val"],
                    subject.device,
                )
                for orders in optima[1:]
            ),
        )

    def show(self, answer: MergeAnswer) -> Section:
        """The lines, their barriers, and the networks halfway; the best of them is saved."""
        barriers = [
            [_WAYS[way][0], *(answer.numbers[f"barrier_{part}/{way}"] for part in PARTS)]
            for way in answer.lines
        ]
        scores = {
            **{name.replace("_", " "): score for name, score in answer.parents.items()},
            **{f"{name} with itself": score for name, score in answer.counted_anew.items()},
            **{f"merged {_WAYS[way][0]}": score for way, score in answer.halfway.items()},
        }
        rows: list[list[Any]] = [
            [name, score["accuracy"], score["loss"]] for name, score in scores.items()
        ]
        shown = [
            [name, short_number(accuracy, "%"), short_number(loss, ".3f")]
            for name, accuracy, loss in rows
        ]
        heights = [""] * (len(scores) - len(answer.lines))
        heights += [short_number(answer.lines[way].barrier("val"), ".3f") for way in answer.lines]
        spread = [
            f"± {short_number(answer.numbers[f'{what}_spread/merged_by_weights'], form)}"
            for what, form in (("accuracy", "%"), ("loss", ".3f"))
        ]
        shown.append([f"  over its {STARTS} starts", *spread])
        heights.append("")
        anew = ", and beside both merged with themselves" if answer.counted_anew else ""
        blocks: tuple[str | Picture, ...] = (
            _about(answer),
            Picture("line", _figure(answer), _CAPTION),
            markdown_table(barriers, ["units matched", "barrier, training", "barrier, held-out"]),
            f"The network halfway, on {answer.examples['val']} held-out images, beside the two it "
            f"is made of and the mean of their logits, which costs two networks to run{anew}:",
            markdown_table(rows, ["network", "accuracy", "loss"], ["accuracy"]),
            "Matching by weights ends in a local optimum, from another start in another one: over "
            f"{STARTS} starts the accuracy of the network halfway scatters by {spread[0]} "
            f"(standard deviation), its loss, and so the barrier, by {spread[1]} nats. Shown is "
            "the start whose weights end nearest to the receiver's.",
            f"`merged.safetensors` is the one matched {_WAYS[answer.best][0]}, whose training loss "
            "is the lowest.",
        )
        short = Short(
            _SUMMARY,
            ["", "accuracy", "loss", "barrier"],
            [[*row, height] for row, height in zip(shown, heights, strict=True)],
            _found(answer),
        )
        save = partial(save_network, network=answer.merged.module, card=answer.merged.card)
        return Section(self.title, blocks, short, {"merged.safetensors": save})


def _found(answer: MergeAnswer) -> str:
    """The best network halfway, beside the two that it is made of."""
    way = answer.best
    way_said = "units as they are" if way == UNMATCHED else f"units matched {_WAYS[way][0]}"
    right = [short_number(one["accuracy"], "%") for one in answer.parents.values()]
    merged = short_number(answer.halfway[way]["accuracy"], "%")
    height = short_number(answer.lines[way].barrier("val"), ".3f")
    return (
        f"The network halfway between both, {way_said}, is right in {merged} of the images, and "
        f"the two themselves in {right[0]} and {right[1]}; the barrier is {height} nats."
    )


def _makers(
    subject: Subject, by_weights: Orders, images: Tensor
) -> dict[str, Callable[[float], nn.Module]]:
    """For every way to match: what lies at a share of the line."""
    sender, receiver = subject.sender.module, subject.receiver.module
    train = subject.batches("train", _EXAMPLES)
    by_activations = orders_by_activations(sender, receiver, train, subject.device)
    matched = permute(sender, by_activations)
    starts = sender, matched, matched, permute(sender, by_weights)
    return {
        way: _maker(one, receiver, None if way == AVERAGED else images)
        for way, one in zip(WAYS, starts, strict=True)
    }


def _maker(
    one: nn.Module,
    other: nn.Module,
    images: Tensor | None,  # that statistics are counted on; None: they are averaged as weights are
) -> Callable[[float], nn.Module]:
    """What lies at a share of the line between two networks, both ends made as all between."""
    if images is None:
        return partial(interpolate, one, other)
    moments = parent_moments(one, other, [(images, images)], images.device)

    def make(share: float) -> nn.Module:
        return renormalize(interpolate(one, other, share), moments, share, images)

    return make


class _MeanOfLogits(nn.Module):
    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, images: Tensor) -> Tensor:
        return (self.one(images) + self.other(images)) / 2


def _figure(answer: MergeAnswer) -> Figure:
    panels = {
        f"{what}, {images}": {
            _WAYS[way][0]: (line.shares, getattr(line, what)[part])
            for way, line in answer.lines.items()
        }
        for what in ("loss", "accuracy")
        for part, images in PARTS.items()
    }
    return line_panels(panels, "share of the receiver", controls=(_WAYS[UNMATCHED][0],))


def _about(answer: MergeAnswer) -> str:
    ways = "\n".join(f"- *{name}*: {about}" for name, about in _WAYS.values())
    return (
        "The weights of the sender and the receiver are averaged, after the sender's units were "
        "brought into another order, which changes nothing of what it computes "
        f"({answer.movable} sets of units can be reordered):\n\n{ways}\n\n"
        "What is averaged answers too weakly; so BatchNorm's statistics are counted anew at every "
        "point, the two ends among them (without BatchNorm: each layer is rescaled), in one pass "
        f"over {answer.counted} training images. Matching is that of Ainsworth et al. 2022 "
        "(https://arxiv.org/abs/2209.04836), counting anew that of Jordan et al. 2022 "
        "(https://arxiv.org/abs/2211.08403). The barrier is the largest loss above the straight "
        "line between the losses of the two ends, in nats."
    )
