"""Sentences of several lengths in one batch: which of their tokens are there."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.data.examples import Examples
from frankenstein.shapes import ShapeError, Tokens


def there_of(inputs: Any) -> Tensor | None:  # (N, T) bool
    """Which tokens are there, as the `attention_mask` of a batch says; None if it has none.

    Raises:
        ShapeError: if the mask is no mask of tokens, or a sentence has none that is there.

    >>> there_of({"attention_mask": torch.tensor([[1, 1, 0]])})
    tensor([[ True,  True, False]])
    """
    named = inputs.kwargs if isinstance(inputs, Examples) else inputs
    mask = named.get("attention_mask") if isinstance(named, Mapping) else None
    if not isinstance(mask, Tensor):
        return None
    if mask.ndim != 2:
        raise ShapeError(
            f"attention_mask is (sentences, tokens), 1 where a token is, got {tuple(mask.shape)}"
        )
    there = mask != 0
    if not bool(there.any(1).all()):
        raise ShapeError("attention_mask leaves a sentence without tokens; leave that sentence out")
    return there


def joined(parts: Sequence[Any]) -> Any:
    """Tensors, or tokens, one behind another, padded with 0 to the longest on the second axis."""
    if isinstance(parts[0], Examples):
        return Examples({key: joined([one.parts[key] for one in parts]) for key in parts[0].parts})
    if isinstance(parts[0], Tokens):
        values, there = (joined([getattr(z, name) for z in parts]) for name in ("values", "there"))
        return Tokens(values, there)
    longest = max(z.shape[1] if z.ndim > 1 else 0 for z in parts)
    return torch.cat([z if z.ndim < 2 else _padded(z, longest) for z in parts])


def _padded(z: Tensor, longest: int) -> Tensor:
    missing = longest - z.shape[1]
    return torch.cat([z, z.new_zeros(len(z), missing, *z.shape[2:])], 1) if missing else z


class Sentences(nn.Module):
    """A look at sentences: from their numbers to tokens and a mask, padded to the longest.

    It holds the tokens of all sentences one behind another, and no weights.
    """

    ids: Tensor  # of all sentences
    starts: Tensor  # (N + 1,) where each begins

    def __init__(self, sentences: list[list[int]], pad: int) -> None:
        super().__init__()
        lengths = torch.tensor([0, *map(len, sentences)])
        ids = torch.tensor([token for one in sentences for token in one])
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("starts", lengths.cumsum(0), persistent=False)
        self.pad = pad

    def forward(
        self,
        rows: Tensor,  # (N,) int64
    ) -> Examples:
        """{"input_ids": (N, T), "attention_mask": (N, T)}."""
        first, length = self.starts[rows], self.lengths[rows]
        places = torch.arange(int(length.max()), device=rows.device)
        there = places < length[:, None]
        ids = self.ids[(first[:, None] + places).where(there, 0)].where(there, self.pad)
        return Examples({"input_ids": ids, "attention_mask": there.long()})

    @property
    def lengths(self) -> Tensor:  # (N,)
        """Tokens of every sentence."""
        return self.starts.diff()

    def next_tokens(
        self,
        rows: Tensor,  # (N,)
    ) -> Tensor:  # (N, T) int64
        """The token behind every token, -100 where there is none."""
        given = self(rows).parts
        there = given["attention_mask"][:, 1:] != 0
        shifted = given["input_ids"][:, 1:].where(there, -100)
        return torch.nn.functional.pad(shifted, (0, 1), value=-100)
