"""A plan of a stitch as the things that it names: a stitch, its start, its objective."""

import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import STITCHES
from frankenstein.stitches import Stitch, start
from frankenstein.stitching.plan import StitchPlan
from frankenstein.tasks import Objective, cka_regularized, direct_cka, direct_mse, target_objective


def make_stitch(plan: StitchPlan, in_channels: int, out_channels: int) -> Stitch:
    """A stitch of the plan's family; what is random in it comes from the seed alone.

    Raises:
        UserError: if the family cannot be what the plan says.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        return STITCHES[plan.family_name](in_channels, out_channels, **plan.family_options)


def start_stitch(stitch: Stitch, plan: StitchPlan, moments: Moments) -> Stitch:
    """The stitch at the start that the plan names."""
    how = {"ps_inv": "solved"}.get(plan.init, plan.init)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        return start(stitch, how, moments)


def objective_of(plan: StitchPlan) -> Objective:
    """What the stitch is trained for."""
    objective = {
        None: target_objective(plan.target_type, plan.temperature),
        "mse": direct_mse,
        "cka": direct_cka,
    }[plan.direct]
    return cka_regularized(objective, plan.cka_reg) if plan.cka_reg else objective
