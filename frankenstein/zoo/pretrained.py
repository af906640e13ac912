"""torchvision's trained weights, downloaded once; nothing in them can execute code."""

import re
import sys
from contextlib import redirect_stdout
from typing import Any

from torch import nn
from torchvision.models import WeightsEnum, get_weight

from frankenstein.errors import UserError


def load_pretrained(network: nn.Module, weights: WeightsEnum) -> None:
    """Load trained weights into a network that torchvision built.

    Raises:
        OSError: if they can neither be found on this machine nor downloaded.
        UserError: if they do not fit, as when a network is for images of another size.
    """
    with redirect_stdout(sys.stderr):  # torch says what it downloads; stdout is for results
        # Not torchvision's own way, `get_model(name, weights)`, which unpickles whatever it gets.
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    for key in list(state):  # in place, since it carries the version of each layer
        tensor = state.pop(key)
        if not key.startswith(("aux1.", "aux2.", "AuxLogits.")):
            # The files of DenseNets are older than their layers' names.
            state[re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)] = tensor
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{weights} do not fit: {reason}; leave image_size as it is") from None


def trained_transforms(weights: str) -> Any:
    """What images go through before a network with these trained weights, as torchvision has it."""
    return get_weight(weights).transforms()
