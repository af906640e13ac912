"""Direct matching by gradient: the stitched representation is to be the target."""

from torch import Tensor
from torch.nn import functional

from frankenstein.measures import linear_cka
from frankenstein.shapes import Tokens, per_location, rows_of_both
from frankenstein.tasks.objectives.passes import Objective, Pass


def direct_objective(direct: str | None = None) -> Objective:
    """Fit the target by its squared error ("mse", if absent) or by CKA ("cka")."""
    return direct_cka if direct == "cka" else direct_mse


def direct_mse(batch: Pass) -> Tensor:
    """Mean squared error of stitched to target, per number: direct matching by gradient."""
    if isinstance(batch.target, Tokens):
        return functional.mse_loss(*rows_of_both(per_location, batch.stitched, batch.target))
    return functional.mse_loss(batch.stitched, batch.target)


def direct_cka(batch: Pass) -> Tensor:
    """1 minus the linear CKA of stitched with target in the batch."""
    return 1 - linear_cka(batch.stitched, batch.target)
