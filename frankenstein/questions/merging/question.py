"""Merging: can the weights of two networks be averaged once their units are in one order?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import ClassVar

from torch import Tensor, nn

from frankenstein.data.batches import Batches
from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.networks.tally import evaluate_network
from frankenstein.questions.merging.answer import AVERAGED, WAYS, MergeAnswer, Score
from frankenstein.questions.merging.loss_line import loss_line
from frankenstein.questions.merging.merge import interpolate, parent_moments, renormalize
from frankenstein.questions.merging.page import merge_section
from frankenstein.questions.merging.same_architecture import same_architecture
from frankenstein.questions.merging.unit_orders import orders_by_activations, orders_by_weights
from frankenstein.questions.question import Need, NotAskable, Question
from frankenstein.questions.subject import PARTS, Subject
from frankenstein.report import Section
from frankenstein.report.progress import progress
from frankenstein.surgery import find_streams, permute

_EXAMPLES = 2000  # of each part of the data: a line is many passes
_SHARES = tuple(i / 10 for i in range(11))


@dataclass(frozen=True, kw_only=True)
class Merge(Question[MergeAnswer]):
    """Can the weights of sender and receiver be averaged once their units are in one order?"""

    title: ClassVar[str] = "Merging"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs", "labels"})

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
        parts = {part: subject.batches(part, _EXAMPLES) for part in PARTS}
        makers = _makers(subject, parts["train"])
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
            {name: _score(one, parts["val"], subject) for name, one in parents.items()},
            best,
            Network(makers[best](0.5), card, "merged", "merged"),
            movable,
            {part: batches.examples for part, batches in parts.items()},
        )

    def show(self, answer: MergeAnswer) -> Section:
        """The lines, their barriers, and the networks halfway; the best of them is saved."""
        return merge_section(self.title, answer)


def _makers(subject: Subject, train: Batches) -> dict[str, Callable[[float], nn.Module]]:
    """For every way to match: what lies at a share of the line."""
    sender, receiver = subject.sender.module, subject.receiver.module
    orders = orders_by_activations(sender, receiver, train, subject.device)
    by_activations = permute(sender, orders)
    by_weights = permute(sender, orders_by_weights(sender, receiver, subject.seed))
    starts = dict(zip(WAYS, (sender, by_activations, by_activations, by_weights), strict=True))
    moments_of = cache(lambda one: parent_moments(one, receiver, train, subject.device))

    def make(way: str, share: float) -> nn.Module:
        one = starts[way]
        if share in (0, 1):  # the ends are the networks themselves
            return receiver if share else one
        merged = interpolate(one, receiver, share)
        if way == AVERAGED:
            return merged
        return renormalize(merged, moments_of(one), share, train, subject.device)

    return {way: partial(make, way) for way in WAYS}


class _MeanOfLogits(nn.Module):
    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, images: Tensor) -> Tensor:
        return (self.one(images) + self.other(images)) / 2


def _score(network: nn.Module, batches: Batches, subject: Subject) -> Score:
    scores = evaluate_network(network, batches, subject.device)
    return Score(scores["accuracy"], scores["loss"])
