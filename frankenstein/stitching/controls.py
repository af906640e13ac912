"""Control stitches: what accuracy is reached where the two representations need not be alike."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.data import ImageData
from frankenstein.networks.statistics import counting_images
from frankenstein.report.progress import progress
from frankenstein.shapes import per_location
from frankenstein.stitches import Affine, Identity, Stitch
from frankenstein.stitching.off_distribution import FLOOR, Reference, ReferenceSums
from frankenstein.stitching.pair import StitchingPair
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recipe import make_stitch
from frankenstein.surgery import join
from frankenstein.surgery.lighten import fold

CONTROLS = ("solved", "identity", "untrained", "untrained_ps_inv", "itself", "itself_ps_inv")
CONTROL_SEED = 1_000_003  # one that nobody trains from: no sender started at its untrained control
SCORED_ON = 1_000  # images at least: controls cost less than the stitches do
_SOLVED_ON = 1_000  # likewise
_PER_UNIT = 10  # more to solve on where there are many units


class Route(NamedTuple):
    """Where the representation of the images comes from, and what it goes through."""

    source: Literal["sender", "receiver", "untrained"]
    through: nn.Module


@dataclass(frozen=True)
class Controls:
    """Stitches whose scores say what the others' are worth, ready for `evaluate_stitches`."""

    untrained: nn.Module  # images to the source of a sender that has learned nothing
    routes: Mapping[str, Route]
    reference: Reference  # how the receiver's representations lie on training images
    every: int = 1  # of how many examples one is scored


def controls_for(
    plan: StitchPlan,
    pair: StitchingPair,
    data: ImageData,
    device: torch.device,
    few: int | None = None,
    floor: float = FLOOR,
) -> Controls:
    """Controls for a plan's stitches between a pair that lies on the device.

    `few` limits the images, and `floor` is that of `off_distribution`. The stitch from the
    untrained sender is of the plan's family, rank and seed; so is the solved one, which is left out
    where `ps_inv` or `before` is that.
    """
    known = plan.family_name == "affine" or plan.init == "ps_inv"
    images = counting_images(data, pair.sender.module, pair.looks[0])
    untrained = pair.sender.untrained(CONTROL_SEED, images)
    joint = join(untrained.module, pair.receiver.module, *plan.layers, plan.flatten)
    joint = joint.seeing(*pair.looks)
    wanted = solved_on(joint.source.units, joint.target.units)
    return solve_controls(
        joint.sender.front,
        joint.receiver.front,
        joint.align,
        progress(data.train_batches(few or wanted), "solving controls", plan.quiet),
        device,
        every=max(1, len(data.val_labels) // SCORED_ON),
        make=partial(make_stitch, plan),
        sender=None if known else pair.joint.sender.front,
        floor=floor,
    )


def solved_on(*units: int) -> int:
    """How many training images controls between so many units are solved on."""
    return max(_SOLVED_ON, _PER_UNIT * max(units))


@torch.no_grad()
def solve_controls(
    untrained: nn.Module,
    receiver: nn.Module,
    align: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
    every: int = 1,
    make: Callable[[int, int], Stitch] = Affine,
    sender: nn.Module | None = None,
    floor: float = FLOOR,
) -> Controls:
    """Controls from one pass over training examples, to be scored on one example in `every`.

    `untrained`, `receiver` and `sender` are fronts: images to a representation. `align` lays the
    source like the target (see `surgery.join`); everything lies on `device`, in evaluation mode.
    `floor` is that of `off_distribution`.

    - "solved": a stitch of the family that `make` makes, in its closed form: what one of that
      family that is trained should reach; only if a `sender` is given;
    - "identity": the source as it is, where the sender has as many units as the receiver;
    - "untrained": a stitch of the family that `make` makes, in its closed form, from the same layer
      of a sender with random weights: the control of stitches of that family and rank;
    - "untrained_ps_inv": least squares from there, the control of `ps_inv`; absent where the family
      is the affine one, whose closed form this is;
    - "itself": the receiver's own representation as it is, which must change nothing;
    - "itself_ps_inv": least squares from it to itself, which should not change much.
    """
    rows, own = AdaptiveMoments(per_location), AdaptiveMoments(per_location)
    reference = ReferenceSums()
    fronts = fold(untrained), fold(receiver)
    trained = None if sender is None else fold(sender)
    for images, _ in batches:
        images = images.to(device)
        source, target = (front(images) for front in fronts)
        rows.update(align(source), target)
        if trained is not None:
            own.update(align(trained(images)), target)
        reference.update(target)
    moments = rows.frozen()
    d, e = len(moments.mean("x")), len(moments.mean("y"))

    def laid(stitch: Stitch) -> nn.Module:
        return nn.Sequential(align, stitch).to(device)

    routes = {"untrained": Route("untrained", laid(untrained_stitch := make(d, e).solve(moments)))}
    if type(untrained_stitch) is not Affine:
        affine = Affine(d, e).solve(moments)
        routes["untrained_ps_inv"] = Route("untrained", laid(affine))
    itself = Affine(e, e).solve(moments.of_side("y"))
    routes["itself"] = Route("receiver", Identity(e, e).to(device))
    routes["itself_ps_inv"] = Route("receiver", itself.to(device))
    if sender is not None:
        routes["solved"] = Route("sender", laid(make(d, e).solve(own.frozen())))
    if d == e:
        routes["identity"] = Route("sender", laid(Identity(d, e)))
    return Controls(untrained, routes, reference.solve(floor), every)
