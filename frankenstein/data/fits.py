"""Why a network does not take a batch: what it is given, and what to do, in one line."""

from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.data.examples import Examples, called
from frankenstein.errors import DataError, UserError

_IMAGE = (1, 3, 4)  # channels
# What a network that does not take a batch may end in.
TAKEN_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError)


def not_taken(title: str, inputs: Any, error: Exception) -> str:
    """The one line for an error that a network ended in.

    >>> x = torch.zeros(2, 8, 8, 3)
    >>> print(not_taken("mine", x, RuntimeError("no"))[:66])
    mine does not take batches of float32 (2, 8, 8, 3), whose channels
    """
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{title} does not take batches of {described(inputs)}{_hint(inputs)} ({reason})"


def described(inputs: Any) -> str:
    """Types and shapes.

    >>> described(torch.zeros(2, 3))
    'float32 (2, 3)'
    """
    if isinstance(inputs, Examples):
        return ", ".join(
            f"{f'number {key + 1}' if isinstance(key, int) else key} {described(x)}"
            for key, x in inputs.parts.items()
        )
    return f"{str(inputs.dtype).removeprefix('torch.')} {tuple(inputs.shape)}"


def check_taken(network: nn.Module, title: str, inputs: Any, look: nn.Module | None = None) -> Any:
    """What a network gives of a few inputs; what it does not take is said before a run.

    Raises:
        DataError: if it ends in an error.
    """
    some = next(network.parameters(), torch.empty(0))
    inputs = inputs.to(some.device)
    modes = [(one, one.training) for one in network.modules()]
    try:
        with torch.no_grad():
            return called(network.eval(), inputs if look is None else look(inputs))
    except UserError:
        raise
    except TAKEN_ERRORS as error:  # the user's own code, or data
        raise DataError(not_taken(title, inputs, error)) from error
    finally:
        for one, mode in modes:
            one.training = mode


def _hint(inputs: Any) -> str:
    if not isinstance(inputs, Tensor):
        return ""
    shape = tuple(inputs.shape)
    if len(shape) == 4 and shape[3] in _IMAGE and shape[1] not in _IMAGE:
        return ", whose channels come last: permute(0, 3, 1, 2) in the data set"
    if inputs.dtype == torch.uint8:
        return (
            ": images of 0 to 255; scale and normalise them in the data set as the network was "
            "trained, or say how it sees them"
        )
    if len(shape) == 3 and shape[0] in _IMAGE:
        return ": is that one image, not a batch? Make batches by torch.utils.data.DataLoader"
    return ""
