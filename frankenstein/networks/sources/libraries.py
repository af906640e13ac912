"""Libraries of an extra, which may be absent, half installed or without a network."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from frankenstein.errors import UserError


def library(name: str) -> Any:
    """A library of an extra."""
    if find_spec(name) is None:
        raise UserError(f"{name} is not installed; get it by: pip install 'frankenstein[{name}]'")
    try:
        return importlib.import_module(name)
    except Exception as error:  # half an installation can fail in any way
        reason = " ".join(str(error).split())
        raise UserError(
            f"{name} is installed and cannot be imported ({reason}); install it anew, or take it "
            "away"
        ) from None


@contextmanager
def downloading(label: str, otherwise: str = "") -> Iterator[None]:
    """What a library says of a name that it cannot find or fetch, in one line; what else to do."""
    try:
        yield
    except Exception as error:  # of several libraries, none of which says which
        reason = " ".join(str(error).split())
        raise UserError(f"{label} cannot be had here: {reason[:300]}{otherwise}") from error
