"""A network as a value: opened, checked and known once, then passed on."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.networks.data import data_for
    from frankenstein.networks.network import Network, open_network

__getattr__, __dir__, __all__ = lazy_names(__name__)
