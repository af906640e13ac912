"""What a stitch is trained for: functions of a pass through the grafted network to a loss."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.tasks.objectives.direct import direct_cka, direct_mse
    from frankenstein.tasks.objectives.passes import Objective, Pass
    from frankenstein.tasks.objectives.regularized import cka_regularized
    from frankenstein.tasks.objectives.task import (
        TARGET_TYPES,
        soft_cross_entropy,
        target_objective,
        task_loss,
    )

__getattr__, __dir__, __all__ = lazy_names(__name__)
