"""Many networks at once: each runs once, and what comes out is between all of them."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.similarity.networks.run import run_networks

__getattr__, __dir__, __all__ = lazy_names(__name__)
