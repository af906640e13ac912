"""The answer in what a network gives."""

from typing import Any

from torch import Tensor


def logits_of(output: Any) -> Tensor:
    """The answer in what a network gives, which may be a tuple or one of transformers' outputs."""
    for name in ("logits", "last_hidden_state"):
        if isinstance(getattr(output, name, None), Tensor):
            return getattr(output, name)
    while isinstance(output, list | tuple):
        output = output[0]
    return output
