"""A subject as questions saw it before; gone once the last of them is converted."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from frankenstein.questions.sample import Sample
from frankenstein.questions.subject import PARTS, Subject

__all__ = ["PARTS", "Study"]


class Study:
    def __init__(self, subject: Subject, options: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.subject = subject
        self.options = {"examples": subject.examples, "all": False, **options}
        self.device, self.quiet, self.seed = subject.device, subject.quiet, subject.seed
        self.generator, self.batches = subject.generator, subject.batches
        self.pictures, self.label = subject.pictures, subject.label
        self.trained = {one.role: one.module for one in subject.networks}
        self.cards = {one.role: one.card for one in subject.networks}
        self.sender, self.receiver = subject.sender.module, subject.receiver.module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.subject, name)

    @property
    def untrained(self) -> dict[str, nn.Module]:
        return {one.role: one.module for one in self.subject.untrained}

    @property
    def val(self) -> Sample:
        return self.subject.val

    @property
    def train(self) -> Sample:
        return self.subject.train

    def layers(self, role: str) -> list[str]:
        everyone = {one.role: one for one in (*self.subject.networks, *self.subject.untrained)}
        layers = (self.subject.layer_of(everyone[role], pair) for pair in self.subject.pairs)
        return list(dict.fromkeys(layers))
