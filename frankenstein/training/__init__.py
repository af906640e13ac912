"""Networks and stitches are trained: the Trainer, its devices, and the plan of `train`."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.training.plan import TrainPlan

__getattr__, __dir__, __all__ = lazy_names(__name__)
