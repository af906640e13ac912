"""Images that one layer takes for the same: does the receiver, too?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from frankenstein.data.own import OwnData
from frankenstein.networks.frauds import Change, learned_fraud
from frankenstein.questions.invariances.alike import made_alike
from frankenstein.questions.invariances.answer import MARKER, UNTRAINED, Alike, InvariancesAnswer
from frankenstein.questions.invariances.page import invariances_section
from frankenstein.questions.question import NotAskable, Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.table import InvarianceOptions
from frankenstein.report import Section
from frankenstein.report.progress import progress
from frankenstein.surgery import cut, seeing
from frankenstein.surgery.lighten import fold

_LAYERS = 3  # at most
_TWINS = 2  # untrained senders at most
_SHOWN = 6  # pairs of images
_POOL = 2  # images that others are chosen from, for each


@dataclass(frozen=True, kw_only=True)
class Invariances(InvarianceOptions, Question[InvariancesAnswer]):
    """Are images that one layer takes for the same also the same to the other network?"""

    title = "Identically represented inputs"
    needs = frozenset({"layers", "inputs", "labels", "training"})

    def ask(self, subject: Subject) -> InvariancesAnswer:
        """Images made alike by layers of the receiver, the sender and two kinds of control.

        Raises:
            NotAskable: of anything but images of a data set by name, with one class each, or
                of images of one class alone.
        """
        data, receiver, sender = subject.data, subject.receiver, subject.sender
        if isinstance(data, OwnData) or not data.classed or len(data.seen_shape) != 3:
            raise NotAskable(
                "‹invariances› changes images of a data set by name, of one class each and in one "
                f"size, and {data.name} gives others"
            )
        asks = seeing(receiver.module, subject.look(receiver))
        goals, starts, answers = _chosen(subject, asks, self.goals)
        black, white = (data.prepare(one).to(subject.device) for one in _extremes(data.seen_shape))
        pairs = _spread(subject.pairs)
        twins = subject.twins(sender)[:_TWINS]
        marker, marked = learned_fraud(MARKER, sender, subject.look(sender), data, subject.device)
        networks: list[tuple[str, nn.Module, Change, int]] = [
            ("receiver", receiver.module, _as_it_is, 1),
            ("sender", sender.module, _as_it_is, 0),
            *((UNTRAINED, twin.module, _as_it_is, 0) for twin in twins),
            (MARKER, marker, marked, 0),
        ]
        alike: dict[tuple[str, str], Alike] = {}
        untrained: dict[str, list[Alike]] = {}
        jobs = list(product(pairs, networks))
        for pair, (who, module, change, side) in progress(
            jobs, "making images alike", subject.quiet
        ):
            look = subject.look((sender, receiver)[side])
            front = seeing(fold(cut(module, pair[side]).front), look)
            goal, start = (change(*both).float() for both in (goals, starts))
            bright = torch.maximum(white, torch.maximum(goal, start).amax())
            images, left = made_alike(front, start, goal, black, bright, self.inversion_steps)
            with torch.no_grad():
                said = asks(images).argmax(1)
            one = Alike(
                float((said == answers[0]).double().mean()),
                float((said == answers[1]).double().mean()),
                float(left.median()),
                _pictured(images[:_SHOWN], black, white),
            )
            layer = subject.label(pair)
            if who == UNTRAINED:
                untrained.setdefault(layer, []).append(one)
            else:
                alike[layer, who] = one
        classes = [[data.classes[k] for k in labels[:_SHOWN]] for _, labels in (goals, starts)]
        return InvariancesAnswer(
            tuple(map(subject.label, pairs)),
            len(answers[0]),
            self.inversion_steps,
            float((answers[0] == answers[1]).double().mean()),
            alike,
            untrained,
            tuple(f"{one}, {other}" for one, other in zip(*classes, strict=True)),
            {
                name: _pictured(images[:_SHOWN], black, white)
                for name, (images, _) in (("goal", goals), ("begun from", starts))
            },
        )

    def show(self, answer: InvariancesAnswer) -> Section:
        """Shares by layer, a table, and the images."""
        return invariances_section(self.title, answer)


def _as_it_is(images: Tensor, labels: Tensor) -> Tensor:
    return images


def _spread(pairs: Sequence[Pair]) -> list[Pair]:
    """Some of them, evenly from the first to the last."""
    places = torch.linspace(0, len(pairs) - 1, min(_LAYERS, len(pairs))).round().long()
    return [pairs[i] for i in places.tolist()]


def _extremes(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """A black image and a white one, before they are prepared."""
    return torch.zeros(1, *shape), torch.full((1, *shape), 255.0)


def _chosen(
    subject: Subject, asks: nn.Module, goals: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Goals and other images with their labels, and what the receiver answers to each.

    The other image of a goal is any of another class.
    """
    parts = list(subject.batches("val", _POOL * goals))
    images, labels = (torch.cat(part).to(subject.device) for part in zip(*parts, strict=True))
    with torch.no_grad():
        answers = torch.cat([asks(one).argmax(1) for one in images.split(len(parts[0][0]))])
    draw = subject.generator()
    goal = torch.randperm(len(labels), generator=draw)[:goals].to(labels.device)
    other = labels[goal][:, None] != labels
    if not other.any(1).all():
        raise NotAskable(
            "‹invariances› begins from images of another class than the goal's, and of "
            f"{len(labels)} some have none; take more ‹goals›"
        )
    chances = torch.rand(other.shape, generator=draw).to(labels.device)
    start = chances.masked_fill(~other, -1).argmax(1)
    chosen = [(images[rows], labels[rows]) for rows in (goal, start)]
    return chosen[0], chosen[1], (answers[goal], answers[start])


def _pictured(images: Tensor, black: Tensor, white: Tensor) -> Tensor:  # (N, C, H, W), uint8
    return ((images - black) / (white - black) * 255).round().clamp(0, 255).byte().cpu()
