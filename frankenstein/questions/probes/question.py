"""Probes: what can be read out of each layer, and how much of that is the layer's doing?"""

from dataclasses import dataclass
from typing import ClassVar

from frankenstein.labels import most_frequent
from frankenstein.questions.probes.answer import Probe, ProbesAnswer
from frankenstein.questions.probes.page import probes_section
from frankenstein.questions.probes.readout import probe_layers
from frankenstein.questions.question import Need, Question
from frankenstein.questions.subject import Subject
from frankenstein.report import Section
from frankenstein.report.progress import progress

_SEEDS = 3
_HIDDEN = 64  # units
_KINDS = {"linear": None, "hidden": _HIDDEN}


@dataclass(frozen=True, kw_only=True)
class Probes(Question[ProbesAnswer]):
    """How well can the labels be read out of each layer, beside random labels?"""

    title: ClassVar[str] = "Probes"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> ProbesAnswer:
        """Linear probes and probes of one hidden layer, at every layer of sender and receiver."""
        subject.expect([self])
        train, val = subject.train, subject.val
        trained = subject.sender, subject.receiver
        jobs = [
            (kind, network, pair)
            for kind in _KINDS
            for network in (*trained, *subject.untrained)
            for pair in subject.pairs
        ]
        seeds = range(subject.seed, subject.seed + _SEEDS)
        probes = {}
        for kind, network, pair in progress(jobs, "fitting probes", subject.quiet):
            layer = subject.label(pair)
            readouts = probe_layers(
                {layer: subject.rows("train", network, pair)},
                train.labels,
                {layer: subject.rows("val", network, pair)},
                val.labels,
                _KINDS[kind],
                seeds,
                control=network.control_of is None,
            )
            probes[kind, network.role, layer] = Probe.of(readouts[layer])
        return ProbesAnswer(
            probes,
            {one.role: twin.role for one, twin in zip(trained, subject.untrained, strict=True)},
            tuple(_KINDS),
            tuple(map(subject.label, subject.pairs)),
            _SEEDS,
            _HIDDEN,
            (len(train), len(val)),
            most_frequent(val.labels),
        )

    def show(self, answer: ProbesAnswer) -> Section:
        """Accuracy and selectivity by depth."""
        return probes_section(self.title, answer)
