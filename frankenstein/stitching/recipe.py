"""A plan of a stitch as the things that it names: a stitch, its start, its objective."""

from collections.abc import Sequence

import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import STITCHES
from frankenstein.networks.network import Network, networks_name
from frankenstein.stitches import Stitch, start
from frankenstein.stitching.plan import StitchPlan
from frankenstein.tasks import Objective, cka_regularized, direct_cka, direct_mse, target_objective

# How fields of training are called in a name, each where it is not at its default.
_SHORT = {
    "lr": "lr",
    "weight_decay": "wd",
    "batch_size": "b",
    "optimizer": "",
    "precision": "",
    "seed": "seed",
    "seeds": "seeds",
    "untrained": "untrained",
}
_LONG = 40  # letters of a side's layers; names of folders end at 255


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


def stitch_name(plan: StitchPlan, networks: Sequence[Network], dataset: str | None) -> str:
    """A stitching run: networks, data set, layers, and every field that makes it unlike others.

    A matrix of which nothing is trained has no start, so its name says `solved`.
    """
    words = [networks_name(networks, dataset)]
    words += _matrix_layers(plan) if plan.is_matrix else plan.layers
    starts = not plan.is_matrix or plan.trained_epochs
    words += [plan.init if starts else "solved"]
    words += [plan.family_name] if plan.family_name != "affine" else []
    words += [f"r{plan.low_rank}"] if plan.low_rank else []
    words += [f"l1-{plan.l1}"] if plan.l1 else []
    words += [f"cka{plan.cka_reg}"] if plan.cka_reg else []
    words += [plan.direct] if plan.direct else []
    words += [plan.mask] if plan.mask != "identity" else []
    words += ["flat"] if plan.flatten else []
    words += [plan.target_type] if plan.target_type != "hard" else []
    words += [f"t{plan.temperature}"] if plan.temperature != 1 else []
    words += [f"on{plan.solve_on}"] if plan.solve_on else []
    words += [] if plan.augment else ["unaugmented"]
    trained = STITCHES[plan.family_name].trainable and starts  # else its name says it already
    if trained and plan.epochs != plan.default("epochs"):
        words.append(f"e{plan.epochs}")
    for name, short in _SHORT.items():
        if (value := getattr(plan, name)) != plan.default(name):
            words.append(f"{short}{value:g}" if isinstance(value, float) else f"{short}{value}")
    words += [f"size{plan.size}"] if plan.size else []
    words += ["norm" + "-".join(f"{one:g}" for one in plan.normalize)] if plan.normalize else []
    words += [plan.resampling] if plan.resampling else []
    words += ["debug"] if plan.debug else []
    return "-".join(words)


def _matrix_layers(plan: StitchPlan) -> list[str]:
    """What a matrix is called: all, or the layers of each side, or how many if they are many."""
    sides = [plan.sender_layers or [], plan.receiver_layers or []]
    if not any(sides):
        return ["all"]
    named = ["+".join(side or ["all"]) for side in sides]
    return [
        name if len(name) <= _LONG else f"{len(side)}layers"
        for name, side in zip(named, sides, strict=True)
    ]
