"""Halves and readers of networks that read padded text: what they pass on knows its padding."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from frankenstein.data.examples import Examples, called
from frankenstein.data.padding import there_of
from frankenstein.shapes import Tokens, tokens_of
from frankenstein.surgery.cut import Cut
from frankenstein.surgery.halves import arguments_of
from frankenstein.surgery.refusal import LayerError


class Masking(nn.Module):
    """A front, or a reader of layers, whose representations know what of them is padding."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """`Tokens` of a batch with an `attention_mask`; else what the part gives."""
        if len(args) == 1 and isinstance(args[0], Examples):
            made, there = called(self.part, args[0]), there_of(args[0])
        else:
            made, there = self.part(*args, **kwargs), there_of(kwargs)
        if there is None:
            return made
        if isinstance(made, Mapping):
            return {name: tokens_of(z, there.to(z.device), repr(name)) for name, z in made.items()}
        return tokens_of(made, there.to(made.device))


class Unmasking(nn.Module):
    """An end that is given the mask of the tokens that it takes, if its network looks at that."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, z: Tensor | Tokens) -> Any:
        """What the end makes of them."""
        if not isinstance(z, Tokens):
            return self.part(z)
        context = _context(self.part)
        mask = {"attention_mask": z.there.long()} if "attention_mask" in context else {}
        return self.part(z.values, **mask)


class Following(nn.Module):
    """A reader of layers behind the cut, whose results know what of them is padding."""

    def __init__(self, reader: nn.Module, end: Unmasking) -> None:
        super().__init__()
        self.reader = reader
        self.takes_mask = "attention_mask" in _context(end.part)

    def forward(self, z: Tensor | Tokens) -> dict[str, Any]:
        """`Tokens` of every layer and of the logits, where they have tokens."""
        if not isinstance(z, Tokens):
            return self.reader(z)
        mask = {"attention_mask": z.there.long()} if self.takes_mask else {}
        made = self.reader(z.values, **mask)
        return {name: tokens_of(one, z.there, repr(name)) for name, one in made.items()}


def masked_halves(halves: Cut) -> Cut:
    """The halves of a network that reads padded text; the mask goes with the representation.

    Raises:
        LayerError: for an end that needs more of its batch than the mask.
    """
    more = [name for name in _context(halves.end) if name != "attention_mask"]
    if more:
        raise LayerError(
            f"the end of this network also needs {', '.join(more)}, which a representation does "
            "not bring; cut it in Python, and call end(z, **batch)"
        )
    return Cut(Masking(halves.front), Unmasking(halves.end))


def reads_text(network: nn.Module, inputs: Any = None) -> bool:
    """Whether a network says, or its inputs do, that it takes tokens and a mask."""
    examples = inputs, getattr(network, "example_inputs", None)
    return any(there_of(one) is not None for one in examples)


def _context(end: nn.Module) -> tuple[str, ...]:
    """What an end needs beside a representation."""
    arguments = arguments_of(end)
    return () if arguments is None else arguments.needs
