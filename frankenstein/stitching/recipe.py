"""A plan of a stitch as the things that it names: a stitch, its start, its objective."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from frankenstein.accumulators.anchors import Anchored
from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.ridge import ridge_regression
from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.catalog import STITCHES
from frankenstein.data import ImageData
from frankenstein.errors import UserError
from frankenstein.networks.network import Network, networks_name
from frankenstein.shapes import per_location
from frankenstein.stitches import Affine, Relative, Stitch, start
from frankenstein.stitches.put_right import PUT_RIGHT
from frankenstein.stitching.plan import StitchPlan
from frankenstein.surgery.key_layers import later_layers
from frankenstein.tasks import Objective, cka_regularized, task_loss

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
    "controls": "controls-",
}
Batches = Iterable[tuple[Tensor, Tensor]]
Sums = AdaptiveMoments | Folds | Anchored
Known = Moments | Folds | Anchored  # of which a stitch is solved
_LONG = 40  # letters of a side's layers; names of folders end at 255


def make_stitch(plan: StitchPlan, in_channels: int, out_channels: int) -> Stitch:
    """A stitch of the plan's family; what is random in it comes from the seed alone.

    Raises:
        UserError: if the family cannot be what the plan says.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        return STITCHES[plan.family_name](in_channels, out_channels, **plan.family_options)


@dataclass(frozen=True)
class Solving:
    """How stitches are brought into closed form, from sums of one pass."""

    ridge: bool = False  # affine ones, its strength chosen by parts of the examples
    puts_right: str | None = None  # "spread" or "covariance"
    anchors: int | None = None  # of relative ones

    def sums(self) -> Sums:
        """What is kept of source and target, empty; rows are places of examples."""
        if self.anchors:
            return Anchored(self.anchors)
        return Folds(flatten=per_location) if self.ridge else AdaptiveMoments(per_location)

    def known(self, sums: Sums) -> Known:
        """The same, to which no more is added."""
        return sums if isinstance(sums, Folds) else sums.frozen()

    def moments(self, known: Known) -> Moments:
        """Those of all examples."""
        if isinstance(known, Anchored):
            return known.both.frozen()
        return known.without() if isinstance(known, Folds) else known

    def __call__(self, stitch: Stitch, known: Known) -> Stitch:
        """Solve a stitch, put it right, return it."""
        if isinstance(stitch, Relative) and isinstance(known, Anchored):
            return stitch.solve_by(known)
        moments = self.moments(known)
        if isinstance(known, Folds) and type(stitch) is Affine:
            stitch.check_moments(moments)
            weight, bias, _ = ridge_regression(known)
            stitch.approximate(weight, bias)
        else:
            stitch.solve(moments)
        return self.put_right(stitch, moments)

    def least_squares(self, stitch: Affine, known: Known) -> Affine:
        """The same of an affine stitch without a ridge."""
        moments = self.moments(known)
        self.put_right(stitch.solve(moments), moments)
        return stitch

    def put_right(self, stitch: Stitch, moments: Moments) -> Stitch:
        """A solved stitch with spread or covariance put right, if that is wanted; returns it."""
        if self.puts_right is None:
            return stitch
        put_right = PUT_RIGHT[self.puts_right]
        if stitch.affine:
            return put_right(stitch, moments)
        # One of more than affine maps is solved as the affine map is.
        affine = Affine(stitch.in_channels, stitch.out_channels).solve(moments)
        put_right(affine, moments)
        return stitch.approximate(affine.weight, affine.bias)


LEAST_SQUARES = Solving()


def anchors_of(plan: StitchPlan, data: ImageData) -> Batches:
    """The plan's anchors, in batches that go before those to solve on; none without."""
    return data.train_batches(plan.anchors, plan.seed) if plan.anchors else ()


def solving_of(plan: StitchPlan) -> Solving:
    """How the plan has stitches solved."""
    return Solving(plan.ridge, plan.put_right, plan.anchors)


def start_stitch(stitch: Stitch, plan: StitchPlan, known: Known) -> Stitch:
    """The stitch at the start that the plan names."""
    solving = solving_of(plan)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        if plan.init == "ps_inv":
            return solving(stitch, known)
        return start(stitch, plan.init, solving.moments(known))


class Aim(NamedTuple):
    """What a stitch is trained for, one objective after the other, and the layers they follow."""

    stages: tuple[Objective, ...]
    later: tuple[str, ...]  # of the receiver, behind the cut


def aim_of(plan: StitchPlan, receiver: nn.Module, layer: str) -> Aim:
    """What the stitches into a layer of the receiver are trained for.

    Raises:
        LayerError: for a layer to align that the receiver has not.
        UserError: if nothing lies behind the cut that the objective could follow.
    """
    row, later = plan.objective_row, _followed(plan, receiver, layer)
    fields = {name: getattr(plan, name) for name in row.fields if name != "align_layers"}
    objective: Objective = row(**fields, **({"later": later} if row.follows != "nothing" else {}))
    stages = [objective, task_loss] if plan.then else [objective]
    if plan.cka_reg:
        stages = [cka_regularized(stage, plan.cka_reg) for stage in stages]
    return Aim(tuple(stages), later)


def _followed(plan: StitchPlan, receiver: nn.Module, layer: str) -> tuple[str, ...]:
    """The layers behind the cut that the plan's objective follows."""
    how = plan.objective_row.follows
    if how == "nothing":
        return ()
    behind = later_layers(receiver, layer)
    if how == "later":
        chosen = plan.align_layers
        return tuple(dict.fromkeys([*chosen, *behind[-1:]])) if chosen else behind
    if not behind:
        raise UserError(
            f"{plan.objective_name} fits the layer that answers are read from, and no such layer "
            f"lies behind {layer}; take ‹objective› direct"
        )
    return behind[-1:]


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
    words += [f"k{plan.anchors}"] if plan.anchors else []
    words += [f"cka{plan.cka_reg}"] if plan.cka_reg else []
    words += [plan.direct] if plan.direct else []
    words += [plan.objective] if plan.objective not in (None, "task") and not plan.direct else []
    words += [f"then-{plan.then}"] if plan.then else []
    words += ["+".join(plan.align_layers)] if plan.align_layers else []
    words += ["+".join(f"{one:g}" for one in plan.align_weights)] if plan.align_weights else []
    words += [plan.mask] if plan.mask != "identity" else []
    words += ["flat"] if plan.flatten else []
    words += [f"match-{plan.put_right}"] if plan.put_right else []
    words += ["ridge"] if plan.ridge else []
    words += ["recount"] if plan.recount else []
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
    words += [Path(one).stem for one in plan.texts]
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
