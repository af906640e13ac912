"""Libraries of an extra, which may be absent, half installed or without a network."""

import importlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from frankenstein.errors import UserError

_SECONDS = 4  # that the hub has to answer in


def library(name: str) -> Any:
    """A library of an extra."""
    if find_spec(name) is None:
        raise UserError(
            f"{name} is not installed; get it by: pip install 'frankenstein-stitching[{name}]'"
        )
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
    with told_by_library(label, otherwise), _asking_only_who_is_there():
        yield


@contextmanager
def told_by_library(label: str, otherwise: str = "") -> Iterator[None]:
    """What a library says of what it cannot make of files that anybody may have written."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # of several libraries, none of which says which
        reason = " ".join(str(error).split())
        raise UserError(f"{label} cannot be had here: {reason[:300]}{otherwise}") from error


@contextmanager
def _asking_only_who_is_there() -> Iterator[None]:
    """Inside, the hub is offline if it cannot be reached: its own retries take most of a minute.

    Files of its cache are then taken, and of others it says at once that they are not there.
    """
    if find_spec("huggingface_hub") is None:
        yield
        return
    constants: Any = importlib.import_module("huggingface_hub.constants")
    was = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = was or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was


def _answers(address: str) -> bool:
    """Whether somebody is there; through a proxy, which knows more than this machine, yes."""
    if getproxies():
        return True
    parts = urlsplit(address)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True
