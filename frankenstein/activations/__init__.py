"""Activations that are already there: files of layers (N, ...), read in blocks of rows."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.activations.saved import (
        Activations,
        activations_at,
        activations_of,
        open_activations,
    )

__getattr__, __dir__, __all__ = lazy_names(__name__)
