"""What cuts a sentence into tokens: a network's own tokenizer, or bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

END = 10  # the byte of a new line, which no line holds: it begins and ends every sentence


class Tokenizer(Protocol):
    """Sentences to numbers of tokens; equal ones cut alike."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def size(self) -> int:
        """How many tokens there are."""

    @property
    def pad(self) -> int:
        """The token that stands behind a sentence's end."""

    @property
    def limit(self) -> int | None:
        """Tokens that a sentence may have, its first and last one included; longer ones are cut."""

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """The tokens of every sentence, no more than the limit."""


@dataclass(frozen=True)
class Bytes:
    """A token for every byte of a sentence in UTF-8, between two new lines.

    >>> Bytes().encode(["hé"])
    [[10, 104, 195, 169, 10]]
    """

    limit: int | None = None
    name: str = "bytes"
    size: int = 256
    pad: int = 0

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """Bytes beyond the limit are left out."""
        most = None if self.limit is None else self.limit - 2
        return [[END, *one.encode()[:most], END] for one in sentences]
